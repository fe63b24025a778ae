r"""Signs of languages with braces: the C family, Java and its kin, the web, Go, Rust, Swift.

Enters: nothing. Leaves: BRACES, language → lines of a weight and a pattern (RE2, `^` and `$` at lines); a line that
begins with two spaces goes on with the one before. What weights mean is in `language_signs`. Limit: weights are set by
hand, on real files of shared names.
"""

BRACES = {
    "C": r"""
2 ^[ \t]*#[ \t]*include <(stdio|stdlib|string|stdint|stddef|stdbool|errno|unistd|assert|ctype|math|limits|sys/\w+)\.h>
2 ^typedef (struct|enum|union)\b
1 ^[ \t]*#[ \t]*(include|ifndef|define|ifdef|endif|if)\b
1 ^(static |extern |inline |const |unsigned |struct )+\w+[ *]+\w+ ?\(
1 \b(malloc|sizeof|memcpy|memset|strlen|printf|free) ?\(
1 \bNULL\b
2 ^[ \t]*#[ \t]*ifdef __cplusplus
2 ^(\w+ )*(int|char|void|long|size_t|bool|uint\d+_t)( \*+|\*+ | )\w+\(
2 \w+->\w+(->\w+|\[| = |;)
1 ^ \* .*$
""",
    "C++": r"""
3 \bstd::\w
4 ^[ \t]*template ?<
4 ^[ \t]*(public|private|protected|signals|public slots|private slots):[ \t]*(//.*)?$
4 ^[ \t]*#[ \t]*include <(iostream|vector|string|memory|map|set|algorithm|functional|utility|cstd\w+|cstring
  |cassert|atomic|mutex|thread|type_traits|optional|sstream|Q\w+|boost/.*)>
4 \b(static_cast|dynamic_cast|reinterpret_cast|const_cast) ?<
2 \b(constexpr|noexcept|nullptr|decltype|typename|mutable)\b
3 \boperator ?(==|!=|<<|>>|\(\)|\[\]|=|\+=|<|\*|->|\+|bool) ?\(
3 \(?const \w[\w:<>]* ?& ?\w*[,)]
3 = (delete|default);
3 ^[ \t]*(inline )?namespace( \w+(::\w+)*)?[ \t]*\{
3 ^[ \t]*using namespace \w
3 ^[ \t]*class (\w+ )?\w+( final)?([ \t]*:[ \t]*(public|private|protected|virtual) \w|;[ \t]*(//.*)?$)
3 ^[ \t]*virtual \w
2 \)[ \t]*const([ \t]*override)?[ \t]*[;{]
2 ^[ \t]*~?\w+::~?\w+\(
1 ^[ \t]*class \w+[ \t]*\{?$
3 ^[ \t]*(explicit|friend) \w
2 ^[ \t]*using \w+ = \w
2 ^(\w[\w:<>*& ]* )?\w+::\w+\(.*$
3 ^#include "[\w/]+\.(hpp|hh|hxx)"
2 \bauto ?[&*]* ?\w+ =[ ]
1 \b\w+<\w[\w:, *]*> ?[&*]?\w
1 ^//[ ]
2 -\*- [Cc]\+\+ -\*-
1 \bQ[A-Z]\w+\b
""",
    "Objective-C": r"""
5 ^[ \t]*@(interface|implementation|protocol|property|end|synthesize|autoreleasepool|import|optional|required
  |dynamic)\b
3 ^[ \t]*@class \w+(, ?\w+)*;
4 ^[ \t]*#import [<"]
4 ^[-+] ?\(\w[\w *<>]*\) ?\w+
2 @"
2 \[\[?\w+ \w+(:|\]|\])
4 \bNS(String|Array|Dictionary|Object|Error|URL|Data|Set|Number|Mutable\w+) \*
3 \b(NS_(ENUM|ASSUME_NONNULL\w*|SWIFT\w*|OPTIONS|DESIGNATED\w+)|UIKIT_EXTERN|FOUNDATION_EXPORT|NS(U?Integer
  |TimeInterval))\b
3 \b(nonatomic|nullable|instancetype|_Nullable|_Nonnull|__weak|__bridge)\b
3 @(selector|\[|\{|encode|YES|NO)
2 \bself\.\w+ = \[
""",
    "C#": r"""
4 ^[ \t]*(global )?using (static )?[A-Z][\w.]*( = .*)?;
3 ^namespace [A-Z][\w.]*;?[ \t]*\{?$
5 \{ get; ?((private|internal|protected) )?((set|init);)?
2 ^[ \t]*(public|private|internal|protected)( (static|async|override|sealed|readonly|virtual|abstract|partial
  |const))* [\w<>\[\],.? ]+ \w+(<.*>)?( ?\(| =|;|$| \{| =>)
3 /// <(summary|param|returns|inheritdoc|remarks|typeparam)
2 \basync (Task|ValueTask|void)\b
2 \bawait .*\.ConfigureAwait\(
4 ^[ \t]*\[(Fact|Theory|Test|Serializable|Obsolete|TestMethod|Benchmark|DllImport|InlineData|assembly: )\b
3 \b(nameof|typeof)\(|\bout (var|_)\b|\bstring\.(Empty|IsNullOr\w+|Format)\b|\bis not null\b
4 \b(internal|public) (static |sealed |abstract |readonly )*(partial )?(class|record|struct) \w
1 ^[ \t]*#(region|endregion|nullable|pragma warning)\b
1 \bvar \w+ =[ ]
2 \.Should(Be|Throw|Not)?\w*\(
2 => (\w+\.)*\w+\(.*\);$
""",
    "Java": r"""
4 ^import (static )?(java|javax|org|com|net|io|androidx|android|junit|lombok)\.[\w.]+(\.\*)?;
3 ^package [a-z][\w.]*;
3 ^[ \t]*(public|private|protected) ((static|final|abstract|synchronized) )*(<.*> )?(class|interface|enum|void
  |[A-Z]\w*(<.*>)?(\[\])?|int|boolean|long|double) \w+( ?\(| \{| extends| implements| =|;|<)
3 ^[ \t]*@Override\b
2 \bthrows [A-Z]\w+(, \w+)* ?[{;]
4 \bSystem\.(out|err)\.print
3 \bnew [A-Z]\w*<>\(
2 \bprivate (static )?final \w
1 ^[ \t]*@(Test|Nullable|Deprecated|SuppressWarnings)\b
2 \b(final )?class \w+(<.*>)? (extends|implements) \w
2 \{@(code|link)\b
1 ^[ \t]*(final )?[A-Z]\w*(<.*>)? \w+ = .*;$
2 \.class\)
""",
    "Kotlin": r"""
4 ^[ \t]*((internal|private|public|override|suspend|inline|open|protected|actual|expect|infix
  |operator) )*fun (<.*> ?)?([\w.<>?, ]+\.)?[\w`]+ ?\(
2 ^[ \t]*((private|override|const|lateinit|internal|protected) )*va[lr] \w+(: [\w<>?., ]+)? (=|by)[ ]
1 ^import [\w.]+(\.\*)?$
1 ^package \w+(\.\w+)+$
4 \b(data class|companion object|sealed (class|interface)|lateinit var|by lazy|inline fun|reified)\b
2 ^[ \t]*(\} )?when( \(.*\))? \{
3 \b(listOf|mutableListOf|emptyList|mapOf|setOf|arrayOf|mutableMapOf)(<.*>)?\(
3 \?\.let \{|\?: (return|throw|\w)|!!\.
3 \b(class|object|interface) \w+(<.*>)?(\(.*)? ?: ?\w+(<.*>)?\(.*\{?$
2 : (Unit|Int|Boolean|Any|String)\??( =| \{|,|\))
2 ^[ \t]*(get|single|factory|module|viewModel)(<.*>)?\s?\{
2 @(Test|JvmStatic|JvmField|Suppress|OptIn)\b
1 assertEquals\(
""",
    "Scala": r"""
3 ^[ \t]*((override|private|implicit|final|protected|inline|lazy|private\[\w+\]) )*def [\w+*/<>=!?:|&-]+(\[|\(
  |:| =).*(=|=>|\{|\))$
4 ^[ \t]*((private|protected|final|override) )*implicit (val|def|lazy|class|object)\b
5 ^[ \t]*import [\w.]+\.(_|\{.*=>.*\})$
2 ^[ \t]*import [\w.]+\.(\{.*\}|\*)$
4 \b(case (class|object)|package object|abstract override)\b
3 ^[ \t]*(private |final |sealed |abstract )*(object|trait) \w+(\[.*\])?( extends .*)? ?\{?$
4 \bextends \w+(\[.*\])? with \w
3 \bdef \w+\[.*\](\(|:)
2 ^[ \t]*case .* =>
2 (\)|\w): [A-Z]\w*\[[A-Z_]
1 ^package \w+(\.\w+)*$
1 ^[ \t]*(lazy )?val \w+(: .*)? =
4 \(implicit \w+:[ ]
3 ^[ \t]*given |\busing \w+: \w
2 \bnew \w+(\[.*\])? \{
2 ^ {4}\* @(tparam|param)
1 \w+\[[A-Z]\]
""",
    "JavaScript": r"""
5 ^[ \t]*(var|let|const) [\w{\[].* = require\(
4 ^[ \t]*['"]use strict['"]
4 \bmodule\.exports\b|^[ \t]*exports\.\w+ =
2 \bfunction ?\w* ?\([\w, ]*\) ?\{
1 \) =>[ ]
1 ^[ \t]*(let|const|var) \w+ =[ ]
1 (===|!==)
2 \b(document|window|console)\.\w+
3 ^[ \t]*(import .* from ['"]|export (default|const|function|class|async|\{|\*)[ ;])
1 \bthis\.\w+
1 ^[ \t]*\}\)+;?$
1 \b(undefined|typeof)\b
2 \b(describe|it|test)\(['"`].*(function|=>)
4 \.prototype\.\w+
2 (\.|^|[ (])(then|catch|forEach|map|filter|on)\(.*(function ?\(|=>)
2 \b(await|async) (function|\w+\()
2 \bnew (Promise|Error|Map|RegExp|Date)\(
2 \bcb\(|callback\(|, function ?\w*\(
""",
    "TypeScript": r"""
2 ^[ \t]*(export )?(declare )?(interface|type|enum|namespace|abstract class) \w+.*(\{|=)
5 ^[ \t]*(export (type|interface|declare|abstract|enum)|import type|declare (module|global|const|function|var
  |class))\b
5 (\w\??|\)): (string|number|boolean|any|void|unknown|never|Promise<.*>|Observable<.*>|null)(\[\])?( \||,|;|\)
  | =| \{|$)
3 \b(private|public|protected|readonly) (readonly |static |async )*\w+[?!]?(: |\()
3 \b(const|let|var) \w+: [\w<>\[\]|{}. ]+ =[ ]
3 \bas (const|any|unknown|string|number|never)\b
2 ^[ \t]*(export )?(async )?function \w+<
1 \bkeyof |\bimplements \w|<T\b
3 @ts-(ignore|expect)
2 \w+ as [A-Z]\w*
2 \w\?: \w
""",
    "Go": r"""
3 ^package [a-z]\w*$
4 ^func (\(\w* ?\*?\w+(\[.*\])?\) )?\w+(\[.*\])?\(.*\{$
3 ^import (\(|"[\w./-]+")$
4 \berr := |:= range |\bif err != nil
4 ^[ \t]*type \w+(\[.*\])? (struct|interface|func)\b
3 \bmake\((map|chan|\[\])|\bchan (<- )?\w+|^[ \t]*defer \w|\bgo func\(|\bmap\[\w+\]
1 \w :=[ ]
4 \*testing\.[TBM]\b
3 \bfmt\.(Print|Sprint|Errorf|Fprint)
2 &\w+(\.\w+)?\{|\[\](byte|string|int|interface\{\})
2 ^\t+(if|for|switch) [^(].* \{$
2 \bfunc\(.*\).*\{
2 assert\.\w+\(t,[ ]
3 ^[\t ]+\w+ +\w+ +`\w+:"
""",
    "Rust": r"""
3 ^[ \t]*(pub(\(.*\))? )?((const|async|unsafe|extern "C"|default) )*fn \w+(<.*>?)?\(
4 \blet mut \w
5 ^[ \t]*#!?\[(derive|cfg|test|allow|inline|macro_use|serde|doc|deny|feature|must_use|repr|no_mangle|non_exhaustive)\b
4 ^[ \t]*(pub )?use (crate|std|super|self|core|alloc|\w+)::
4 ^[ \t]*(unsafe )?impl(<.*>)? .*\{?$
3 &mut \w|&'\w+ |[(&]self\b|<'\w+>
3 \b(println|assert|assert_eq|assert_ne|vec|panic|format|write|writeln|debug_assert|matches|quote|unreachable)!
1 ^[ \t]*(pub )?(struct|enum|mod|trait) \w+(<.*>)?.*[{;]$
2 ^[ \t]*//[/!]( |$)
5 \bmacro_rules!
2 -> (Result|Option|Self|impl|Box|&)|\bSelf::
3 \b(Some|Ok|Err)\(.*\)( =>|\?| = )
1 \.(unwrap|as_ref|iter|into|to_string|clone|collect|as_str)\(\)
2 \bmatch .* \{$
1 \b(u8|u32|u64|usize|i32|i64|bool|str|Vec<.*>)\b
1 ^[ \t]*let \w+ = .*;$
""",
    "Swift": r"""
4 \bfunc \w+(<.*>)?\((_ |\w+ \w+: |\w+: )
2 ^[ \t]*((public|private|internal|open|fileprivate|override|static|mutating
  |final) )*func \w+(<.*>)?\(\)( (async|throws))*( -> .*)? \{
5 \bguard (let |var )?.* else \{
3 \bif (let|var) \w+( = [^{]*)?(,| \{)
2 \blet \w+(: [\w\[\]?:<>. ]+)? = [^;]*$
4 ^(@testable )?import (Foundation|UIKit|XCTest|SwiftUI|Dispatch|AppKit|Combine|NIO\w*|\w+Kit)$
4 ^[ \t]*((public|private|fileprivate|internal) )?extension \w+(\.\w+)*(: ?[\w, ]+)?( where .*)? \{
1 ^[ \t]*((public|private|open|internal|fileprivate|final|indirect) )*(class|struct|enum|protocol
  |actor) \w+(<.*>)?(: .*)?\{
5 @(available\(|objc\b|discardableResult|escaping|main\b|IBOutlet|autoclosure|unchecked)
5 \bself\?\.|\[(weak|unowned) self\]
3 ^[ \t]*((public|private|internal|override|required|convenience) )*init\??\(.*\{?$
3 ^[ \t]*((public|private|open|internal|static|weak|fileprivate|override|lazy|private\(set\)) )*var \w+: .*(\{|\?|\])$
2 -> (\[?[\w:. ]+\]?\??|Void|some \w+) \{$
4 ^[ \t]*/// - (Parameters?|[Rr]eturns|[Nn]ote|[Tt]hrows)
2 \btry[?!] \w|\bcase \.\w+|\bas[?!] \w
2 XCTAssert\w*\(.*\)$
1 ^[ \t]*(let|var) \w+ =[ ]
2 ^[ \t]*case (let )?\.?\w+(\(.*\))?:
2 \$0\.
""",
    "D": r"""
5 ^[ \t]*module [\w.]+;
5 ^[ \t]*((public|private|static) )?import (std|core|vibe|dub|etc)\.[\w.]+
5 ^[ \t]*(@\w+ |version ?\(.*\) )?unittest\b
5 \bforeach(_reverse)? ?\((ref |const |immutable )*\w+(, (ref |const )*\w+)?;[ ]
4 @(safe|nogc|trusted|property|system)\b
4 \b(writeln|writefln|writef|stderr\.write\w*)\(
5 \bscope ?\((exit|success|failure)\)
3 ^[ \t]*(\} ?else )?version ?\(\w+\)
2 \w!(\(|"|\w+\()
3 ^[ \t]*alias \w+ =[ ]
1 (\w|\)|") ~=? ["\w(]
3 \bcast ?\([\w()]+\)
5 \bstatic (if|foreach) ?\(
4 \b(immutable|inout|const)\(\w+(\[\])?\)|\bimmutable \w+ =|\bstring\[\]|\bin string\b|\b(u|s)byte\b
2 \bauto \w+ = .*;$
4 \benforce\(|\b(q|r|x)\{|\.array;|\.length ==[ ]
2 \bdelegate\(|\bfinal switch\b|\bassert\(.*\);
3 ^[ \t]*(private|public|package|protected)[ \t]*(:|\{)?$
2 \bstring \w+[,;)= ]
""",
    "GLSL": r"""
6 ^#version \d+( es| core| compatibility)?$
5 \bgl_(Position|FragColor|FragCoord|FragData|VertexID|PointSize|TexCoord|Vertex)\b
5 ^[ \t]*(layout ?\(.*\) )?(uniform|varying|attribute|in|out|flat in) (lowp |mediump |highp )?(vec[234]
  |mat[234]|float|int|bool|sampler\w+|ivec\d)\b
2 \bvoid main ?\( ?(void)? ?\)
2 \b(vec[234]|mat[34])[ (]
5 ^[ \t]*precision (lowp|mediump|highp)[ ]
3 \btexture(2D|Cube|Lod)?\(\w+,[ ]
2 \b(dot|normalize|clamp|mix|smoothstep|fract|reflect|length)\(
""",
    "PHP": r"""
6 <\?php\b
3 <\?=
3 \$this->\w
3 ^[ \t]*((public|private|protected|static|abstract|final) )+function &?\w+ ?\(
5 \bforeach ?\(\$[\w>\[\]'-]+ as &?\$
4 \b(isset|empty|is_array|count|array_\w+|unset|in_array|str_replace|implode|explode)\(\$
3 ^[ \t]*(function|fn) &?\w* ?\((array |\??\w+ )?&?\$
2 => (array\(|\[|TRUE|FALSE|NULL|'|t\()
3 \$\w+\['\w+'\]
3 ^[ \t]*use \w+(\\\w+)+( as \w+)?;
4 ^namespace \w+(\\\w+)*;
4 ^ *\* @(param|var|return) [\w|\\\[\]]+ \$?\w*.*$
1 \$\w+->\w+
1 ^[ \t]*(\} ?else)?if ?\(.*\$\w+.*\) \{
2 ^[ \t]*\$\w+ = .*;$
2 \$\w+ \. '|' \. \$
3 \bnew \\?\w+(\\\w+)+|::class\b
""",
    "CSS": r"""
2 ^[ \t]*[a-z-]+:[ \t]*[^;{}()<>=]+;[ \t]*(/\*.*)?$
4 ^[ \t]*@(media|charset|font-face|keyframes|-webkit-keyframes|supports)\b
3 [: ]-?\d*\.?\d+(px|em|rem|vh|vw|%)( [\w%. #-]+)*( !important)?;
1 ^[ \t]*[.#&:a-z*][\w .#:>,\[\]="'*+~-]*[ \t]*\{$
2 ^[ \t]*[.#][\w-]+(,|[ \t]*\{)$
2 : ?#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})\b
3 ^[ \t]*(color|margin|padding|display|background(-color)?|font-size|width|border|position):
""",
    "SCSS": r"""
4 ^[ \t]*\$[\w-]+:
5 ^[ \t]*@(include|mixin|extend|use|each|function)[ ]
3 ^[ \t]*&[:.,\w-]
1 \$[\w-]+;
""",
    "Apex": r"""
5 (?i)\b(with|without|inherited) sharing\b
5 (?i)\[[ \t\n]*select\b
5 @([iI]s[tT]est|AuraEnabled|[tT]est[sS]etup|InvocableMethod|TestVisible|future|HttpGet|RestResource
  |InvocableVariable)\b
2 \bSystem\.([aA]ssert\w*|debug)\(
4 (?i)^[ \t]*(insert|update|delete|upsert) \w+;
3 \b(SObject|sObject|Schema\.\w+|Database\.\w+|UserInfo\.\w+|Trigger\.\w+)\b
3 \w__c\b
3 (?i)\bglobal (virtual |abstract |static )*\w+ \w
1 '[^'\n]{3,}'(,|\)|;)
""",
    "Verilog": r"""
4 ^[ \t]*module \w+[ \t]*(#[ \t]*\(|\(|;|$)
4 ^[ \t]*(always|assign|wire|reg|inout|localparam|endmodule|genvar|endgenerate|endcase)\b
4 ^[ \t]*(input|output) +(wire|reg|\[|signed)
5 ^[ \t]*`(timescale|default_nettype|resetall|ifndef|define)\b
4 \b\d+'[bhdo][0-9a-fA-FxzXZ_]+
2 <= .*;$
3 ^[ \t]*(\) ?)?(begin|end|else begin|end else begin)$
4 ^[ \t]*\.\w+ ?\(.*\),?$
3 @ ?\((posedge|negedge|\*)|\$(display|finish|clog2|signed|readmemh)\b
""",
}

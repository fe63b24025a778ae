r"""Signs of languages without braces: scripts, functional and logic languages; as in `signs_braces`.

Enters: nothing. Leaves: OTHERS, language → lines of a weight and a pattern (RE2, `^` and `$` at lines).
Limit: weights are set by hand, on real files of shared names.
"""

OTHERS = {
    "Ada": r"""
4 (?i)^[ \t]*(procedure|function|package)( body)? [\w.]+( return \w+)? is$
2 (?i)^[ \t]*(with|use) [A-Z][\w.]*;
""",
    "Elixir": r"""
5 ^[ \t]*defmodule [A-Z]
4 ^[ \t]*defp? \w+.* do$
4 ^[ \t]*@(doc|moduledoc|spec|impl)[ ]
1 \|>[ ]
""",
    "Erlang": r"""
6 ^-(module|export|include|include_lib|define|record|spec|type|behaviou?r)\(
3 ^[a-z]\w*\(.*\) (when .* )?->$
3 ^-(spec|type|opaque) \w
""",
    "F#": r"""
2 ^[ \t]*let (rec |inline |mutable |private |internal )?[\w']+.*=[ \t]*(fun .*)?$
2 ^[ \t]*let (inline|mutable|private)[ ]
3 ^[ \t]*open [A-Z]\w*(\.\w+)*$
3 ^[ \t]*(namespace|module) (rec |internal |private )?[A-Z][\w.]*( =)?$
1 \|>[ ]
2 ^[ \t]*\| .* ->[ ]
5 \bmember (inline |val )?\w+\.\w+|\bstatic member\b|\boverride \w+\.\w+
5 \[<\w+.*>\]
2 \bfun [\w(][\w, ):]* ->[ ]
3 :\?> ?|:\? \w| :> \w
4 \b(async|task|seq|monad|promise|option) ?\{
4 \b(printfn|sprintf|failwithf|failwith) "
4 \b(let!|do!|return!|yield!|use!)[ ]
3 '[TUR]\b|'\^\w+|\^\w+\b.*:
1 ^[ \t]*///
1 ^[ \t]*type [\w<>', ]+ ?(\(.*\))? ?=$
2 \w<'\w+
1 ^[ \t]*//
1 ^[ \t]*\(\*
2 ^[ \t]*testCase|^[ \t]*(elif|if) .* then$
""",
    "OCaml": r"""
2 ^[ \t]*(let|and) (rec )?[\w']+.*=$
3 ;;[ \t]*$
1 ^open [A-Z]\w*(\.\w+)*$
2 \(\*\*?[ ]
1 ^[ \t]*\| .* ->
2 \b(match|try) .* with$
4 ^[ \t]*(val|external) [\w']+ ?:[ ]
5 ^[ \t]*module (type )?\w+( ?:.*)? = (struct|sig|functor|\w+\.)
2 \b(List|Array|Hashtbl|String|Printf|Option)\.[a-z]\w+[ ]
1 \bin$
2 \bbegin (match|fun)|\bfunction$
""",
    "Haskell": r"""
3 ^[a-z_][\w']*(, [a-z]\w*)* ::( .*)?$
3 ^import (qualified )?[A-Z][\w.]*( \(.*| as \w+.*| hiding .*|( qualified.*))?$
3 ^module [A-Z][\w.]*( \(|[ \t]*where|$)
6 \{-# ?(LANGUAGE|OPTIONS_GHC|INLINE|SPECIALI[SZ]E|UNPACK)
4 ^(data|newtype) [A-Z]\w*.*=|^(instance|class) .* where$|^deriving[ ]
2 ^[ \t]+where( .*)?$
1  <-[ ]
2  >>= | \$ \\| <\$> | <\*> | =<<[ ]
4 ^[ \t]*-- [|^*]
1 ^[ \t]*--[ ]
2 ^[ \t]+(deriving|[,{] \w+ ::)|\bMaybe |\bIO \(\)
1 (\w|\)) :: [A-Z(\[]
2 ^[a-z][\w']*( [a-z_][\w']*)+ =[ ]
2 ^[ \t]+\| .* =[ ]
1 \\\w+( \w+)* ->[ ]
""",
    "Forth": r"""
2 ^: +\S+( |$)
4 ^: +[^ ]*[^\w \n:(,][^ (]*( |$)
6 \( [^()\n]*-- [^()\n]*\)
2 ^[ \t]*\\( |$)
3 (?i) (dup|swap|drop|over|rot|2drop|2dup|allot|c@|c!|@|!|r>|>r|1\+|1-)[ ]
3 (?i)^[ \t]*(variable|create|\$?[\da-f]+ +constant|\$?[\da-f]+ +equ|immediate)[ ]
3 (?i)[ \t](constant|equ|variable) +\S+[ \t]*$
4 (?i)^[ \t]*(\[if\]|\[then\]|\[else\]|#require|\\res|#include|marker|nvm|ram|vocabulary|also|definitions
  |forth-wordlist|decimal|hex)\b
2 [ \t];( immediate)?[ \t]*$
1 (?i) (begin|until|repeat|loop|\+loop|then|\."|postpone)( |$)
""",
    "Fortran": r"""
5 (?i)^[ \t]*implicit none
4 (?i)^[ \t]*(end |pure |elemental |recursive )*subroutine \w+
2 (?i)^[ \t]*(end )?(program|module|do|function) ?\w*$
2 (?i)^[ \t]+(integer|real|double precision|character|logical)(\(.*\)|\*\d+)?[ ,].*\w
1 (?i)^[ \t]+(call|write|goto|dimension) ?[\w(]
1 ^[cC*!]
""",
    "IDL": r"""
4 (?i)^pro +\w+ ?(,|$)
5 (?i)^; ?(NAME|PURPOSE|CALLING SEQUENCE|EXPLANATION|INPUTS|OUTPUTS|OPTIONAL|REVISION HISTORY|PROCEDURE):?
4 (?i)\b(on_error|keyword_set|n_elements|n_params|compile_opt)\b
3 (?i)\b(endif|endfor|endelse|endwhile|endcase)\b
2 (?i)\bthen begin\b|\belse begin\b
2 (?i)^[ \t]*(message|print|printf), ?
1 \$[ \t]*(;.*)?$
1 ^[ \t]*;
2 (?i) (eq|ne|gt|lt|ge|le)[ ]
3 ^;[+-][ \t]*$
2 (?i)^function +\w+ ?,[ ]
""",
    "Julia": r"""
3 ^[ \t]*(using|export) [A-Z@]?\w+(, \w+|: \w+)*
3 (\w|\))::[A-Z]\w*(\{.*\})?[,) =]
4 @(testset|inbounds|eval|inline|generated|simd|test_throws)\b|^[ \t]*@test[ ]
3 ^[ \t]*(mutable )?struct \w+.*$
2 ^[ \t]*function [\w.!]+(\{.*\})?\(.*\)
1 ^[ \t]*end$
3 \bwhere (\{|T\b)|\.\.\.\)
""",
    "Lua": r"""
5 ^[ \t]*local (function )?\w+(, ?\w+)*( =|\(|$)
3 ^[ \t]*(elseif .* then|if .* then|while .* do|for .* do|repeat|until .*)$
2  ~=[ ]
1 \bnil\b
1 ^[ \t]*--
2 \w \.\. |" \.\.
2 \b\w+:\w+\(
5 ^(local )?function [\w_]+[.:]\w+\(
4 \b(ipairs|pairs|setmetatable|tostring|tonumber)\(|\bstring\.(format|gsub|match|find)\(|\btable\.(insert|concat)\(
1 ^end$
2 ^[ \t]*end[,)]*$
1 \bfunction\(\)
""",
    "MATLAB": r"""
5 ^[ \t]*function[ \t]*(\[[^\]\n]*\][ \t]*=|\w+[ \t]*=)[ \t]*[\w.]+
2 ^[ \t]*function \w+(\(.*\))?[ \t]*;?(%.*)?$
2 ^[ \t]*%
2 ^[ \t]*(end|endfunction|endif|endwhile|endfor|otherwise)[;,]?[ \t]*(%.*)?$
1 \.\.\.[ \t]*(%.*)?$
3 ^[ \t]*(clear|clc|close all|hold on|hold off|figure|disp)\b
1 \b(zeros|ones|size|numel|length|isempty|sum|norm|abs|reshape|floor)\(
5 \b(nargin|varargin|nargout|varargout|isfield|cellfun|ischar|strcmpi|num2str|mat2str|bsxfun)\b
2 \w ?\.(\^|\*|/|') ?\w?
5 ^[ \t]*classdef\b
3 \b(fprintf|error|disp|strcat|set|get|warning)\( ?'
2 ^[ \t]*%%?[A-Z \w]
1 ^[ \t]*(if|for|while|switch|elseif|case) [^{]*[^{:,]$
3 ^[ \t]*(\[[\w, ~]+\]|\w+(\(.*\))?) = .*;[ \t]*(%.*)?$
""",
    "Mercury": r"""
4 ^:- (interface|implementation|pred|func|mode|type|import_module|instance|typeclass|pragma)\b
""",
    "Wolfram Language": r"""
1 \(\*.*\*\)
4 \b\w+\[.*\] ?:=[ ]
5 \b(BeginPackage|Begin|EndPackage|Module|Block|Notebook|Cell|With|Table|SetAttributes)\[
2 \w+_(Integer|List|String|Symbol)?[\],]
2 /@|//\.|&\]|->|@@
3 \w::usage
""",
    "Pascal": r"""
5 (?i)^[ \t]*(unit|program|library) \w+;
4 (?i)^[ \t]*(class )?(procedure|constructor|destructor) \w+(\.\w+)?(\(.*|;)
4 (?i)^[ \t]*(class )?function \w+(\.\w+)?(\(.*\))? ?: ?\w+;
3 (?i)^[ \t]*(begin|end;|end\.|var|implementation|uses)$
1 \w ?:=[ ]
5 (?i)\{\$(ifdef|endif|else|i |include|define|mode|undef|ifndef|ifopt|if )
1 (?i)\bthen( begin)?$
2 (?i): ?(integer|string|boolean|TObject|word|byte|longint|RawUTF8|PtrInt|cardinal);
2 (?i)^[ \t]*//.*$|^[ \t]*\(\*
""",
    "Perl": r"""
5 ^[ \t]*use (strict|warnings|v?5[\d._]*|utf8|Carp|Test::\w+|Data::\w+|POSIX|lib|base|parent|vars|constant
  |Exporter|Mojo\S*|File::\w+|Getopt::\w+)\b
2 ^[ \t]*(my|our|local) [\$@%(]
2 ^[ \t]*sub \w+[ \t]*(\{|\(.*\) \{|$)
4 \$_\[\d|@_\b|\bshift;|\$self->|\bshift->
3 =~ ?(m|s|tr|y|qr)?[/{|]
4 ^package \w+(::\w+)*;
2 ^=(head[1-4]|cut|pod|over|item|back)\b
3 \bqw ?[(/{<\[]
3 \$\w+->[\[{]|\$\$\w+|@\{?\$\w+|%\$\w+|\$\w+\{\w+\}
3 ^__(END|DATA)__$|^1;$
2 \b(print|printf) (STDERR|\{?\$\w+\}?)[ ]
2 \b(unless|elsif|foreach my|last if|next unless|next if) ?\(?
4 ^(is|ok|is_deeply|isnt|like)\b.*;$|\bdone_testing\b|^subtest\b
2 ^[ \t]+['"\w]+ +=> .*,$
1 ^[ \t]*#
""",
    "Raku": r"""
6 ^[ \t]*use v6
6 \bunit (module|class|package|role|grammar|sub)\b
5 ^[ \t]*(multi|proto) (sub|method|token|submethod|MAIN)?
4 ^[ \t]*(method|submethod|our sub|only sub) [\w-]+ ?[({:]
5 \bhas (\w+ )?[$@%][.!]\w
4 ^[ \t]*(is-deeply|lives-ok|dies-ok|throws-like|eval-lives-ok|isa-ok|eval-dies-ok|cmp-ok|nok)\b
4 #\?(rakudo|niecza|pugs|does|DOES)
5 ^=begin (pod|comment|data|code)
5 (-> |for .* -> |given .* -> )[$@%\\]\w
4 ^[ \t]*(token|rule|regex|grammar|role|enum) [\w:-]+ ?(\{|does|is|;)
3 \bL<[\w-]*S\d+
4 ^use Test(::\w+)?( :\w+)?;$
2 \$[*?!]\w+
2 \.(say|WHAT|perl|raku|elems|gist|Str|\^name|\^methods)\b
3 \b[$@%]\w+-\w+
2 ^plan \d+;
3 \b(say|is|ok|subtest|is-deeply) .*, ('|"|q\[).*;$
2 [( ]:!?[a-z]\w*(,|\)|<\w+>)
3 [$@%]\w+\.\w[\w-]*(\(|;|:)|~~[ ]
1 ^[ \t]*(my|our) [\$@%&]
2 \bsub(name)? [\w-]+ ?\(.*[$@%]
3 \b(EVAL|Bool::True|Mu:U)\b|\$\*\w
""",
    "Prolog": r"""
4 ^:- ?(module|use_module|dynamic|initialization|discontiguous|multifile|ensure_loaded|set_prolog_flag|op|table
  |autoload|public|meta_predicate|begin_tests|include|attribute)\b
4 ^[a-z]\w*(\(.*\))?[ \t]*:-
3 ^[a-z]\w*(\(.*\))?[ \t]*-->
2 \\\+ ?\(?\w
2 ^[a-z]\w*\(.*\)\.[ \t]*(%.*)?$
1 ^[ \t]*%
3 \b_?[A-Z]\w* (is|=\.\.|=:=|\\==?|#=|=@=|=\\=|=<)[ ]
2 :-[ \t]*$
2 ^[ \t]+[a-z]\w*\(.*\)(,|\.)[ \t]*(%.*)?$
2 ^[ \t]*(->|;|\() +\w
2 \[[A-Z_]\w*\|[A-Z_]\w*\]
3 ^%%?!? +\w+\([+?:-]
""",
    "Python": r"""
4 ^[ \t]*(async )?def \w+\(.*(\)([ \t]*->.*)?:|,|\()[ \t]*(#.*)?$
4 ^[ \t]*from [\w.]+ import [\w(*]
2 ^import \w[\w.]*( as \w+)?(, [\w.]+)*$
4 ^[ \t]*class \w+(\(.*\))?:[ \t]*$
3 ^[ \t]*(elif .*|else|try|finally|except( .*)?|if .*|for .* in .*|while .*|with .* as .*):[ \t]*(#.*)?$
1 \bself\.\w+
3 ^[ \t]*(r|u)?(\"\"\"|''')
1 \b__\w+__\b
1 \b(None|True|False)\b
5 ^if __name__ ==[ ]
2 \blambda [\w, ]*:[ ]
1 ^[ \t]+raise \w+
1 ^[ \t]*@\w+(\.\w+)*(\(.*\))?$
1 \bnot in \b|\bis not None\b|\bisinstance\(
1 ^[ \t]+assert \w
""",
    "R": r"""
5 (\w|`) <- function ?\(
3 [\w)\]] <- [\w("`]
5 ^[ \t]*#'[ ]
4 ^[ \t]*(library|suppressPackageStartupMessages)\(\w
5 %>%|%in%|%\|\|%|%o%
1 \b(TRUE|FALSE|NULL|NA|NA_character_)\b
2 \bc\(["\w]
5 \b(test_that|expect_equal|expect_error|expect_snapshot|expect_identical|data\.frame|tibble|stopifnot|lapply
  |sapply|vapply)\(
2 \b\w+::\w+\(|\bfunction\(x
2 \w+\$\w+ <-
""",
    "Rocq Prover": r"""
5 ^[ \t]*(Require (Import|Export)|From [\w.]+ Require|Set Implicit|Unset Strict|Global Set|Local Open
  |Open Scope|Import GRing)\b
4 ^[ \t]*((Local|Global|#\[.*\]) )?(Theorem|Lemma|Definition|Inductive|Fixpoint|Corollary|Notation|Record
  |Variables?|Hypothes[ie]s|Instance|Canonical|Section|Context|Proposition|Structure|HB\.\w+|Axiom|Ltac
  |Arguments|Coercion|CoInductive|Program|Let|Fact|Remark)\b
5 \b(Qed|Defined|Admitted)\.
4 ^[ \t]*Proof\b.*\.?
3 \b(move=>|move:|rewrite |intros|apply[:/]|by case|destruct |induction |elim:|exact[: ]|have |forall )
2 ^[ \t]*End [\w.]+\.
2 \(\*
""",
    "Ruby": r"""
3 ^[ \t]*def (self\.)?\w+[?!=]?(\(.*\))?$
1 ^[ \t]*(end|rescue.*|ensure)$
3 ^[ \t]*require(_relative)? ['"]
4 \b(do|\{) ?\|.*\|
4 ^[ \t]*(attr_(accessor|reader|writer) |include [A-Z]|extend [A-Z]|private$|module [A-Z]\w*(::\w+)*$
  |class [A-Z]\w*(::\w+)*( < [A-Z]\w*(::\w+)*)?$)
3 \.each( do|_with_index| ?\{ ?\|)
3 \.(nil|empty|is_a|respond_to|key|start_with|end_with|include)\?
2 @\w+ (\|\|)?=[ ]
2 => :\w|:\w+ =>|\b\w+: :\w
1 \#\{
1 ^[ \t]*(puts|raise|unless|return unless)[ ]
4 ^[ \t]*(should|context|setup|it|describe|assert_equal|Given|When|Then|expect)[ (].* ?do$
2 ^[ \t]*(expect\(.*\)\.(to|not_to) |assert_equal )
2 \b(File|Dir|YAML|Hash|Array|Jekyll|Rails)(\.|::)[a-zA-Z]\w*
3 # frozen_string_literal
1 \b(unless|elsif|nil)\b
""",
    "Shell": r"""
5 ^[ \t]*(if|elif|while) !? ?(\[\[?|test) .*; *(then|do)
4 ^[ \t]*(fi|esac|done)\b
2 ^[ \t]*(function )?[\w:-]+ ?\(\) ?\{?$
3 ^[ \t]*(export|local|readonly|declare|typeset|unset) (-\w+ )?\w+(=|$| \w)
1 ^[ \t]*(echo|printf) ["'$\w-]
1 "\$(\w+|\{|@|\(|\*|\d)
5 ^[ \t]*case "?\$.*"? in$
5 ^[ \t]*set -[euox]+
3 2>&1|>/dev/null|> /dev/null|&& \\$|\|\| (exit|return|true|:)
4 ^[ \t]*then$|; then$|; do$
1 ^[ \t]*[A-Za-z_]\w*=["'$`\w/.]
3 \$\{\w+(:-|%|#|/|:\+|//)
2 ^[ \t]*(shift|eval|exec|source|\.|trap|alias|sudo|cd|rm|mkdir|grep|sed) ["\w$./-]
2 ^[ \t]*\w+=\$\(|`\w+[ ]
1 ^[ \t]*;;$
""",
    "V": r"""
4 ^[ \t]*(pub )?fn (\((mut )?\w+ &?[\w.\[\]]+\) )\w+(\[\w\])?\(
3 ^(pub )?fn \w+(\[\w+\])?\(.*\) (\??!?[\w.&\[\]]+ )?\{$
3 ^module [a-z]\w*$
1 ^import [a-z]\w*(\.\w+)*( as \w+| \{.*\})?$
5 \bmut \w+ :=[ ]
5 ^[ \t]*(pub )?mut:$|^[ \t]*pub:$
3 \bor \{
5 \((mut )?\w+ &?\w+\) \w+\(|\bfn \(mut \w+[ ]
1 :=[ ]
2 ^[ \t]+\w+ +[&?]?(\[\])?(int|string|bool|f64|f32|u32|u8|voidptr)( +=.*)?$
2 ^[ \t]*\w+: [\w.'"\[{]+,?$
3 '\$\{?\w+
2 ^(pub )?(struct|enum|interface|type) [A-Z]\w* ?(\{|=)
""",
}

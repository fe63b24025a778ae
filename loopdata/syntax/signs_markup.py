r"""Signs of markup, data, build files, Lisps and small tools; as in `signs_braces`.

Enters: nothing. Leaves: MARKUP, language → lines of a weight and a pattern (RE2, `^` and `$` at lines).
Limit: weights are set by hand, on real files of shared names.
"""

MARKUP = {
    "Assembly": r"""
2 (?i)^[ \t]+(mov|lea|push|pop|jmp|jne|jz|call|ret|xor|cmp|ldr|str|bl|movl|movq|pushq)[lqwb]?[ \t]+[\w%$\[#-]
4 ^[ \t]*\.(globl|global|text|section|byte|long|align|type|size|macro|endm|p2align)\b
4 (?i)^[ \t]*(%define|%macro|%ifdef|section \.|segment \w|extrn \w|bits (16|32|64)|org +\$?[0-9a-f]+)
2 (?i)^[.\w]+:?[ \t]+(equ|db|dw|dd|ds|resb|EQU)[ \t]
1 ^[ \t]*;
1 ^\.?\w+:[ \t]*(;.*)?$
""",
    "Awk": r"""
4 ^(BEGIN|END)[ \t]*\{
2 \$(NF|0|\d)\b.*\{
1 \b(NR|FS|NF|gsub)\b
""",
    "CMake": r"""
5 (?i)^[ \t]*(cmake_minimum_required|add_library|add_executable|target_\w+|find_package|set_target_properties
  |include_directories|add_subdirectory|cmake_parse_arguments|macro|endmacro|list|install|endforeach) ?\(
2 (?i)^[ \t]*(set|if|endif|message|project|include) ?\(
""",
    "Clojure": r"""
5 ^\((ns|defn-?|defmacro|deftest|defprotocol|defrecord)[ ]
2 \(:(require|import)|\(fn \[
""",
    "Common Lisp": r"""
3 ^\((defun|defmacro|defvar|defparameter|defclass|defgeneric|defmethod|defconstant)[ ]
5 (?i)^\((in-package|defpackage|asdf:|cl:)
2 \((loop|setf|multiple-value-bind|format t|let\*)[ ]
""",
    "Emacs Lisp": r"""
3 ^\((defun|defmacro|defvar|defconst)[ ]
5 ^\((require|provide) '|^\((defcustom|defgroup|defface|define-minor-mode|eval-when-compile) |^;;; .*( ---|ends here)
3 \((interactive|save-excursion|setq-local|with-current-buffer|kill-buffer)
1 \(setq[ ]
""",
    "Scheme": r"""
4 ^[ \t]*\((define|define-syntax|define-record-type|define-module|use-modules|define-library) ?[( \w]
2 \((let loop|call/cc|syntax-rules|set!|lambda)[ ]
""",
    "Racket": r"""
7 ^#lang \w
""",
    "DTrace": r"""
5 ^#pragma D option
5 ^(\w*\$?\w*:){3}[\w-]*
2 \b(execname|curpsinfo|args?\d|timestamp|walltimestamp)\b
""",
    "Diff": r"""
5 ^diff --git[ ]
5 ^@@ -\d+(,\d+)? \+\d+(,\d+)? @@
2 ^(---|\+\+\+) \S
""",
    "Dockerfile": r"""
3 ^FROM [\w./:-]+( (as|AS) \w+)?$
3 ^(RUN|COPY|ENTRYPOINT|CMD|WORKDIR|ENV|ARG|EXPOSE) \S
""",
    "HTML": r"""
7 (?i)\A[ \t\n]*(<!--[^>]*-->[ \t\n]*)?<!doctype html
5 (?i)^[ \t]*<(html|head|body)[ >]
3 (?i)</(div|body|p|table|ul|li|span|a|td|tr|h[1-6]|script|title|section|nav)>
2 (?i)^[ \t]*<(div|p|table|ul|li|span|meta|link|h[1-6]|a|td|tr|section|nav|script)[ >]
2 (?i)<(div|span|a|p|img|input) (class|href|id|src|style|type)=
""",
    "XML": r"""
7 \A[ \t\n]*<\?xml\b
7 \A[ \t\n]*<!DOCTYPE (TS|QRC|plist|RCC)
6 ^<TS version=
3 \A[ \t\n]*<[a-zA-Z][\w:.-]*([ \t\n]+xmlns|[ \t\n]+[\w:]+="|>)
3 ^[ \t]*</(message|context|name|source|translation|item|key|string|property|dict|group|PropertyGroup|ItemGroup
  |Project|widget|layout|dependency)>$
2 ^[ \t]*<[a-zA-Z][\w:.-]*([ \t]+[\w:.-]+="[^"]*")*[ \t]*/>$
2 ^[ \t]*<([a-zA-Z][\w:.-]*)>[^<]*</[a-zA-Z][\w:.-]*>$
1 ^[ \t]*<!--
""",
    "JSON": r"""
5 \A[ \t\n]*\{[ \t\n]*"[^"\n]*"[ \t]*:
4 \A[ \t\n]*\[[ \t\n]*(\{[ \t\n]*"[^"\n]*"[ \t]*:|"[^"\n]*"[ \t]*[,\]]|-?\d[\d.]*[ \t]*,)
4 ^[ \t]*"[^"\n]*": ?("[^"\n]*",?|\d+,?|\{|\[|true,?|false,?|null,?)$
""",
    "Makefile": r"""
5 ^\.(PHONY|SUFFIXES|PRECIOUS|DEFAULT|SECONDARY)[ \t]*:
6 \A[^\s:#]+\.(o|lo|obj|a|d|so|ko|rlib)( [^\s:]+)*[ \t]*:
4 \$\((wildcard|patsubst|shell|addprefix|MAKE|CC|CFLAGS|foreach|call|filter|subst|INSTALL|DESTDIR|srcdir|RM)\b
2 ^(ifeq|ifneq|ifdef|ifndef|endif|-?include|define|export)\b
2 ^[\w./$()%@-]+( [\w./$()%-]+)*[ \t]*:([^=:].*)?$
2 ^[\w.-]+[ \t]*(:|\?|\+)?=([ \t]|$)
2 ^\t@?[\w$-]
1 \$\(\w+\)
3 \$[@<^*?]|\$\([@<^*][DF]?\)
""",
    "Markdown": r"""
2 ^#{1,6} +\S
5 ^```[\w +-]*$
3 \]\([\w./#:-]+( "[^"]*")?\)
2 ^[ \t]{0,3}[*+-] \S
2 \*\*\w[^*\n]*\*\*|(^|[ (])`[^`\n]+`
2 ^\[[^\]\n]+\]: +\S
5 \A---\n(title|layout|id|description|date|author):
2 ^\|[ :-]+\|
1 ^(=====*|-----*)$
1 ^> \S
1 ^\d+\. \S
1 ^[A-Z][^;{}=]*[a-z],? [a-z ,]+(\.|:|,)?$
""",
    "Proguard": r"""
5 ^-(keep\w*|dont\w+|optimizations?|if|assumenosideeffects|printmapping|repackageclasses)\b
""",
    "QMake": r"""
5 ^[ \t]*(TEMPLATE|QT|CONFIG|TARGET|SOURCES|HEADERS|FORMS|SUBDIRS|INCLUDEPATH|LIBS|DEFINES|RESOURCES|DESTDIR
  |TRANSLATIONS|DEPENDPATH|OBJECTS_DIR|QMAKE_\w+)[ \t]*[-+*~]?=
1 ^[ \t]*!?(win32|unix|macx|mac|linux|msvc|mingw)[\w!:|-]*([ \t]*\{|:)
4 \$\$(\w|\(|\{|\[)
4 ^[ \t]*!?(isEmpty|contains|greaterThan|lessThan|equals|exists|requires|qtHaveModule|load|qtConfig)\(
""",
    "Rebol": r"""
6 (?i)^[ \t]*(rebol|red|red/system) ?\[
4 (?i)^[ \t]*[\w?!-]+: (func|function|does|make|context|funct)[ ]
""",
    "Roff": r"""
4 ^\.(TH|SH|Dd|Dt|Sh|Nm|SS)\b
4 \A('\\"|\.\\")
3 ^\.(PP|IP|TP|Pp|It|Bl|El|nf|fi|Xr|Fl|B|BR)\b
""",
    "SQL": r"""
4 (?i)^[ \t]*(select .* from|insert into \w|create (or replace |unique |temporary )*(table|view|index|function
  |procedure|database|trigger)|update \w+ set|delete from|alter table|drop table|grant \w+ on)\b
2 (?i)^[ \t]*(from|where|left join|inner join|join|group by|order by|values)\b
1 ^[ \t]*--
1 (?i)\b(varchar|primary key|not null)\b
""",
    "Tcl": r"""
5 ^[ \t]*proc \S+ \{
5 ^package (require|provide)[ ]
2 ^[ \t]*set \w+ [\["{$\w]
2 \[(list|lindex|expr|string|llength|info)[ ]
2 ^[ \t]*namespace eval
""",
    "TeX": r"""
5 \\(documentclass|usepackage|newcommand|ProvidesClass|NeedsTeXFormat|RequirePackage|LoadClass|DeclareOption
  |makeatletter|renewcommand|newenvironment)\b
3 \\(begin|end|section|subsection|chapter|label|cite|ref|item|textbf|emph|def|footnote)\b
1 ^[ \t]*%
1 \\[a-zA-Z]+\{
""",
    "VBA": r"""
5 (?i)^[ \t]*((Public|Private|Friend) )?(Sub|Function|Property (Get|Let|Set)) \w+\(
6 ^VERSION \d\.\d CLASS
5 ^Attribute VB_
4 (?i)^[ \t]*(Option Explicit|End (Sub|Function|If|Property|With|Select)|On Error (GoTo|Resume))\b
3 ^[ \t]*(Dim|ReDim|Private|Public|Const) \w+(\(.*\))? As \w
2 ^[ \t]*(Set|Dim) \w+
1 ^[ \t]*'
2 \bIf .* Then\b
""",
    "VHDL": r"""
5 (?i)^[ \t]*(library ieee|use ieee\.|entity \w+ is|architecture \w+ of)\b
3 (?i)\b(std_logic|std_logic_vector|signal \w+ ?:|downto)\b
""",
    "Vim script": r"""
4 ^[ \t]*(function! |endfunction|endfunc$|let [sgbvlwa]:|nnoremap |inoremap |autocmd |augroup |command! |au[ ]
  |syn (match|region|keyword) |hi (def )?link )
2 ^[ \t]*(set (no)?\w+$|if exists\(|if has\(|finish$|call \w+\()
1 ^[ \t]*"
""",
    "Protocol Buffer": r"""
6 ^syntax = ['"]proto[23]['"];
3 ^[ \t]*(repeated |optional |required )?\w[\w.]* \w+ = \d+( \[.*\])?;
2 ^[ \t]*(message|service|rpc|enum) \w+
""",
    "INI": r"""
2 ^\[[\w .:-]+\]$
""",
    "YAML": r"""
6 ^apiVersion:[ ]
3 \A---$
2 ^[ \t]*- \w[\w-]*:( |$)
1 ^[\w.-]+:$
1 ^[ \t]+[\w.-]+: [\w"'/.$-]
1 ^[\w.-]+: [^;{}]*[^;{},]$
1 ^[ \t]*- ["'\w/.$-]
""",
}

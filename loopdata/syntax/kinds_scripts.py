"""Node types by role for scripting languages: Python, Ruby, Lua, Julia, Shell.

Enters: nothing. Leaves: TABLES, language → role → node types, `*` standing for any letters; the roles are explained in
`node_kinds`. Written from the grammars' own lists of node types. Limit: in Shell every command is a statement, and
there are no imports, since `source` is a command like any other.
"""

TABLES: dict[str, dict[str, str]] = {
    "Python": {
        "function": "function_definition",
        "class": "class_definition",
        "comment": "comment",
        "import": "import_statement import_from_statement future_import_statement",
        "string": "string",
        "interpolation": "interpolation",
        "literal": "integer float true false none ellipsis",
        "identifier": "identifier",
        "assertion": "assert_statement",
        "placeholder": "pass_statement",
        "call": "call print_statement",
        "return": "return_statement",
        "block": "block",
        "statement": "*_statement decorated_definition",
        "expression": "*_operator call attribute subscript conditional_expression generator_expression named_expression"
        " parenthesized_expression lambda await yield list tuple set dictionary *_comprehension string"
        " concatenated_string",
    },
    "Ruby": {
        "function": "method singleton_method lambda",
        "class": "class module singleton_class",
        "comment": "comment",
        "string": "string heredoc_body regex subshell character string_array symbol_array",
        "interpolation": "interpolation",
        "literal": "integer float rational complex true false nil simple_symbol delimited_symbol hash_key_symbol",
        "identifier": "identifier constant instance_variable class_variable global_variable",
        "block": "block do_block then do block_body body_statement",
        "statement": "if unless while until case for if_modifier unless_modifier while_modifier until_modifier return"
        " alias undef begin rescue_modifier",
        "expression": "call binary unary conditional assignment operator_assignment array hash element_reference"
        " parenthesized_statements scope_resolution string lambda yield",
    },
    "Lua": {
        "function": "function_declaration function_definition",
        "comment": "comment hash_bang_line",
        "string": "string",
        "literal": "number true false nil",
        "identifier": "identifier",
        "block": "block",
        "statement": "*_statement variable_declaration",
        "expression": "*_expression function_call table_constructor",
    },
    "Julia": {
        "function": "function_definition macro_definition",
        "class": "struct_definition abstract_definition primitive_definition",
        "comment": "line_comment block_comment",
        "import": "import_statement using_statement",
        "string": "*string_literal character_literal command_literal prefixed_command_literal",
        "interpolation": "string_interpolation",
        "literal": "integer_literal float_literal boolean_literal",
        "identifier": "identifier macro_identifier",
        "block": "compound_statement do_clause else_clause",
        "statement": "*_statement *_definition assignment compound_assignment_expression",
        "expression": "*_expression",
    },
    "Shell": {
        "function": "function_definition",
        "comment": "comment",
        "string": "string raw_string ansi_c_string translated_string heredoc_body",
        "interpolation": "expansion simple_expansion command_substitution arithmetic_expansion",
        "literal": "number",
        "identifier": "word variable_name special_variable_name",
        "block": "do_group compound_statement subshell",
        "statement": "*_statement command pipeline list variable_assignment declaration_command test_command"
        " negated_command unset_command",
        "expression": "*_expression command_substitution arithmetic_expansion expansion array string",
    },
}

"""Node types by role for languages with braces: the C family, Java and its kin, JavaScript, Go, Rust, Swift.

Enters: nothing. Leaves: TABLES, language → role → node types, `*` standing for any letters; the roles are explained in
`node_kinds`. Written from the grammars' own lists of node types. Limit: a function without a body (a prototype) counts
only where the grammar gives it the node type of a function.
"""

_C = {
    "function": "function_definition",
    "class": "struct_specifier union_specifier enum_specifier",
    "comment": "comment",
    "import": "preproc_include",
    "string": "string_literal char_literal system_lib_string",
    "literal": "number_literal true false null",
    "identifier": "identifier *_identifier",
    "block": "compound_statement",
    "statement": "*_statement declaration field_declaration type_definition preproc_include preproc_def preproc_call"
    " preproc_function_def",
    "expression": "*_expression concatenated_string initializer_list",
}

_JAVASCRIPT = {
    "function": "function_declaration function_expression arrow_function method_definition generator_function"
    " generator_function_declaration",
    "class": "class_declaration class",
    "comment": "comment html_comment hash_bang_line",
    "import": "import_statement",
    "string": "string template_string regex",
    "interpolation": "template_substitution",
    "literal": "number true false null undefined",
    "identifier": "identifier *_identifier *_identifier_pattern",
    "block": "statement_block class_body switch_body",
    "statement": "*_statement *_declaration field_definition",
    "expression": "*_expression object array template_string jsx_element jsx_self_closing_element",
}

_TYPESCRIPT = _JAVASCRIPT | {
    "class": "class_declaration abstract_class_declaration interface_declaration enum_declaration class",
    "import": "import_statement import_alias",
    "literal": "number true false null undefined",
    "block": "statement_block class_body switch_body interface_body enum_body object_type",
    "statement": "*_statement *_declaration public_field_definition property_signature method_signature"
    " internal_module",
    "expression": "*_expression object array template_string",
}

TABLES: dict[str, dict[str, str]] = {
    "C": _C,
    "C++": _C
    | {
        "function": "function_definition",
        "class": "class_specifier struct_specifier union_specifier enum_specifier",
        "import": "preproc_include using_declaration",
        "string": "string_literal char_literal system_lib_string raw_string_literal",
        "literal": "number_literal true false null user_defined_literal",
        "assertion": "static_assert_declaration",
        "block": "compound_statement declaration_list",
        "statement": "*_statement *_declaration declaration for_range_loop type_definition preproc_include preproc_def"
        " preproc_call preproc_function_def namespace_definition",
    },
    "C#": {
        "function": "method_declaration constructor_declaration destructor_declaration operator_declaration"
        " conversion_operator_declaration local_function_statement",
        "class": "class_declaration struct_declaration interface_declaration record_declaration enum_declaration",
        "comment": "comment shebang_directive",
        "import": "using_directive",
        "string": "string_literal verbatim_string_literal raw_string_literal interpolated_string_expression"
        " character_literal",
        "interpolation": "interpolation",
        "literal": "integer_literal real_literal boolean_literal null_literal",
        "identifier": "identifier",
        "block": "block declaration_list switch_body accessor_list",
        "statement": "*_statement *_declaration *_directive",
        "expression": "*_expression",
    },
    "Java": {
        "function": "method_declaration constructor_declaration compact_constructor_declaration",
        "class": "class_declaration interface_declaration enum_declaration record_declaration"
        " annotation_type_declaration",
        "comment": "line_comment block_comment",
        "import": "import_declaration",
        "string": "string_literal character_literal",
        "interpolation": "string_interpolation",
        "literal": "*_literal true false",
        "identifier": "identifier type_identifier",
        "assertion": "assert_statement",
        "block": "block constructor_body class_body interface_body enum_body switch_block",
        "statement": "*_statement *_declaration explicit_constructor_invocation",
        "expression": "*_expression method_invocation method_reference field_access array_access array_initializer",
    },
    "JavaScript": _JAVASCRIPT,
    "TypeScript": _TYPESCRIPT,
    "TSX": _TYPESCRIPT | {"expression": _JAVASCRIPT["expression"]},
    "Go": {
        "function": "function_declaration method_declaration func_literal",
        "class": "struct_type interface_type",
        "comment": "comment",
        "import": "import_spec",
        "string": "interpreted_string_literal raw_string_literal rune_literal",
        "literal": "*_literal true false nil iota",
        "identifier": "identifier *_identifier",
        "block": "block field_declaration_list",
        "statement": "*_statement *_declaration",
        "expression": "*_expression composite_literal",
    },
    "Rust": {
        "function": "function_item",
        "class": "struct_item enum_item union_item trait_item",
        "comment": "line_comment block_comment",
        "import": "use_declaration extern_crate_declaration",
        "string": "string_literal raw_string_literal char_literal",
        "literal": "integer_literal float_literal boolean_literal negative_literal",
        "identifier": "identifier *_identifier metavariable lifetime",
        "block": "block declaration_list field_declaration_list enum_variant_list match_block",
        "statement": "*_statement *_declaration *_item *_definition",
        "expression": "*_expression *_expr macro_invocation",
    },
    "PHP": {
        "function": "function_definition method_declaration anonymous_function arrow_function",
        "class": "class_declaration interface_declaration trait_declaration enum_declaration anonymous_class",
        "comment": "comment",
        "import": "namespace_use_declaration require_expression require_once_expression include_expression"
        " include_once_expression",
        "string": "string encapsed_string heredoc nowdoc shell_command_expression",
        "interpolation": "variable_name dynamic_variable_name *_expression",
        "literal": "integer float boolean null",
        "identifier": "name",
        "block": "compound_statement declaration_list enum_declaration_list colon_block switch_block match_block",
        "statement": "*_statement *_declaration *_definition",
        "expression": "*_expression",
    },
    "Swift": {
        "function": "function_declaration init_declaration deinit_declaration protocol_function_declaration",
        "class": "class_declaration protocol_declaration",
        "comment": "comment multiline_comment shebang_line",
        "import": "import_declaration",
        "string": "line_string_literal multi_line_string_literal raw_string_literal regex_literal",
        "interpolation": "interpolated_expression raw_str_interpolation",
        "literal": "*_literal",
        "identifier": "simple_identifier type_identifier",
        "block": "class_body protocol_body enum_class_body computed_property",
        "statement": "*_statement *_declaration",
        "expression": "*_expression *_operation assignment array_literal dictionary_literal lambda_literal",
    },
}

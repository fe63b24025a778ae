"""Node types by role for Scala, Kotlin and Haskell.

Enters: nothing. Leaves: TABLES, language → role → node types, `*` standing for any letters; the roles are explained in
`node_kinds`. Written from the grammars' own lists of node types. Limit: a Haskell function of several equations counts
once for each equation, as the grammar sees it.
"""

TABLES: dict[str, dict[str, str]] = {
    "Scala": {
        "function": "function_definition",
        "class": "class_definition object_definition trait_definition enum_definition",
        "comment": "comment block_comment",
        "import": "import_declaration",
        "string": "string interpolated_string character_literal",
        "interpolation": "interpolation",
        "literal": "integer_literal floating_point_literal boolean_literal null_literal unit",
        "identifier": "identifier operator_identifier type_identifier package_identifier",
        "block": "block template_body indented_block case_block indented_cases enum_body",
        "statement": "*_definition *_declaration",
        "expression": "*_expression *_function",
    },
    "Kotlin": {
        "function": "function_declaration secondary_constructor anonymous_function",
        "class": "class_declaration object_declaration companion_object",
        "comment": "line_comment block_comment shebang",
        "import": "import",
        "string": "string_literal multiline_string_literal character_literal",
        "interpolation": "interpolation",
        "literal": "number_literal float_literal",
        "identifier": "identifier",
        "body": "function_body",
        "block": "block class_body enum_class_body",
        "statement": "*_statement *_declaration assignment",
        "expression": "*_expression lambda_literal object_literal collection_literal callable_reference",
    },
    "Haskell": {
        "function": "function",
        "class": "data_type newtype class instance type_synonym",
        "comment": "comment haddock",
        "import": "import",
        "string": "string char quasiquote",
        "literal": "integer float",
        "identifier": "variable constructor name operator constructor_operator module_id",
        "block": "local_binds class_declarations instance_declarations alternatives do",
        "statement": "bind signature exp generator equation data_instance type_family",
        "expression": "apply infix case conditional let_in lambda lambda_case list tuple parens left_section"
        " right_section record list_comprehension arithmetic_sequence negation projection",
    },
}

"""Node types by role for data, markup and query languages: JSON, TOML, YAML, CSS, HTML, Markdown, SQL.

Enters: nothing. Leaves: TABLES, language → role → node types, `*` standing for any letters; the roles are explained in
`node_kinds`. Written from the grammars' own lists of node types. Limit: these have statements and blocks, seldom
functions; the scripts and styles inside HTML are raw text to its grammar.
"""

TABLES: dict[str, dict[str, str]] = {
    "JSON": {
        "comment": "comment",
        "string": "string",
        "literal": "number true false null",
        "block": "object array",
        "statement": "pair",
    },
    "TOML": {
        "comment": "comment",
        "string": "string quoted_key",
        "literal": "integer float boolean *_date *_time *_date_time",
        "identifier": "bare_key",
        "block": "table table_array_element",
        "statement": "pair",
        "expression": "array inline_table",
    },
    "YAML": {
        "comment": "comment",
        "string": "single_quote_scalar double_quote_scalar block_scalar string_scalar",
        "literal": "integer_scalar float_scalar boolean_scalar null_scalar timestamp_scalar",
        "identifier": "anchor_name alias_name tag",
        "block": "block_mapping block_sequence",
        "statement": "block_mapping_pair block_sequence_item",
        "expression": "flow_mapping flow_sequence",
    },
    "CSS": {
        "comment": "comment js_comment",
        "import": "import_statement",
        "string": "string_value",
        "literal": "integer_value float_value color_value plain_value",
        "identifier": "property_name class_name id_name tag_name identifier attribute_name keyframes_name"
        " function_name feature_name",
        "block": "block keyframe_block_list",
        "statement": "rule_set declaration *_statement at_rule",
        "expression": "call_expression binary_expression",
    },
    "HTML": {
        "comment": "comment",
        "string": "quoted_attribute_value",
        "literal": "text raw_text entity attribute_value",
        "identifier": "tag_name attribute_name",
        "block": "element script_element style_element",
        "statement": "start_tag self_closing_tag",
        "expression": "attribute",
    },
    "Markdown": {
        "literal": "inline code_fence_content html_block",
        "block": "section list block_quote",
        "statement": "paragraph atx_heading setext_heading fenced_code_block list_item pipe_table",
    },
    "SQL": {
        "function": "create_function create_procedure",
        "class": "create_table create_view create_materialized_view create_type",
        "comment": "comment marginalia",
        "string": "dollar_quote",
        "literal": "literal",
        "identifier": "identifier",
        "body": "function_body procedure_body",
        "block": "subquery block cte",
        "statement": "statement",
        "expression": "binary_expression unary_expression parenthesized_expression invocation case between_expression"
        " window_function",
    },
}

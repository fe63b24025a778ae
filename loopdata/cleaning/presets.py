"""The thresholds of each preset, as one table for both stages of heuristics.

A key is a rule: `max_` or `min_` and a measure of `heuristics` or `syntax_heuristics`. A value is a threshold for all
languages, or thresholds by language with `else` for the others; null switches a rule off. Published thresholds are
those of the papers and, where these are silent, of their code; ours were set by reading what they drop (docs/log.md).
Limit: what is published about generated files, data files and a share that is drawn at random is no rule here.
"""

# The Stack v2 (StarCoder2), appendix on filters.
STACK_V2 = """
max_lines:           {else: 100_000, "Text, JSON, YAML, Web Ontology Language, Graphviz (DOT)": 512}
max_longest_line:    {else: 1_000, "HTML, JSON, Markdown, Roff, SMT, TeX, Text, XML": 100_000}
max_mean_line:       {else: 100, "HTML, JSON, Markdown, Roff, SMT, TeX, Text, XML": null}
min_alphabetic:      0.25
max_longest_encoded: 1_024
max_encoded:         0.5
min_html_text:       {HTML: 100}
min_html_text_share: {HTML: 0.2}
"""

# OpenCoder (RefineCode), its table of filters for code.
OPENCODER = """
max_bytes:              3_000_000
min_characters:         50
min_lines:              10
max_lines:              100_000
max_longest_line:       1_000
min_mean_line:          5
max_mean_line:          100
min_visible_alphabetic: 0.5
max_visible_digits:     {else: 0.2, SQL: 0.3}
max_whitespace:         0.5
max_hexadecimal:        0.4
min_words:              30
max_duplicate_lines:    0.7
max_top_2grams:         0.2
max_top_3grams:         0.18
max_top_4grams:         0.16
max_longest_encoded:    1_024
max_encoded:            0.5
min_html_text:          {HTML: 100}
min_html_text_share:    {HTML: 0.2}
max_error_share:        {Python: 0}
max_comments:           {else: 0.8, HTML: null}
max_strings:            {else: 0.6, "Shell, HTML": null}
max_asserts:            {else: 0.4, "Shell, HTML, Go": null}
max_todos:              {else: 0.01, HTML: null}
max_imports:            {Python: 0.3}
max_passes:             {Python: 0.05}
max_prints:             {Python: 0.4}
max_trivial_functions:  {Python: 0.1}
max_no_logic:           {Python: 0.5}
"""

# Ours. A published rule is left out, loosened or asked in another way where it dropped good files of popular projects.
DEFAULT = """
max_lines:              100_000
max_longest_line:       100_000
max_long_lines:         {else: 0.5, "HTML, JSON, Markdown, Org, Roff, SMT, TeX, Text, XML, reStructuredText": null}
max_mean_line:          {else: 100, "HTML, JSON, Markdown, Org, Roff, SMT, TeX, Text, XML, reStructuredText": null}
min_visible_alphabetic: {else: 0.2, "Markdown, Org, reStructuredText": null}
max_visible_digits:     0.4
max_hexadecimal:        0.4
max_encoded:            0.5
min_words:              5
max_duplicate_lines:    0.95
max_plain_comments:     0.98
max_import_text:        0.9
"""

PRESETS = {"default": DEFAULT, "stack-v2": STACK_V2, "opencoder": OPENCODER, "none": ""}

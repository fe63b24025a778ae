"""Every grammar loads, agrees with its table of node types, reads a whole text whole, and notices a broken one."""

import importlib.metadata

import pytest

from loopdata.cleaning.secrets import Secrets
from loopdata.cleaning.syntax import Syntax
from loopdata.cleaning.syntax_heuristics import SyntaxHeuristics
from loopdata.dedup.masked import MaskIdentifiers
from loopdata.dedup.semantic import SemanticDedup
from loopdata.dedup.token_ids import TokenIds
from loopdata.stage import Step
from loopdata.syntax.damage import damage
from loopdata.syntax.grammars import GRAMMARS, grammar
from loopdata.syntax.language_names import languages
from loopdata.syntax.node_kinds import TABLES, unknown
from loopdata.syntax.parse import Tree, parse
from loopdata.syntax.survey import survey
from tests.syntax.snippets import BROKEN, SNIPPETS


def tree_of(text: str, language: str) -> Tree:
    found = parse(text, language)
    assert isinstance(found, Tree), found
    return found


def test_there_are_24_languages_at_least_each_spelled_as_linguist_spells_it_with_a_table_and_a_snippet():
    assert len(GRAMMARS) >= 24
    assert set(GRAMMARS) <= languages()
    assert set(GRAMMARS) == set(TABLES) == set(SNIPPETS)


def test_a_language_without_a_grammar_has_none():
    assert grammar("COBOL") is None


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_node_type_of_the_table_is_one_of_the_grammar(language: str):
    assert unknown(language) == []


@pytest.mark.parametrize("language", GRAMMARS)
def test_a_whole_text_has_no_error_and_the_counts_that_a_reader_finds(language: str):
    text, functions, classes, comment_bytes, imports = SNIPPETS[language]
    tree = tree_of(text, language)
    found = survey(tree.outline)
    assert damage(tree).share == 0.0
    assert (found.functions, found.classes, found.comment_bytes, found.imports) == (
        functions,
        classes,
        comment_bytes,
        imports,
    )


@pytest.mark.parametrize("language", BROKEN)
def test_a_broken_text_has_exactly_this_share_of_errors(language: str):
    text, lost = BROKEN[language]
    assert damage(tree_of(text, language)).share == lost / len(text)


@pytest.mark.parametrize("stage", [Syntax, SyntaxHeuristics, Secrets, MaskIdentifiers, TokenIds, SemanticDedup])
def test_what_reads_trees_has_the_grammars_in_its_identity(stage: type[Step]) -> None:
    assert stage().identity()["grammars"]["tree_sitter_python"] == importlib.metadata.version("tree-sitter-python")

"""A repository of literal files, and who imports whom in it."""

from collections.abc import Mapping

from loopdata.retrieval.graph import ImportGraph
from loopdata.retrieval.places import BUILD_FILES, Files
from loopdata.retrieval.references import Facts, facts
from loopdata.syntax.language_names import of_path
from loopdata.syntax.parse import Tree, parse


def graph(texts: Mapping[str, str]) -> ImportGraph:
    """The import graph of files by path."""
    languages = [of_path(path) for path in texts]
    pairs = zip(texts.values(), languages, strict=True)
    trees = [parse(text, language) if language else None for text, language in pairs]
    said = [facts(tree) if isinstance(tree, Tree) else Facts() for tree in trees]
    build = {at: text for at, (path, text) in enumerate(texts.items()) if path.rpartition("/")[2] in BUILD_FILES}
    return ImportGraph(Files(list(texts), languages, said, build))


def needs(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """For each file that needs others: which, in their order."""
    found, paths = graph(texts), list(texts)
    return {paths[at]: [paths[other] for other in others] for at, others in enumerate(found.needs) if others}


def order(texts: Mapping[str, str]) -> list[str]:
    """The files in their topological order."""
    paths = list(texts)
    return [paths[at] for at in graph(texts).order()]

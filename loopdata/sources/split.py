"""The split: which documents are held out, decided before anything else, by one rule for all categories.

Enters: document tables of any source. Leaves: the same with `split` set. The group of a document is the family of its
repository, else its repository, else the host of its URL, else its parent or itself; a group is held out when its hash
falls below the fraction, so that everything derived from a repository is on one side. Limit: forks that nobody declared
as a family are told apart here; their copies are found later, by exact and near deduplication.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from loopdata.errors import ConfigError
from loopdata.stage import unit_interval


class Splitter:
    """Assigns `train` or `valid` to groups."""

    def __init__(
        self, valid: float, families: Mapping[str, Sequence[str]] | None = None, forced: Iterable[str] = ()
    ) -> None:
        """`valid` is the fraction of groups held out, below 1; `forced` groups are held out besides. 0 holds out none.

        ConfigError for another fraction, or a repository that is in two families.
        """
        if not 0.0 <= valid < 1.0:
            raise ConfigError(f"split.valid is {valid}; it must be at least 0 and below 1")
        self.valid = valid
        self.forced = frozenset(forced)
        self._family: dict[str, str] = {}
        for family, repos in sorted((families or {}).items()):
            for repo in repos:
                if self._family.setdefault(repo, family) != family:
                    raise ConfigError(
                        f"split: the repository '{repo}' is in the families {self._family[repo]}, {family}"
                    )

    def group(self, group: str) -> str:
        """The family of a repository, where one is declared, else the group itself."""
        return self._family.get(group, group)

    def split_of(self, group: str) -> str:
        """`valid` or `train` for a group, as `Input.groups` names it."""
        group = self.group(group)
        return "valid" if group in self.forced or place_of(group) < self.valid else "train"

    def force(self, groups: Iterable[str]) -> "Splitter":
        """This splitter, or where none of the known groups is held out, one that also holds out the lowest of them.

        With a single group this would leave nothing to train on: ask `can_split` first.
        """
        known = {self.group(group) for group in groups}
        if not known or not self.valid or any(self.split_of(group) == "valid" for group in known):
            return self
        lowest = min(known, key=lambda group: (place_of(group), group))
        splitter = Splitter(self.valid, forced=self.forced | {lowest})
        splitter._family = self._family
        return splitter

    def can_split(self, groups: Iterable[str]) -> bool:
        """Whether these groups can be on two sides: a single repository (or family) in total cannot."""
        return len({self.group(group) for group in groups}) > 1

    def groups_of(self, table: pa.Table) -> pa.Array:
        """The group of each document, from `repo`, `url`, `parent` and `doc_id`."""
        repo = _mapped(table["repo"], self.group)
        host = _mapped(table["url"], host_of)
        return pc.coalesce(repo, host, table["parent"].combine_chunks(), table["doc_id"].combine_chunks())

    def assign(self, table: pa.Table) -> pa.Table:
        """`table` with the column `split` set."""
        split = _mapped(self.groups_of(table), self.split_of)
        at = table.schema.get_field_index("split")
        return table.append_column("split", split) if at < 0 else table.set_column(at, "split", split)


def place_of(group: str) -> float:
    """Where a group lies in [0, 1); the same in every run, whatever its seeds."""
    return unit_interval(0, "split", group)


def host_of(url: str) -> str:
    """The host of a URL in lower case, without `www.` and port; the URL itself where it has none."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return host.rstrip(".").removeprefix("www.") if host else url


def _mapped(column: pa.Array | pa.ChunkedArray, function: Callable[[str], str]) -> pa.Array:
    """`function` of each value, asked once for each distinct one; null stays null."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = array.dictionary_encode()
    values = [function(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(values, pa.string()).take(encoded.indices)

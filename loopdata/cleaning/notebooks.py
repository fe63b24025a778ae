"""The `notebooks` stage: Jupyter notebooks become scripts in the language of their kernel, before `clean`.

Enters: documents with `content`, those named `*.ipynb` among them. Leaves: the same with the script in place of a
notebook's JSON, and its `language`, which is null for all others. It comes before `clean`, so that the script is
cleaned like any file, and nothing is spent on the outputs; and so that `language` finds the language named. A notebook
that has no script is dropped: `notebook_broken`, `notebook_language`, `notebook_without_code`. Limit: a notebook above
the `max_bytes` of its source is never read, however small its script would be.
"""

from typing import ClassVar

import pyarrow as pa

from loopdata import schema
from loopdata.cleaning.notebook_script import NotebookError, script_of
from loopdata.stage import Fate, Outcome, Stage

SUFFIX = ".ipynb"


class Notebooks(Stage):
    """Makes scripts of notebooks."""

    name = "notebooks"
    categories = frozenset({"code"})
    needs: ClassVar[dict[str, pa.DataType]] = {
        name: schema.DOCUMENT[name] for name in ("doc_id", "category", "content", "path", "num_bytes")
    }
    adds: ClassVar[dict[str, pa.DataType]] = {"language": schema.DOCUMENT["language"]}

    def apply(self, table: pa.Table) -> Outcome:
        """Turn every notebook into its script."""
        paths, doc_ids = table["path"].to_pylist(), table["doc_id"].to_pylist()
        at = [row for row, path in enumerate(paths) if path and path.lower().endswith(SUFFIX)]
        if not at:
            return Outcome(_with(table, {"language": pa.nulls(table.num_rows, schema.DOCUMENT["language"])}))
        contents, sizes = table["content"].to_pylist(), table["num_bytes"].to_pylist()
        languages: list[str | None] = [None] * table.num_rows
        keep = [True] * table.num_rows
        fates: list[Fate] = []
        for row in at:
            try:
                script = script_of(contents[row] or b"")
            except NotebookError as error:
                keep[row] = False
                fates.append(Fate(doc_ids[row], self.label, "dropped", error.rule, details=error.details))
                continue
            contents[row] = script.text.encode()
            sizes[row], languages[row] = len(contents[row]), script.language
            cells = float(script.code + script.prose)
            fates.append(Fate(doc_ids[row], self.label, "edited", "notebook", cells, details=str(script)))
        columns = {"content": contents, "num_bytes": sizes, "language": languages}
        arrays = {name: pa.array(values, schema.DOCUMENT[name]) for name, values in columns.items()}
        return Outcome(_with(table, arrays).filter(pa.array(keep, pa.bool_())), fates)


def _with(table: pa.Table, columns: dict[str, pa.Array]) -> pa.Table:
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.append_column(name, values) if at < 0 else table.set_column(at, name, values)
    return table

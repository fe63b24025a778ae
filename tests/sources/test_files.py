"""The `files` source: what becomes a document, what does not and why, and that nothing depends on listing order."""

import os
import shutil
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from loopdata import schema
from loopdata.config import parse
from loopdata.errors import ConfigError, SourceError
from loopdata.sources import entries, trees
from loopdata.sources.files import Files, FilesConfig
from loopdata.stage import Batch, Fate

Write = Callable[[dict[str, bytes]], Path]


def source(path: Path | str, **config: object) -> Files:
    return Files(parse(FilesConfig, {"path": str(path), **config}, "source"), label="src")


def read(of: Files) -> list[Batch]:
    return [batch for item in of.inputs() for batch in of.read(item)]


def paths(batches: list[Batch]) -> list[tuple[str, str]]:
    return [(row["repo"], row["path"]) for batch in batches for row in batch.documents.to_pylist()]


def fates(batches: list[Batch]) -> dict[str, Fate]:
    """The fate of each path."""
    places = {row["doc_id"]: row["path"] for batch in batches for row in batch.locations.to_pylist()}
    return {places[fate.subject]: fate for batch in batches for fate in batch.fates}


def test_a_file_becomes_a_document_with_all_its_columns(tree: Write) -> None:
    (batch,) = read(source(tree({"a/b.py": b"x = 1\n"})))
    assert batch.documents.schema == schema.source_schema()
    (row,) = batch.documents.to_pylist()
    assert row == {
        "doc_id": schema.doc_id("src", "src\0a/b.py", b"x = 1\n"),
        "blob_id": "7d4290a117a4ddcc11daae7ea675841033830c8f",
        "parent": None,
        "category": "code",
        "split": "",
        "use": "train",
        "content": b"x = 1\n",
        "parts": None,
        "source": "src",
        "repo": "src",
        "commit": None,
        "path": "a/b.py",
        "url": None,
        "date": None,
        "num_bytes": 6,
    }
    assert batch.locations.schema == schema.LOCATION
    assert batch.locations.to_pylist() == [{name: row[name] for name in schema.LOCATION.names}]


def test_files_come_sorted_by_the_bytes_of_their_paths(tree: Write) -> None:
    found = source(tree(dict.fromkeys(("b/a", "a.py", "a/z", "B", "a-b/c", "ä", "z"), b"1")))
    assert [path for _, path in paths(read(found))] == ["B", "a-b/c", "a.py", "a/z", "b/a", "z", "ä"]


def test_the_order_of_a_listing_changes_nothing(tree: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    of = source(tree({f"{top}/{name}": name.encode() for top in "ab" for name in "xyz"}), repo_per="top_folder")
    inputs, batches = of.inputs(), read(of)
    scandir = os.scandir

    class Backwards:
        def __init__(self, path: bytes) -> None:
            with scandir(path) as listing:
                self._found = list(listing)[::-1]

        def __enter__(self) -> list[object]:
            return self._found

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(trees.os, "scandir", Backwards)
    assert of.inputs() == inputs
    assert [b.documents for b in read(of)] == [b.documents for b in batches]


def test_each_top_folder_is_a_repository_and_loose_files_are_one(tree: Write) -> None:
    of = source(tree({"b/x.py": b"1", "a/c/y.py": b"2", "z.py": b"3"}), repo_per="top_folder")
    assert [(item.name, item.groups) for item in of.inputs()] == [("a", ("a",)), ("b", ("b",)), ("src", ("src",))]
    assert paths(read(of)) == [("a", "c/y.py"), ("b", "x.py"), ("src", "z.py")]


def test_a_top_folder_named_like_the_source_stays_apart_from_loose_files(tree: Write) -> None:
    of = source(tree({"src/x.py": b"1", "z.py": b"3"}), repo_per="top_folder")
    assert paths(read(of)) == [("src", "x.py"), ("src/.", "z.py")]


def test_repo_names_the_one_repository(tree: Write) -> None:
    of = source(tree({"a/x.py": b"1"}), repo="named")
    assert [(item.name, item.num_bytes) for item in of.inputs()] == [("named", 1)]
    assert paths(read(of)) == [("named", "a/x.py")]


def test_links_are_not_followed(tree: Write) -> None:
    root = tree({"real/a.py": b"1"})
    (root / "to_file").symlink_to(root / "real/a.py")
    (root / "to_folder").symlink_to(root / "real")
    (root / "dangling").symlink_to("nowhere")
    (root / "real/loop").symlink_to(root)
    batches = read(source(root))
    assert paths(batches) == [("src", "real/a.py")]
    assert {path: (f.stage, f.fate, f.rule) for path, f in fates(batches).items()} == dict.fromkeys(
        ("to_file", "to_folder", "dangling", "real/loop"), ("read", "dropped", "symlink")
    )


def test_special_files_are_never_opened(tree: Write) -> None:
    root = tree({"a.py": b"1"})
    os.mkfifo(root / "pipe")  # opening it would wait for a writer for ever
    with socket.socket(socket.AF_UNIX) as unix:
        here = Path.cwd()
        os.chdir(root)
        unix.bind("socket")
        os.chdir(here)
        batches = read(source(root))
    assert {path: (f.fate, f.rule) for path, f in fates(batches).items()} == {
        "pipe": ("dropped", "special_file"),
        "socket": ("dropped", "special_file"),
    }


def test_a_file_that_became_a_pipe_is_noticed_without_waiting(tree: Write) -> None:
    root = tree({"a.py": b"1"})
    local = trees.open_tree(str(root))
    (found,) = local.walk(lambda folder: False, lambda name, is_folder: True)
    (root / "a.py").unlink()
    os.mkfifo(root / "a.py")
    with pytest.raises(trees.ChangedError):
        local.read(found)


@pytest.mark.parametrize(("size", "rule"), [(9, None), (10, None), (11, "oversized")])
def test_files_above_max_bytes_are_dropped_unread(tree: Write, size: int, rule: str | None) -> None:
    batches = read(source(tree({"a": b"x" * size}), max_bytes=10))
    found = fates(batches).get("a")
    assert (found and found.rule) == rule
    if found:
        assert (found.value, found.threshold) == (11.0, 10.0)
        assert batches[0].locations["blob_id"].to_pylist() == [None]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b"a" * 7_999 + b"\0", False),
        (b"a" * 8_000 + b"\0", True),
        (b"\xff\xfea\0", True),
        (b"\xfe\xff\0a", True),
        (b"\xff\xfe\0\0a\0\0\0", True),
        (b"\0\0\xfe\xff\0\0\0a", True),
        (b"\xff\xfda\0", False),
        (b"", True),
    ],
)
def test_binary_is_a_nul_in_the_first_8000_bytes(tree: Write, content: bytes, kept: bool) -> None:
    batches = read(source(tree({"a": content})))
    assert [f.rule for f in fates(batches).values()] == ([] if kept else ["binary"])


def test_an_unreadable_file_is_quarantined_and_its_neighbours_are_read(
    tree: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.py": b"1", "b.py": b"2", "c.py": b"3"})
    really_open = os.open

    def refuse(path: bytes, flags: int) -> int:
        if path.endswith(b"b.py"):
            raise PermissionError(13, "Permission denied")
        return really_open(path, flags)

    monkeypatch.setattr(trees.os, "open", refuse)
    batches = read(source(root))
    assert paths(batches) == [("src", "a.py"), ("src", "c.py")]
    found = fates(batches)["b.py"]
    assert (found.fate, found.rule, found.details) == ("quarantined", "unreadable", "Permission denied")


def test_a_folder_that_cannot_be_listed_is_quarantined_whatever_the_patterns(
    tree: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.py": b"1", "closed/b.py": b"2"})
    scandir = os.scandir

    def refuse(path: bytes) -> object:
        if path.endswith(b"closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(trees.os, "scandir", refuse)
    for config in ({}, {"repo_per": "top_folder"}):
        batches = read(source(root, include=["*.py"], **config))
        assert paths(batches) == [("src", "a.py")]
        assert [(path, f.fate, f.rule) for path, f in fates(batches).items()] == [
            ("closed", "quarantined", "unreadable")
        ]


def test_caches_and_version_control_are_left_out_by_default(tree: Write) -> None:
    names = ["a.py", "__pycache__/a.pyc", "d/__pycache__/b.pyc", ".git/config", "sub/.git", ".hg/x", "d/.svn/x"]
    assert paths(read(source(tree(dict.fromkeys(names, b"1"))))) == [("src", "a.py")]


def test_an_exclude_that_is_given_replaces_the_default(tree: Write) -> None:
    of = source(tree({"a.py": b"1", ".hg/x": b"2", "a.txt": b"3"}), exclude=["*.txt"])
    assert [path for _, path in paths(read(of))] == [".hg/x", "a.py"]


def test_include_takes_only_what_it_names(tree: Write) -> None:
    of = source(tree({"a.py": b"1", "d/b.py": b"2", "d/c.txt": b"3"}), include=["*.py"])
    assert [path for _, path in paths(read(of))] == ["a.py", "d/b.py"]


def test_a_path_that_is_not_utf8_is_written_with_escapes(tree: Write) -> None:
    root = tree({"a.py": b"1"})
    Path(os.fsdecode(os.fsencode(root) + b"/b\xff\xc3\xa9.py")).write_bytes(b"same")
    (root / r"b\xffé.py").write_bytes(b"same")
    batches = read(source(root))
    assert [path for _, path in paths(batches)] == ["a.py", r"b\xffé.py", r"b\xffé.py"]
    assert len(set(batches[0].documents["doc_id"].to_pylist())) == 3


def test_every_entry_is_counted_once(tree: Write) -> None:
    root = tree({"a": b"1", "b": b"\0", "c": b"x" * 20, "d/e": b"1"})
    (root / "link").symlink_to("a")
    (batch,) = read(source(root, max_bytes=10))
    located = batch.locations["doc_id"].to_pylist()
    ended = batch.documents["doc_id"].to_pylist() + [fate.subject for fate in batch.fates]
    assert Counter(located) == Counter(ended) and len(set(located)) == 5


def test_batches_are_cut_by_content_only(tree: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "BATCH_BYTES", 10)
    monkeypatch.setattr(entries, "BATCH_ENTRIES", 3)
    sizes = {"a": 4, "b": 6, "c": 1, "d": 1, "e": 1, "f": 1, "g": 25}
    batches = read(source(tree({name: b"x" * size for name, size in sizes.items()})))
    assert ["".join(batch.documents["path"].to_pylist()) for batch in batches] == ["ab", "cde", "f", "g"]


def test_a_changed_file_fails_the_read_and_says_what_to_do(tree: Write) -> None:
    root = tree({"a.py": b"1"})
    of = source(root)
    (item,) = of.inputs()
    (root / "a.py").write_bytes(b"22")
    with pytest.raises(SourceError, match=r"src .*changed since it was planned; run again"):
        list(of.read(item))


@pytest.mark.parametrize("change", ["new file", "removed", "touched", "renamed"])
def test_the_digest_changes_with_names_and_times(tree: Write, change: str) -> None:
    root = tree({"a.py": b"1", "b.py": b"2"})
    (before,) = source(root).inputs()
    if change == "new file":
        (root / "c.py").write_bytes(b"3")
    elif change == "removed":
        (root / "a.py").unlink()
    elif change == "touched":
        os.utime(root / "a.py", ns=(1, 1))
    else:
        (root / "a.py").rename(root / "0.py")
    assert source(root).inputs()[0].digest != before.digest


def test_other_repositories_keep_their_digest(tree: Write) -> None:
    root = tree({"a/x": b"1", "b/x": b"2"})
    before = {item.name: item.digest for item in source(root, repo_per="top_folder").inputs()}
    (root / "b/y").write_bytes(b"3")
    after = {item.name: item.digest for item in source(root, repo_per="top_folder").inputs()}
    assert before["a"] == after["a"] and before["b"] != after["b"]


def test_data_that_were_moved_are_the_same(tree: Write, tmp_path: Path) -> None:
    root = tree({"a.py": b"1"})
    shutil.copytree(root, tmp_path / "moved")
    here, there = source(root), source(tmp_path / "moved")
    assert here.identity() == there.identity()
    assert [i.digest for i in here.inputs()] == [i.digest for i in there.inputs()]
    assert here.identity() != source(root, max_bytes=5).identity()


def test_a_missing_path_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        source(tmp_path / "nowhere").inputs()
    with pytest.raises(ConfigError, match="memory://nowhere"):
        source("memory://nowhere").inputs()


def test_a_file_in_place_of_a_folder_is_a_wrong_request(tree: Write) -> None:
    with pytest.raises(ConfigError, match="is not a folder"):
        source(tree({"a.py": b"1"}) / "a.py").inputs()


def test_a_tree_without_files_is_an_error(tree: Write) -> None:
    with pytest.raises(SourceError, match="found no files"):
        source(tree({"a.py": b"1"}), include=["*.rs"]).inputs()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"repo": "a", "repo_per": "top_folder"}, "exclude each other"),
        ({"exclude": ["[z-a]"]}, r"\[z-a\]"),
        ({"includes": []}, "did you mean 'include'"),
        ({"max_bytes": 0}, "max_bytes"),
    ],
)
def test_a_wrong_config_names_the_key(config: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(FilesConfig, {"path": "x", **config}, "sources.src")


def test_a_remote_folder_is_read_alike(tree: Write) -> None:
    fs = fsspec.filesystem("memory")
    files = {"a/x.py": b"1", "b/__pycache__/x.pyc": b"2", "b/y.py": b"\0", "z.py": b"3"}
    for name, content in files.items():
        fs.pipe_file(f"/remote-files/{name}", content)
    try:
        remote = read(source("memory://remote-files", repo_per="top_folder"))
    finally:
        fs.rm("/remote-files", recursive=True)
    local = read(source(tree(files), repo_per="top_folder"))
    assert [b.documents for b in remote] == [b.documents for b in local]
    assert [b.fates for b in remote] == [b.fates for b in local]


def test_a_remote_file_that_changed_fails_the_read() -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe_file("/changing/x.py", b"1")
    of = source("memory://changing")
    (item,) = of.inputs()
    fs.pipe_file("/changing/x.py", b"2")
    with pytest.raises(SourceError, match="run again"):
        list(of.read(item))
    fs.rm("/changing", recursive=True)

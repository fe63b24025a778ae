"""The `git` source: what lies in a commit is read from its objects, and nothing of the repository is run."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from loopdata import git
from loopdata.config import parse
from loopdata.errors import ConfigError, SourceError
from loopdata.sources import git as git_source
from loopdata.sources.git import Git, GitConfig
from loopdata.stage import Batch, Fate
from tests.sources.conftest import run_git

Write = Callable[[dict[str, bytes]], Path]


def source(path: Path | str, **config: object) -> Git:
    return Git(parse(GitConfig, {"path": str(path), **config}, "source"), label="src")


def read(of: Git) -> list[Batch]:
    return [batch for item in of.inputs() for batch in of.read(item)]


def contents(batches: list[Batch]) -> dict[str, bytes]:
    return {row["path"]: row["content"] for batch in batches for row in batch.documents.to_pylist()}


def fates(batches: list[Batch]) -> dict[str, Fate]:
    """The fate of each path."""
    places = {row["doc_id"]: row["path"] for batch in batches for row in batch.locations.to_pylist()}
    return {places[fate.subject]: fate for batch in batches for fate in batch.fates}


def object_file(folder: Path, name: str) -> Path:
    """The loose object that a revision names, made writable."""
    found = run_git(folder, "rev-parse", name).decode().strip()
    path = folder / ".git/objects" / found[:2] / found[2:]
    path.chmod(0o644)
    return path


def test_the_files_of_the_commit_are_read_not_those_of_the_work_tree(repository: Write) -> None:
    root = repository({"a.py": b"1\n", "d/b.py": b"2\r\n"})
    (root / "a.py").write_bytes(b"changed")
    (root / "new.py").write_bytes(b"new")
    (batch,) = read(source(root))
    head = run_git(root, "rev-parse", "HEAD").decode().strip()
    rows = batch.documents.to_pylist()
    assert [(row["path"], row["content"]) for row in rows] == [("a.py", b"1\n"), ("d/b.py", b"2\r\n")]
    assert {(row["repo"], row["commit"], row["date"]) for row in rows} == {
        ("tree", head, datetime(2002, 3, 4, 3, 6, 7, tzinfo=UTC))
    }
    (item,) = source(root).inputs()
    assert (item.name, item.digest, item.num_bytes, item.groups) == ("tree", head, 5, ("tree",))


def test_paths_order_and_blob_ids_agree_with_git_ls_tree(repository: Write) -> None:
    names = ("a.c", "a/x", "a-b", "a0", "b/c/d/e", "B", "ä/ö", "z.sh", "empty")
    root = repository({name: name.encode() if name != "empty" else b"" for name in names})
    (root / "z.sh").chmod(0o755)
    run_git(root, "commit", "-qam", "executable")
    listed = run_git(root, "ls-tree", "-r", "-z", "HEAD").decode().split("\0")[:-1]
    wanted = [(line.split("\t")[1], line.split()[2]) for line in listed]
    rows = [row for batch in read(source(root)) for row in batch.documents.to_pylist()]
    assert [(row["path"], row["blob_id"]) for row in rows] == wanted
    rows = [row for batch in read(source(root)) for row in batch.locations.to_pylist()]
    assert [(row["path"], row["blob_id"]) for row in rows] == wanted


def test_the_executable_bit_changes_no_document(repository: Write) -> None:
    root = repository({"a.sh": b"1"})
    before = read(source(root))[0].documents["doc_id"]
    (root / "a.sh").chmod(0o755)
    run_git(root, "commit", "-qam", "executable")
    assert read(source(root))[0].documents["doc_id"] == before


def test_a_blob_in_several_places_is_read_once(repository: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository({"a": b"same", "b": b"other", "c/d": b"same", "e": b"same"})
    asked: list[str] = []
    really = git.read_blob

    def counted(repo: object, blob: str) -> bytes:
        asked.append(blob)
        return really(repo, blob)

    monkeypatch.setattr(git_source.git, "read_blob", counted)
    assert contents(read(source(root))) == {"a": b"same", "b": b"other", "c/d": b"same", "e": b"same"}
    assert sorted(Counter(asked).values()) == [1, 1]


def test_blobs_beyond_the_memory_for_them_are_read_again(repository: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository({"a": b"same", "b": b"same"})
    monkeypatch.setattr(git_source, "HELD_BYTES", 3)
    assert contents(read(source(root))) == {"a": b"same", "b": b"same"}


def test_links_submodules_binary_and_large_files_have_their_fate(repository: Write) -> None:
    root = repository({"a": b"1", "bin": b"\0", "large": b"x" * 11, "limit": b"x" * 10})
    (root / "link").symlink_to("a")
    run_git(root, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    run_git(root, "add", "link")
    run_git(root, "commit", "-qm", "more")
    batches = read(source(root, max_bytes=10))
    assert list(contents(batches)) == ["a", "limit"]
    assert {path: (f.fate, f.rule, f.value, f.threshold) for path, f in fates(batches).items()} == {
        "bin": ("dropped", "binary", 0, None),
        "large": ("dropped", "oversized", 11, 10),
        "link": ("dropped", "symlink", None, None),
        "sub": ("dropped", "submodule", None, None),
    }
    located = batches[0].locations["doc_id"].to_pylist()
    assert len(located) == len(set(located)) == 6


def test_large_files_are_not_read(repository: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository({"large": b"x" * 11})
    monkeypatch.setattr(git_source.git, "read_blob", lambda *_: pytest.fail("read"))
    assert [f.rule for f in fates(read(source(root, max_bytes=10))).values()] == ["oversized"]


def test_include_and_exclude_choose_paths(repository: Write) -> None:
    root = repository({"a.py": b"1", "t/b.py": b"2", "c.txt": b"3"})
    assert list(contents(read(source(root, include=["*.py"], exclude=["t/**"])))) == ["a.py"]


def test_a_path_that_is_not_utf8_is_written_with_escapes(repository: Write) -> None:
    root = repository({"a": b"1"})
    Path(os.fsdecode(os.fsencode(root) + b"/\xff")).write_bytes(b"2")
    run_git(root, "add", "-A")
    run_git(root, "commit", "-qm", "odd")
    assert contents(read(source(root))) == {"a": b"1", r"\xff": b"2"}


@pytest.mark.parametrize("revision", ["main", "v1", "HEAD~1", "full id"])
def test_a_revision_is_read(repository: Write, revision: str) -> None:
    root = repository({"a": b"old"})
    run_git(root, "tag", "-a", "-m", "annotated", "v1")
    run_git(root, "checkout", "-q", "-b", "other")
    first = run_git(root, "rev-parse", "main").decode().strip()
    (root / "a").write_bytes(b"new")
    run_git(root, "commit", "-qam", "second")
    assert contents(read(source(root, revision=first if revision == "full id" else revision))) == {"a": b"old"}


def test_a_branch_that_moves_on_after_planning_changes_nothing(repository: Write) -> None:
    root = repository({"a": b"old"})
    of = source(root)
    (item,) = of.inputs()
    (root / "a").write_bytes(b"new")
    run_git(root, "commit", "-qam", "second")
    assert contents(list(of.read(item))) == {"a": b"old"}
    assert of.inputs()[0].digest != item.digest


def bare(root: Path, to: Path) -> Path:
    run_git(root, "clone", "-q", "--bare", ".", str(to / "project.git"))
    return to / "project.git"


def bundle(root: Path, to: Path) -> Path:
    run_git(root, "bundle", "create", "-q", str(to / "project.bundle"), "--all")
    return to / "project.bundle"


def worktree(root: Path, to: Path) -> Path:
    run_git(root, "worktree", "add", "-q", "--detach", str(to / "project"))
    return to / "project"


@pytest.mark.parametrize("kind", [bare, bundle, worktree])
def test_bare_repositories_bundles_and_linked_work_trees_read_alike(
    repository: Write, tmp_path: Path, kind: Callable[[Path, Path], Path]
) -> None:
    root = repository({"a": b"1", "d/b": b"2"})
    of = source(kind(root, tmp_path))
    (item,) = of.inputs()
    assert (item.name, item.digest) == ("project", run_git(root, "rev-parse", "HEAD").decode().strip())
    assert contents(read(of)) == {"a": b"1", "d/b": b"2"}


def test_a_bundle_leaves_nothing_behind(repository: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = bundle(repository({"a": b"1"}), tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(git.tempfile, "tempdir", str(tmp_path / "temporary"))
    assert contents(read(source(packed))) == {"a": b"1"}
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_truncated_bundle_is_a_named_error(repository: Write, tmp_path: Path) -> None:
    packed = bundle(repository({"a": bytes(range(256)) * 50}), tmp_path)
    packed.write_bytes(packed.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"cannot unpack the bundle .*project\.bundle"):
        source(packed).inputs()


def test_a_bundle_without_its_base_is_a_named_error(repository: Write, tmp_path: Path) -> None:
    root = repository({"a": b"1"})
    (root / "a").write_bytes(b"2")
    run_git(root, "commit", "-qam", "second")
    run_git(root, "bundle", "create", "-q", str(tmp_path / "part.bundle"), "main~1..main")
    with pytest.raises(SourceError, match="prerequisite"):
        source(tmp_path / "part.bundle").inputs()


def test_a_missing_repository_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        source(tmp_path / "nowhere").inputs()
    with pytest.raises(ConfigError, match="is no git repository"):
        source(tmp_path).inputs()
    with pytest.raises(ConfigError, match="not on a local disk"):
        source("memory://x").inputs()


def test_a_subfolder_is_refused_with_the_top_folder_as_remedy(repository: Write) -> None:
    root = repository({"d/a": b"1"})
    with pytest.raises(ConfigError, match=f"is no git repository; give its top folder, {root}$"):
        source(root / "d").inputs()


def test_an_unknown_revision_names_the_nearest(repository: Write) -> None:
    with pytest.raises(ConfigError, match="no commit named 'mian'; did you mean 'main'"):
        source(repository({"a": b"1"}), revision="mian").inputs()


def test_a_repository_without_commits_is_an_error(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q")
    with pytest.raises(SourceError, match="has no commits"):
        source(tmp_path).inputs()


def test_a_commit_without_files_is_an_error(repository: Write) -> None:
    root = repository({"a": b"1"})
    run_git(root, "rm", "-q", "a")
    run_git(root, "commit", "-qm", "empty")
    with pytest.raises(SourceError, match="holds no files"):
        source(root).inputs()


@pytest.mark.parametrize("damage", ["missing", "garbage", "other content", "cut"])
def test_a_damaged_blob_costs_that_file_only(repository: Write, damage: str) -> None:
    root = repository({"a": b"1", "b": b"2" * 100, "c": b"3"})
    broken, other = object_file(root, "HEAD:b"), object_file(root, "HEAD:c")
    if damage == "missing":
        broken.unlink()
    else:
        whole = broken.read_bytes()
        broken.write_bytes({"garbage": b"garbage", "other content": other.read_bytes(), "cut": whole[:12]}[damage])
    batches = read(source(root))
    assert contents(batches) == {"a": b"1", "c": b"3"}
    found = fates(batches)["b"]
    assert (found.fate, found.rule) == ("quarantined", "corrupt_object")


def test_a_damaged_folder_costs_that_folder_only(repository: Write) -> None:
    root = repository({"a": b"1", "d/b": b"2", "e/c": b"3"})
    object_file(root, "HEAD:d").write_bytes(b"garbage")
    batches = read(source(root, include=["a", "d/b", "e/c"]))
    assert contents(batches) == {"a": b"1", "e/c": b"3"}
    assert {path: (f.fate, f.rule) for path, f in fates(batches).items()} == {"d": ("quarantined", "corrupt_object")}


def test_a_damaged_commit_is_a_named_error(repository: Write) -> None:
    root = repository({"a": b"1"})
    object_file(root, "HEAD").write_bytes(b"garbage")
    with pytest.raises(SourceError, match="cannot be read"):
        source(root).inputs()


def test_a_tree_nested_without_end_is_quarantined(repository: Write) -> None:
    root = repository({"a": b"1"})
    with git.opened(str(root)) as opened:
        tree = opened.revparse_single("HEAD^{tree}").id
        for _ in range(git.MAX_DEPTH + 5):
            builder = opened.TreeBuilder()
            builder.insert("d", tree, 0o040000)
            tree = builder.write()
        (entry,) = git.entries(opened, tree)
    assert entry.path == b"/".join([b"d"] * git.MAX_DEPTH) and "deep" in str(entry.broken)


def test_a_tree_that_names_billions_of_paths_is_refused(repository: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = repository({"a": b"1"})
    with git.opened(str(root)) as opened:
        tree = opened.revparse_single("HEAD^{tree}").id
        for _ in range(10):
            builder = opened.TreeBuilder()
            for number in range(10):
                builder.insert(f"d{number}", tree, 0o040000)
            tree = builder.write()
    commit = run_git(root, "commit-tree", str(tree), "-m", "bomb").decode().strip()
    monkeypatch.setattr(git_source, "MAX_ENTRIES", 1_000)
    with pytest.raises(SourceError, match="more than 1000 entries"):
        source(root, revision=commit).inputs()


def test_nothing_that_a_repository_configures_is_run(repository: Write, tmp_path: Path) -> None:
    root = repository({"a.txt": b"1", ".gitattributes": b"*.txt filter=evil diff=evil merge=evil text eol=crlf\n"})
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc", "post-index-change", "fsmonitor-watchman"):
        shutil.copy(trap, root / ".git/hooks" / hook)
    (tmp_path / "included").write_text(f"[core]\n\tpager = {trap}\n\tsshCommand = {trap}\n")
    keys = (
        "core.fsmonitor core.editor core.gitProxy core.alternateRefsCommand filter.evil.smudge filter.evil.clean"
        " filter.evil.process diff.evil.textconv diff.evil.command diff.external uploadpack.packObjectsHook"
    )
    for key in keys.split():
        run_git(root, "config", key, str(trap))
    run_git(root, "config", "include.path", str(tmp_path / "included"))
    run_git(root, "config", "core.hooksPath", str(root / ".git/hooks"))
    assert contents(read(source(root)))["a.txt"] == b"1"
    assert not (tmp_path / "sprung").exists()


def test_unpacking_a_bundle_runs_no_hook_of_the_user(
    repository: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = bundle(repository({"a": b"1"}), tmp_path)
    hooks = tmp_path / "templates/hooks"
    hooks.mkdir(parents=True)
    trap = hooks / "reference-transaction"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[core]\n\thooksPath = {hooks}\n[init]\n\ttemplateDir = {hooks.parent}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(hooks.parent))
    assert contents(read(source(packed))) == {"a": b"1"}
    assert not (tmp_path / "sprung").exists()


def test_a_broken_configuration_of_the_user_changes_nothing(
    repository: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = repository({"a": b"1"})
    (tmp_path / ".gitconfig").write_text("[[[broken")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert contents(read(source(root))) == {"a": b"1"}


def test_a_repository_of_another_owner_opens(repository: Write) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give files away")
    root = repository({"a": b"1"})
    for path in (root, *root.rglob("*")):
        os.chown(path, 12_345, 12_345)
    assert contents(read(source(root))) == {"a": b"1"}


@pytest.mark.parametrize(
    ("path", "name"),
    [("x/project", "project"), ("x/project.git", "project"), ("x/project/.git", "project"), ("a.bundle", "a")],
)
def test_a_repository_is_named_after_its_folder(tmp_path: Path, path: str, name: str) -> None:
    assert git.repository_name(tmp_path / path) == name


def test_path_and_revision_are_no_part_of_the_identity(tmp_path: Path) -> None:
    assert source(tmp_path).identity() == source("/other", revision="main").identity()
    assert source(tmp_path).identity() != source(tmp_path, exclude=["*.c"]).identity()

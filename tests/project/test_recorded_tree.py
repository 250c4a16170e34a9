"""A mirror of the index, held against what git itself would check out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.project.recorded_tree import Tree, mirror, relocated
from modelbuild.project.repository import open_repository
from tests.project.git_harness import Git, repository

FILES = {
    "models.yaml": "top",
    "sub/models.yaml": "sub",
    "sub/data/a.txt": "a",
    "sub/data/b.txt": "b",
    "sub/deep/er/c.txt": "c",
    "shared/x.txt": "x",
}
IGNORED = "ignored/big.npy"


@pytest.fixture
def git(tmp_path: Path) -> Git:
    git = repository(tmp_path / "a repository", FILES)
    with (git.folder / ".gitignore").open("a") as stream:
        stream.write("ignored/\n")
    git.commit()
    (git.folder / "ignored").mkdir()
    (git.folder / IGNORED).write_text("big")
    return git


def contents(folder: Path) -> dict[str, str]:
    """Relative path -> text of every file, behind links too; of a link that leads nowhere, what it says."""
    paths = [Path(where, name) for where, _, names in os.walk(folder, followlinks=True) for name in names]
    return {
        os.path.relpath(path, folder): path.read_text() if path.exists() else f"-> {path.readlink()}"
        for path in paths
    }


def mirrored(git: Git, project: str = "sub", commit: str = "") -> dict[str, str]:
    place = git.folder / project / ".modelbuild/recorded/tree"
    with mirror(open_repository(git.folder), git.folder / project, place, commit) as tree:
        found = contents(tree.top)
        assert tree.folder(git.folder / project) == place / project
    assert not place.exists()
    return found


def checked_out(git: Git, tmp_path: Path, commit: str = "") -> dict[str, str]:
    """What git would write, and what it ignores."""
    folder = tmp_path / "checked out"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    folder.mkdir()
    tree = commit or git("write-tree").strip()
    archive = subprocess.run(
        ["git", "archive", tree], cwd=git.folder, stdout=subprocess.PIPE, check=True
    ).stdout
    subprocess.run(["tar", "-x"], input=archive, cwd=folder, check=True)
    ignored = {IGNORED: "big"} if (git.folder / IGNORED).exists() else {}
    return {**contents(folder), **ignored}


def test_what_agrees_is_linked_and_what_does_not_comes_from_the_index(git: Git, tmp_path: Path) -> None:
    (git.folder / "sub/data/a.txt").write_text("staged")
    git("add", "sub/data/a.txt")
    (git.folder / "sub/data/a.txt").write_text("not staged")
    (git.folder / "sub/data/new.txt").write_text("unknown to git")
    place = git.folder / "sub/.modelbuild/recorded/tree"
    with mirror(open_repository(git.folder), git.folder / "sub", place) as tree:
        assert tree.not_recorded == {"sub/data/new.txt"}
        assert (tree.top / "sub/data/a.txt").read_text() == "staged"
        assert (tree.top / "shared").is_symlink() and (tree.top / "sub/data/b.txt").is_symlink()
        assert not (tree.top / "sub/data/new.txt").exists()
        assert not (tree.top / "sub/.modelbuild").exists() and not (tree.top / ".git").exists()
        assert (tree.top / "sub/../shared/x.txt").read_text() == "x"
    assert mirrored(git) == checked_out(git, tmp_path)


ACTIONS = (
    "edit",
    "stage",
    "delete",
    "remove",
    "rename",
    "announce",
    "folder",
    "file",
    "chmod",
    "link",
    "touch",
)
NAMES = (*FILES, "sub/new.txt", "sub/data/new.txt", "added/d.txt", "sub/data")


edits_of_a_user = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12
)


def check_edits(tmp_path: Path, edits: list[tuple[str, str, str]]) -> None:
    git = repository(tmp_path / "r", FILES)
    for number, edit in enumerate(edits):
        _do(git, number, *edit)
    assert mirrored(git) == checked_out(git, tmp_path)


@settings(max_examples=10, deadline=None)
@given(edits_of_a_user)
def test_after_any_edits_it_is_what_git_would_check_out(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, str, str]]
) -> None:
    check_edits(tmp_path_factory.mktemp("mirror"), edits)


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(edits_of_a_user)
def test_after_many_edits_it_is_what_git_would_check_out(
    tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, str, str]]
) -> None:
    check_edits(tmp_path_factory.mktemp("mirror"), edits)


def _do(git: Git, number: int, action: str, name: str, other: str) -> None:
    """One edit of the work tree or the index; those that git or the disk refuses do nothing."""
    path, second = git.folder / name, git.folder / other
    try:
        if action in {"edit", "file"}:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{action} {number}")
        elif action == "stage":
            git.run("add", "--all", "--", name)
        elif action == "delete":
            path.unlink()
        elif action == "remove":
            git.run("rm", "-rq", "--cached", "--", name)
        elif action == "rename":
            git.run("mv", name, other)
        elif action == "announce":
            git.run("add", "-N", "--", name)
        elif action == "folder":
            path.unlink()
            path.mkdir()
            (path / "inner.txt").write_text(f"inner {number}")
        elif action == "chmod":
            path.chmod(0o755)
        elif action == "link" and path != second and second.is_file() and not second.is_symlink():
            path.unlink()
            path.symlink_to(os.path.relpath(second, path.parent))
        elif action == "touch":
            os.utime(path, ns=(number, number))
    except OSError:
        return


def test_an_announced_file_that_is_gone_again(git: Git, tmp_path: Path) -> None:
    for name in ("sub/announced.txt", "sub/empty.txt"):
        (git.folder / name).touch()
    git("add", "-N", "sub/announced.txt")
    git("add", "sub/empty.txt")
    for name in ("sub/announced.txt", "sub/empty.txt"):
        (git.folder / name).unlink()
    found = mirrored(git)
    assert "sub/announced.txt" not in found and found["sub/empty.txt"] == ""
    assert found == checked_out(git, tmp_path)


def test_a_commit_that_is_not_checked_out(git: Git, tmp_path: Path) -> None:
    before = git("rev-parse", "HEAD").strip()
    (git.folder / "sub/data/b.txt").unlink()
    (git.folder / "sub/data/a.txt").write_text("later")
    (git.folder / "sub/data/e.txt").write_text("later")
    git.commit()
    (git.folder / "sub/data/a.txt").write_text("not even staged")
    assert mirrored(git, commit=before) == checked_out(git, tmp_path, before)
    assert git("status", "--porcelain") == " M sub/data/a.txt\n"


def test_links_of_the_repository_stay_inside_of_the_mirror(git: Git, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("outside")
    (git.folder / "sub/inner").symlink_to("../shared")
    (git.folder / "sub/outer.txt").symlink_to("../../outside.txt")
    git.commit()
    (git.folder / "shared/x.txt").write_text("not staged")
    found = mirrored(git)
    assert found["sub/inner/x.txt"] == found["shared/x.txt"] == "x"
    assert found["sub/outer.txt"] == "outside"


def test_line_ends_and_other_filters_are_those_of_a_checkout(git: Git) -> None:
    (git.folder / ".gitattributes").write_text("*.crlf text eol=crlf\n*.up filter=up\n")
    git("config", "filter.up.smudge", "tr a-z A-Z")
    git("config", "filter.up.clean", "tr A-Z a-z")
    (git.folder / "sub/a.crlf").write_bytes(b"one\r\n")
    (git.folder / "sub/b.up").write_text("ABC")
    git.commit()
    (git.folder / "sub/a.crlf").write_bytes(b"two\r\n")
    (git.folder / "sub/b.up").write_text("DEF")
    place = git.folder / ".modelbuild/tree"
    with mirror(open_repository(git.folder), git.folder, place) as tree:
        assert (tree.top / "sub/a.crlf").read_bytes() == b"one\r\n"
        assert (tree.top / "sub/b.up").read_text() == "ABC"


def test_nothing_in_the_repository_is_touched(git: Git) -> None:
    (git.folder / "sub/data/a.txt").write_text("not staged")
    index = git.folder / ".git/index"
    before = index.read_bytes(), git("status", "--porcelain")
    mirrored(git)
    mirrored(git, commit=git("rev-parse", "HEAD").strip())
    assert (index.read_bytes(), git("status", "--porcelain")) == before


def test_a_conflict_must_be_resolved_first(git: Git) -> None:
    git("checkout", "-q", "-b", "other")
    (git.folder / "models.yaml").write_text("theirs")
    git.commit()
    git("checkout", "-q", "main")
    (git.folder / "models.yaml").write_text("ours")
    git.commit()
    git.run("merge", "-q", "other")
    with pytest.raises(ModelbuildError, match="has a conflict") as caught:
        mirrored(git)
    assert caught.value.exit_code == 2


def test_many_files_of_one_glob_are_added_by_it(git: Git) -> None:
    paths = {f"sub/img {part}/{number}.png" for part in "ab" for number in range(3)}
    tree = Tree(open_repository(git.folder), Path("/mirror"), frozenset({*paths, "img c/0.png"}))

    def advised(pattern: str) -> tuple[str, str]:
        error = ModelbuildError("no sample file matches", where=pattern)
        (problem,) = relocated(error, tree, git.folder / "sub").problems
        return problem.why, problem.advice

    assert advised("img*/*.png") == (
        "img a/0.png and 5 more are in the work tree, but git was not told of them",
        "`git add 'sub/img*/*.png'`",
    )
    assert advised("**/*.png")[1] == "`git add ':(glob)sub/**/*.png'`"
    assert advised("../img*/*.png")[1] == "`git add 'img c/0.png'`"


def test_messages_name_the_work_tree_and_say_what_is_not_staged(git: Git) -> None:
    tree = Tree(
        open_repository(git.folder), Path("/mirror"), frozenset({"sub/new model.onnx", "sub/x/y.npy"})
    )
    told = relocated(
        ModelbuildError("the model new model.onnx does not exist", where="/mirror/sub/models.yaml:3:1"),
        tree,
        git.folder / "sub",
    ).problems[0]
    assert told.where == f"{git.folder}/sub/models.yaml:3:1"
    assert told.advice == "`git add 'sub/new model.onnx'`"
    glob = relocated(
        ModelbuildError("no sample file matches", why="x/*.npy: looked in x"), tree, git.folder / "sub"
    )
    assert glob.problems[0].advice == "`git add sub/x/y.npy`"
    other = ModelbuildError("the model renew model.onnx does not exist", advice="correct the path")
    assert relocated(other, tree, git.folder / "sub").problems == other.problems

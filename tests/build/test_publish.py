"""A product is complete or absent, and untouched while it is right."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build import publish
from modelbuild.errors import ModelbuildError


def built(project: Project, text: str) -> dict[str, str]:
    result = project.build([action("a", parameters={"text": text}), action("b", "several")])
    return {"model.nef": result.outputs["a"]["text"], "deep/empty": result.outputs["b"]["empty"]}


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_publishing_twice_touches_nothing(project: Project) -> None:
    files, dist = built(project, "one"), project.root / "dist" / "doorbell"
    assert project.builder.publish(files, dist) is True
    assert content(dist) == {"model.nef": "one()", "deep/empty": ""}
    before = {path: path.stat() for path in [dist, *dist.rglob("*")]}
    assert project.builder.publish(files, Path("dist/doorbell")) is False
    assert {path: path.stat() for path in [dist, *dist.rglob("*")]} == before
    assert (dist / "model.nef").stat().st_mode & 0o200


@pytest.mark.parametrize("damage", ["alter", "remove", "add"])
def test_whatever_befell_a_product_it_is_made_right(project: Project, damage: str) -> None:
    files, dist = built(project, "one"), project.root / "dist" / "doorbell"
    project.builder.publish(files, dist)
    if damage == "alter":
        (dist / "model.nef").write_text("ONE()")
    elif damage == "remove":
        (dist / "model.nef").unlink()
    else:
        (dist / "old.nef").write_text("of an earlier manifest")
    assert project.builder.publish(files, dist) is True
    assert content(dist) == {"model.nef": "one()", "deep/empty": ""}
    assert [path.name for path in (project.root / "dist").iterdir()] == ["doorbell"]


def test_a_product_is_replaced_as_a_whole_or_not_at_all(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = project.root / "dist" / "doorbell"
    project.builder.publish(built(project, "one"), dist)
    files = built(project, "two")
    original = publish._copy

    def interrupted(state, digest: str, target: Path) -> None:
        original(state, digest, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(publish, "_copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        project.builder.publish(files, dist)
    assert content(dist)["model.nef"] == "one()"
    monkeypatch.undo()
    assert project.builder.publish(files, dist) is True
    assert content(dist)["model.nef"] == "two()"
    assert [path.name for path in (project.root / "dist").iterdir()] == ["doorbell"]


@pytest.mark.parametrize("links", [True, False])
def test_what_is_right_in_a_product_stays_the_file_that_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """A package of large models, of which one is another, is not written anew. Some disks have no links."""
    dist = project.root / "dist" / "doorbell"
    project.builder.publish(built(project, "one"), dist)
    before = (dist / "deep/empty").stat().st_ino

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    if not links:
        monkeypatch.setattr(os, "link", refused)
    assert project.builder.publish(built(project, "two"), dist) is True
    assert content(dist) == {"model.nef": "two()", "deep/empty": ""}
    found = (dist / "deep/empty").stat()
    assert (found.st_ino == before) is links and found.st_nlink == 1


def test_a_file_of_a_product_that_was_altered_is_no_part_of_the_next(project: Project) -> None:
    files, dist = built(project, "one"), project.root / "dist" / "doorbell"
    project.builder.publish(files, dist)
    (dist / "model.nef").write_text("ONE()")
    (dist / "deep/empty").unlink()
    (dist / "deep/empty").symlink_to(dist / "model.nef")
    assert project.builder.publish(files, dist) is True
    assert content(dist) == {"model.nef": "one()", "deep/empty": ""}
    assert not (dist / "deep/empty").is_symlink()


def test_a_damaged_blob_is_never_published(project: Project) -> None:
    files, dist = built(project, "one"), project.root / "dist" / "doorbell"
    blob = project.state / "store" / "blobs" / files["model.nef"][:2] / files["model.nef"][2:]
    blob.chmod(0o644)
    blob.write_text("ONE()")
    with pytest.raises(ModelbuildError, match=r"stored bytes of model\.nef are damaged") as caught:
        project.builder.publish(files, dist)
    assert caught.value.exit_code == 1
    assert not dist.exists()
    assert project.builder.publish(built(project, "one"), dist) is True


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ""])
def test_a_name_that_leads_out_is_refused(project: Project, name: str) -> None:
    files = built(project, "one")
    with pytest.raises(ModelbuildError, match="no relative path inside"):
        project.builder.publish({name: files["model.nef"]}, project.root / "dist" / "doorbell")


def test_a_withdrawn_product_replaces_the_older_stale_one(project: Project) -> None:
    dist, stale = Path("dist/doorbell"), Path("dist/.stale/doorbell")
    assert project.builder.withdraw(dist, stale) is False
    for text in ("one", "two"):
        project.builder.publish(built(project, text), dist)
        assert project.builder.withdraw(dist, stale) is True
        assert not (project.root / dist).exists()
        assert content(project.root / stale)["model.nef"] == f"{text}()"
    assert [path.name for path in (project.root / "dist" / ".stale").iterdir()] == ["doorbell"]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_cleaning_removes_what_was_published_and_nothing_else(project: Project) -> None:
    files = built(project, "one")
    for name in ("dist/doorbell", "dist/mine/nested", "reports/doorbell"):
        project.builder.publish(files, Path(name))
    project.builder.withdraw(Path("dist/doorbell"), Path("dist/.stale/doorbell"))
    project.builder.publish(files, Path("dist/doorbell"))
    project.write("dist/notes.txt", "mine")
    project.write("dist/mine/keep.txt", "mine")
    project.write("dist/.doorbell.new/half", "left by a build that was killed")
    removed = project.builder.clean()
    assert [path.relative_to(project.root).as_posix() for path in removed] == [
        "dist/.stale/doorbell",
        "dist/doorbell",
        "dist/mine/nested",
        "reports/doorbell",
    ]
    assert names(project.root) == [
        ".modelbuild",
        ".modelbuild/lock",
        "dist",
        "dist/mine",
        "dist/mine/keep.txt",
        "dist/notes.txt",
    ]


def test_cleaning_knows_a_product_that_was_right_already(project: Project) -> None:
    """The state was lost, the product not: publishing it again is enough to remember it."""
    project.builder.publish(built(project, "one"), Path("dist/doorbell"))
    (project.state / "published.json").unlink()
    assert project.builder.publish(built(project, "one"), Path("dist/doorbell")) is False
    project.builder.clean()
    assert not (project.root / "dist").exists()


def test_cleaning_follows_no_link_and_leaves_the_project(project: Project, tmp_path: Path) -> None:
    files = built(project, "one")
    outside = tmp_path / "outside"
    project.builder.publish(files, outside)
    project.builder.publish(files, Path("dist/doorbell"))
    (project.root / "dist/doorbell").rename(tmp_path / "moved")
    (project.root / "dist/doorbell").symlink_to(tmp_path / "moved")
    assert project.builder.clean() == ()
    assert content(outside) and content(tmp_path / "moved")


def test_a_damaged_memory_of_what_was_published_removes_nothing(project: Project) -> None:
    project.builder.publish(built(project, "one"), Path("dist/doorbell"))
    memory = project.state / "published.json"
    memory.write_bytes(memory.read_bytes().replace(b"doorbell", b"../../xx"))
    assert project.builder.clean() == ()
    assert (project.root / "dist/doorbell/model.nef").exists()

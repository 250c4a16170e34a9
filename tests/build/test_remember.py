"""What a remembered build rests on: its products are what was published only where they lie themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build.recall import recall
from modelbuild.build.remember import Product

FOLDER = "dist/a"


@pytest.fixture
def published(project: Project) -> Path:
    """The folder of a product of a build that is remembered."""
    one = action("a", "several")
    with project.builder.hold():
        outputs = project.build([one]).outputs["a"]
        project.builder.publish(outputs, Path(FOLDER))
        told = project.builder.remember("asked", {}, 10**19, [Product(FOLDER, outputs)], None, None)
        assert not told
    return project.root / FOLDER


def different(project: Project) -> bool:
    found = recall(str(project.root), str(project.state), "asked")
    assert found is not None
    return bool(found.different)


def moved(path: Path) -> None:
    path.rename(path.parent.parent / "moved")
    path.symlink_to(path.parent.parent / "moved")


def copied(path: Path) -> None:
    spare = path.parent.parent / "spare"
    (shutil.copytree if path.is_dir() else shutil.copy)(path, spare)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(spare)


@pytest.mark.parametrize("exchange", [moved, copied])
@pytest.mark.parametrize("name", [".", "text", "a", "a/b/deep.txt"])
def test_a_link_to_the_very_bytes_is_no_product(
    project: Project, published: Path, name: str, exchange: Callable[[Path], None]
) -> None:
    assert not different(project)
    exchange(published / name)
    assert (published / "a/b/deep.txt").read_text() == "deep"
    assert different(project)


def test_a_link_on_the_way_to_the_product_is_the_users(project: Project, published: Path) -> None:
    moved(published.parent)
    assert not different(project)


def test_a_product_written_anew_with_the_same_bytes_is_no_change(project: Project, published: Path) -> None:
    text = published / "text"
    content = text.read_bytes()
    text.unlink()
    text.write_bytes(content)
    assert not different(project)
    text.write_bytes(content + b"!")
    assert different(project)

"""What is otherwise since a snapshot was written stands beside it, and counts only where it belongs to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_harness import Project, action

from modelbuild.build import amendment
from modelbuild.build.recall import AMENDED, path_of, recall
from modelbuild.build.remember import Product

ACTIONS = [
    action("left", "upper", inputs={"x": "left.txt"}),
    action("right", "upper", inputs={"x": "right.txt"}),
]


class Remembered:
    """A project of two actions, each published."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        self.edit(left="l", right="r")
        builder = self.project.builder
        with builder.hold():
            result = self.project.build(ACTIONS, ["left", "right"])
            products = self.publish(result.outputs)
            assert not builder.remember("asked", {}, 0, products, "told", "plan")
        self.file = Path(path_of(str(self.project.state), "asked"))
        self.beside = Path(f"{self.file}{AMENDED}")

    def edit(self, **texts: str) -> None:
        for name, text in texts.items():
            self.project.write(f"{name}.txt", text)

    def publish(self, outputs) -> list[Product]:  # type: ignore[no-untyped-def]
        products = [Product(f"dist/{name}", {"text": outputs[name]["text"]}) for name in sorted(outputs)]
        for product in products:
            self.project.builder.publish(product.files, Path(product.folder))
        return products

    def resume(self, told: str) -> list[str]:
        """Builds what differs and keeps what came of it; the names of what was built."""
        builder = self.project.builder
        with builder.hold():
            found = builder.resume("asked")
            assert found is not None
            names = [one.name for one in found.actions]
            result = self.project.build(found.actions, names, given=found.given())
            products = dict(enumerate(["left", "right"]))
            changed = {
                index: product
                for index, name in products.items()
                if name in names
                for product in self.publish({name: result.outputs[name]})
            }
            assert builder.renew("asked", found, changed, told)
        return names

    def seen(self) -> tuple[object, list[str]]:
        """What is told again, and the rows that differ."""
        found = recall(str(self.project.root), str(self.project.state), "asked")
        assert found is not None
        return found.snapshot.told, [found.snapshot.rows.names[row] for row in found.different]


@pytest.fixture
def remembered(tmp_path: Path) -> Remembered:
    return Remembered(tmp_path / "project")


def test_the_file_of_the_snapshot_stays_as_it_is(remembered: Remembered) -> None:
    before = remembered.file.read_bytes()
    remembered.edit(left="other")
    assert remembered.resume("again") == ["left"]
    assert remembered.seen() == ("again", [])
    remembered.edit(right="other")
    assert remembered.resume("once more") == ["right"]
    assert remembered.seen() == ("once more", [])
    assert remembered.file.read_bytes() == before


def test_what_is_much_is_written_into_the_snapshot(
    remembered: Remembered, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered.edit(left="other")
    remembered.resume("again")
    before = remembered.file.read_bytes()
    monkeypatch.setattr(amendment, "_MOST", 3)
    remembered.edit(left="one more")
    remembered.resume("once more")
    assert remembered.file.read_bytes() != before
    assert not remembered.beside.exists()
    assert remembered.seen() == ("once more", [])


def test_without_it_or_with_a_damaged_one_what_differs_is_seen_once_more(remembered: Remembered) -> None:
    remembered.edit(left="other")
    remembered.resume("again")
    whole = remembered.beside.read_bytes()
    for data in (
        b"",
        whole[:-1],
        whole[:50],
        bytes([whole[0] ^ 1]) + whole[1:],
        whole[:99] + b"?" + whole[100:],
    ):
        remembered.beside.write_bytes(data)
        told, different = remembered.seen()
        assert told == "told"
        assert "left.txt" in different and "right.txt" not in different
    remembered.beside.unlink()
    assert remembered.seen()[0] == "told"
    assert remembered.resume("once more") == ["left"]
    assert remembered.seen() == ("once more", [])


def test_it_says_nothing_of_another_snapshot(remembered: Remembered, tmp_path: Path) -> None:
    remembered.edit(left="other")
    remembered.resume("again")
    other = Remembered(tmp_path / "other")
    other.beside.write_bytes(remembered.beside.read_bytes())
    assert other.seen() == ("told", [])

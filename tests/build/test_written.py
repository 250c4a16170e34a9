"""Actions as bytes: what is read back is what was written, whatever is damaged is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelbuild.build.action import Action, FileInput, OutputOf, Resources
from modelbuild.build.written import Damaged, Written, write

FIRST = Action("first", "module:function", "1")
FULL = Action(
    name="full",
    function="module:other",
    version="2",
    parameters={"chip": {"cores": [1, 2], "name": "any"}, "none": None, "real": 0.5},
    inputs={"file": FileInput("models/a.onnx"), "made": OutputOf("first", "graph")},
    soft_inputs={"report": OutputOf("first", "text")},
    discover="module:discover",
    toolchain="fingerprint",
    libraries={"numpy": "2.0"},
    always=True,
    resources=Resources(threads=3, memory=5, memory_per_input_byte=1.5, counted=("file", "made")),
    unkeyed={"url": "https://example.com"},
    secrets=("KEY",),
)


@pytest.mark.parametrize("value", [FULL, FULL.resources])
def test_the_example_leaves_no_field_at_its_default(value: Any) -> None:
    """A field that is new must be in the example, or a loss of it is not seen."""
    for name, default in value._field_defaults.items():
        assert getattr(value, name) != default, name


def written(folder: Path) -> tuple[Path, bytes]:
    data, name = write([FIRST, FULL], [[1], [0, 1]], {"told": [1]})
    (folder / "plan").write_bytes(data)
    return folder / "plan", name


def test_every_field_comes_back(tmp_path: Path) -> None:
    found = Written(*written(tmp_path))
    assert [found.action(0), found.action(1)] == [FIRST, FULL]
    assert [found.dependencies(0), found.dependencies(1)] == [[], [0]]
    assert [found.dependents(0), found.dependents(1)] == [[1], []]
    assert [found.readers(0), found.readers(1)] == [[1], [0, 1]]
    assert found.told == {"told": [1]}
    found.close()


def test_a_plan_of_many_actions_comes_back(tmp_path: Path) -> None:
    """More than one block of the index is about."""
    actions = [FIRST] + [
        Action(f"a{n}", "m:f", "1", {"n": n}, {"made": OutputOf("first", "graph")}) for n in range(400)
    ]
    data, name = write(actions, [[7, 400]], None)
    (tmp_path / "plan").write_bytes(data)
    found = Written(tmp_path / "plan", name)
    assert [found.action(index) for index in range(len(actions))] == actions
    assert found.dependents(0) == list(range(1, 401)) and found.dependencies(400) == [0]
    assert found.readers(0) == [7, 400]
    found.close()


def test_each_byte_that_differs_is_noticed_where_it_is_read(tmp_path: Path) -> None:
    path, name = written(tmp_path)
    whole = path.read_bytes()
    for index in range(len(whole)):
        path.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        with pytest.raises(Damaged):
            found = Written(path, name)
            try:
                for action in (0, 1):
                    found.action(action)
                    found.dependents(action)
                    found.readers(action)
            finally:
                found.close()


def test_another_plan_is_refused_and_so_is_none(tmp_path: Path) -> None:
    path, name = written(tmp_path)
    for where, called in ((path, b"x" * 32), (tmp_path / "none", name)):
        with pytest.raises(Damaged):
            Written(where, called)


def test_what_is_no_plain_value_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        write([Action("a", "m:f", "1", parameters={"path": Path("x")})], [], None)

"""The compiler and the simulator count and compute for themselves: neither uses the other's code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import modelbuild

PACKAGE = Path(modelbuild.__file__).parent
COUNTS = {f"modelbuild.npu.simulator.{name}" for name in ("accesses", "clock", "maps", "work")}


def imported(path: Path) -> Iterator[str]:
    """Every module and every name in a module that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, path
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files() -> list[tuple[Path, bool]]:
    """All of modelbuild's, and whether they are the simulator's."""
    room = PACKAGE / "npu" / "simulator"
    return [(path, room in path.parents) for path in sorted(PACKAGE.rglob("*.py"))]


def test_of_npu_the_simulator_knows_the_program_only() -> None:
    own = [path for path, inside in files() if inside]
    assert len(own) > 9
    for path in own:
        for name in imported(path):
            if name.startswith("modelbuild.npu"):
                assert name.startswith(("modelbuild.npu.program", "modelbuild.npu.simulator")), path


def test_nobody_else_knows_how_the_simulator_counts() -> None:
    for path, inside in files():
        if not inside and "simulator" in path.read_text("utf-8"):  # or it cannot import one
            assert not COUNTS.intersection(imported(path)), path


def test_the_compiler_does_not_run_the_simulator() -> None:
    for path, inside in files():
        if not inside and PACKAGE / "npu" in path.parents:
            assert not any(name.startswith("modelbuild.npu.simulator") for name in imported(path)), path


ROOMS = ("program", "planning", "rewriting", "emitting", "lowering", "", "predicting")  # "" is npu/ itself


def room_of(module: str) -> str | None:
    """The room of `npu/` that a dotted name lies in; None of one elsewhere or of the simulator."""
    parts = module.split(".")
    if parts[:2] != ["modelbuild", "npu"] or parts[2:3] == ["simulator"]:
        return None
    return parts[2] if len(parts) > 2 and (PACKAGE / "npu" / parts[2]).is_dir() else ""


def test_rooms_import_from_rooms_before_them() -> None:
    for path in sorted((PACKAGE / "npu").rglob("*.py")):
        own = room_of(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))
        for name in imported(path) if own is not None else ():
            other = room_of(name)
            if other is not None and name != "modelbuild.npu":
                assert ROOMS.index(other) <= ROOMS.index(own or ""), f"{path} imports {name}"

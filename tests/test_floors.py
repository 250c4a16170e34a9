"""The house stands: imports go down only, strings of the form "module:function" included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "modelbuild"
FLOORS = (
    "errors",
    "lfs",
    "resources",
    "address",
    "globs",
    "whole_file",
    "input_file",
    "output_file",
    "https",
    "build",
    "formats",
    "chips",
    "samples",
    "graph",
    "arithmetic",
    "importers",
    "quantize",
    "npu",
    "kpu",
    "toolchains",
    "artifacts",
    "report",
    "stages",
    "manifest",
    "project",
    "api",
    "cli",
)
CLOSED = {"build": {"errors"}, "formats": {"errors"}, "samples": {"errors", "lfs", "globs"}}
SIMULATOR_MAY_IMPORT = {"modelbuild.errors", "modelbuild.npu.program", "modelbuild.npu.simulator"}
STAGE_STRING = re.compile(r"^modelbuild(\.\w+)+:\w+$")


@dataclass(frozen=True)
class Facts:
    """Of a file: the modules of the project that it imports, absolute; those named by "module:function"
    strings; and the texts that each line decides by."""

    imports: tuple[str, ...]
    stages: tuple[str, ...]
    decisions: tuple[tuple[int, frozenset[str]], ...]


@cache
def facts(path: Path) -> Facts:
    """Parsed once for all tests; the tree, which is large, is not kept."""
    package = ("modelbuild", *path.relative_to(PACKAGE).parent.parts)
    imports, stages, decisions = list[str](), list[str](), list[tuple[int, frozenset[str]]]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            imports += (
                [f"{module}.{alias.name}" for alias in node.names] if module == "modelbuild" else [module]
            )
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and STAGE_STRING.match(node.value)
        ):
            stages.append(node.value.split(":")[0])
        elif isinstance(node, ast.If | ast.IfExp | ast.Compare | ast.Match):
            decides = node.test if isinstance(node, ast.If) else node
            decisions.append((node.lineno, frozenset(_texts(decides))))
    own = tuple(name for name in imports if name.split(".")[0] == "modelbuild")
    return Facts(own, tuple(stages), tuple(each for each in decisions if each[1]))


def _texts(node: ast.AST) -> Iterator[str]:
    for item in ast.walk(node):
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            yield item.value


def room(module: str) -> str:
    """The room of a dotted module name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def own_room(path: Path) -> str:
    """The room that a file of the package is in."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def sources(own: str) -> list[Path]:
    """The files of a room."""
    return [path for path in SOURCES if own_room(path) == own]


SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE or path.stem not in {"__init__", "__main__"}
)


ROOMS = sorted({own_room(path) for path in SOURCES})
EVERY_ROOM = pytest.mark.parametrize("own", ROOMS)


def test_every_room_is_in_the_plan() -> None:
    assert set(ROOMS) == set(FLOORS), "the rooms and the plan of docs/design.md are not the same"


@EVERY_ROOM
def test_imports_go_down_only(own: str) -> None:
    for path in sources(own):
        relative = path.relative_to(PACKAGE)
        for module in facts(path).imports:
            target = room(module)
            if target in {"", "__version__"}:  # `from modelbuild import __version__`
                continue
            assert target in FLOORS, f"{relative} imports {module}, which the plan does not name"
            below = FLOORS.index(target) <= FLOORS.index(own)
            assert below, f"{relative} imports {module} from a room above it"
            if own in CLOSED:
                assert target == own or target in CLOSED[own], f"{relative} imports {module}"


@EVERY_ROOM
def test_stage_strings_name_stages(own: str) -> None:
    """Only planning, toolchains and the builder's own test rooms may name a stage, and only a stage."""
    for path in sources(own):
        for module in facts(path).stages:
            assert room(module) == "stages", f"{path} names {module}, which is no stage"
            assert own in {"toolchains", "stages", "manifest"}, f"{path} names a stage"


def test_the_simulator_is_walled_off() -> None:
    for path in (PACKAGE / "npu" / "simulator").rglob("*.py"):
        for module in facts(path).imports:
            allowed = any(module == name or module.startswith(name + ".") for name in SIMULATOR_MAY_IMPORT)
            assert allowed, f"{path} imports {module}"
    for path in [PACKAGE / "npu" / "program.py", *(PACKAGE / "npu" / "program").rglob("*.py")]:
        for module in facts(path).imports if path.exists() else []:
            allowed = module == "modelbuild.errors" or module.startswith("modelbuild.npu.program")
            assert allowed, f"{path} imports {module}"


def test_no_chip_stands_in_an_if() -> None:
    chips = {path.stem for path in (PACKAGE.parent / "recipes").glob("*.yaml")}
    for path in SOURCES:
        for line, texts in facts(path).decisions:
            assert not texts & chips, f"{path}:{line} decides by the chip's name {texts & chips}"

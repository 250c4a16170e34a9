"""The house stands: imports go down only, strings of the form "module:function" included."""

from __future__ import annotations

import ast
import re
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


def imported_modules(path: Path) -> list[str]:
    """Every module of the project that the file imports, absolute."""
    package = ("modelbuild", *path.relative_to(PACKAGE).parent.parts)
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module or "") if part)
            found += (
                [f"{module}.{alias.name}" for alias in node.names] if module == "modelbuild" else [module]
            )
    return [name for name in found if name.split(".")[0] == "modelbuild"]


def stage_strings(path: Path) -> list[str]:
    """The modules named by "module:function" strings in the file."""
    return [
        node.value.split(":")[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STAGE_STRING.match(node.value)
    ]


def room(module: str) -> str:
    """The room of a dotted module name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


SOURCES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.parent != PACKAGE or path.stem not in {"__init__", "__main__"}
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    relative = path.relative_to(PACKAGE)
    own = relative.parts[0].removesuffix(".py")
    assert own in FLOORS, f"{own} is not in the plan of docs/design.md"
    for module in imported_modules(path):
        target = room(module)
        if target in {"", "__version__"}:  # `from modelbuild import __version__`
            continue
        assert target in FLOORS, f"{relative} imports {module}, which the plan does not name"
        assert FLOORS.index(target) <= FLOORS.index(own), f"{relative} imports {module} from a room below it"
        if own in CLOSED:
            assert target == own or target in CLOSED[own], f"{relative} imports {module}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_stage_strings_name_stages(path: Path) -> None:
    """Only planning, toolchains and the builder's own test rooms may name a stage, and only a stage."""
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in stage_strings(path):
        assert room(module) == "stages", f"{path} names {module}, which is no stage"
        assert own in {"toolchains", "stages", "manifest"}, f"{path} names a stage"


def test_the_simulator_is_walled_off() -> None:
    for path in (PACKAGE / "npu" / "simulator").rglob("*.py"):
        for module in imported_modules(path):
            allowed = any(module == name or module.startswith(name + ".") for name in SIMULATOR_MAY_IMPORT)
            assert allowed, f"{path} imports {module}"
    for path in [PACKAGE / "npu" / "program.py", *(PACKAGE / "npu" / "program").rglob("*.py")]:
        for module in imported_modules(path) if path.exists() else []:
            allowed = module == "modelbuild.errors" or module.startswith("modelbuild.npu.program")
            assert allowed, f"{path} imports {module}"


def test_no_chip_stands_in_an_if() -> None:
    chips = {path.stem for path in (PACKAGE.parent / "recipes").glob("*.yaml")}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.If | ast.IfExp | ast.Compare | ast.Match):
                names = {item.value for item in ast.walk(node) if isinstance(item, ast.Constant)}
                hits = {name for name in names if isinstance(name, str) and name in chips}
                if isinstance(node, ast.If):
                    tests = {item.value for item in ast.walk(node.test) if isinstance(item, ast.Constant)}
                    hits &= {name for name in tests if isinstance(name, str)}
                assert not hits, f"{path}:{node.lineno} decides by the chip's name {hits}"

"""Programs -> the files of a package, and back. One module a container format."""

from __future__ import annotations

from types import ModuleType

from modelbuild.artifacts.packing import mpk, nef
from modelbuild.artifacts.packing.program import PackedProgram, Program

__all__ = ["FORMATS", "PackedProgram", "Program"]

# Each module has `pack(programs, container) -> {file name: bytes}`
# and `unpack(data) -> {model name or id: Program}`.
FORMATS: dict[str, ModuleType] = {"nef": nef, "mpk": mpk}

"""Programs -> the files of a package, and back. One module a container format."""

from __future__ import annotations

from types import ModuleType

from modelbuild.artifacts.packing import kmodel, mpk, nef
from modelbuild.artifacts.packing.program import Described, PackedProgram, Program

__all__ = ["FORMATS", "Described", "PackedProgram", "Program"]

# Each module has `pack(programs, container) -> {file name: bytes}`, its inverse for one file,
# `unpack(data, file name) -> [Program]`, and `describe(packed) -> Described`.
FORMATS: dict[str, ModuleType] = {"nef": nef, "mpk": mpk, "kmodel": kmodel}

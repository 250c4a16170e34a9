"""A compiled model on its way into or out of a package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Program:
    """Three byte strings that the simulator runs; `id` is the model's number in the package, if any."""

    name: str
    command: bytes
    weights: bytes
    host: bytes
    id: int | None = None

    @property
    def size(self) -> int:
        """Bytes of the three."""
        return len(self.command) + len(self.weights) + len(self.host)


@dataclass(frozen=True)
class PackedProgram:
    """A program with what the container wants to know of it. `plan` is the compile stage's compile.json."""

    program: Program
    version: str
    plan: Mapping[str, Any]
    source: str = ""  # base name of the source model
    source_digest: str = ""
    time: int = 0  # of members, in containers that have times: seconds since 1970

    @property
    def batch(self) -> Mapping[str, Any]:
        """Pictures a run: `desired`, null where nothing was asked for, `achieved` and `reasons`."""
        found: Mapping[str, Any] = self.plan["batch"]
        return found

    @property
    def cpu_nodes(self) -> tuple[tuple[str, str], ...]:
        """(name, kind) of each operator that the CPU runs."""
        return tuple(
            (layer["name"], layer["kind"]) for layer in self.plan["layers"] if layer["unit"] == "cpu"
        )

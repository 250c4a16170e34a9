"""A compiled model on its way into or out of a package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.kpu.named import KEY as INSIDE
from modelbuild.npu.program import TensorPlace, interface


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


@dataclass(frozen=True)
class Described:
    """What those who feed a program must know, which not every container tells. `metadata` is the fixed
    model's, texts of JSON among them; `apart` what of it the container does not hold."""

    chip: str
    arithmetic: str
    inputs: tuple[QuantizedTensor, ...]
    outputs: tuple[QuantizedTensor, ...]
    metadata: Mapping[str, str]
    apart: Mapping[str, str] = field(default_factory=dict)

    def without_inside(self) -> Described:
        """Without the names of tensors inside the model, which lie beside no encrypted package."""
        return replace(self, apart={key: text for key, text in self.apart.items() if key != INSIDE})


def described(packed: PackedProgram) -> Described:
    """As a program of modelbuild's own tells it."""
    found = interface(packed.program.command)
    inputs, outputs = (tuple(map(_tensor, places)) for places in (found.inputs, found.outputs))
    return Described(found.chip, found.arithmetic, inputs, outputs, found.metadata)


def _tensor(place: TensorPlace) -> QuantizedTensor:
    return QuantizedTensor(place.name, place.shape, place.bits, place.signed, place.scale, place.zero_point)

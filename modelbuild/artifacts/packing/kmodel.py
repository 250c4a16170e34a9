"""Programs in kmodels: one file a model, which is the program itself: machine code of the vendor's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.artifacts.packing.program import Described, PackedProgram, Program
from modelbuild.chips.recipe import Container
from modelbuild.kpu.named import KEY, Named
from modelbuild.kpu.simulator import load

SUFFIX = ".kmodel"
TOLD = ("preprocess", "in_model")  # metadata that `<model>.json` has with each input


def pack(programs: Sequence[PackedProgram], container: Container) -> dict[str, bytes]:
    """`<model>.kmodel` for each program."""
    return {f"{packed.program.name}{SUFFIX}": packed.program.command for packed in programs}


def unpack(data: bytes, name: str) -> list[Program]:
    """The program of a kmodel, whose name is the file's. Errors: ModelbuildError for one that is damaged."""
    load(data)
    return [Program(PurePath(name).name.removesuffix(SUFFIX), data, b"", b"")]


def describe(packed: PackedProgram) -> Described:
    """As the compiler's plan has it: a kmodel has no names."""
    return described(packed.plan)


def described(plan: Mapping[str, Any]) -> Described:
    """As `compile.json` has it: `interface`, and for those who look inside what operations make."""
    told = plan["interface"]
    inside = Named.of([_tensor(tensor) for tensor in plan["tensors"]], plan["executed"])
    inputs, outputs = (tuple(map(_tensor, told[side])) for side in ("inputs", "outputs"))
    metadata = {**told["metadata"], KEY: inside.to_text()}
    apart = {key: text for key, text in metadata.items() if key not in TOLD}
    return Described(told["chip"], told["arithmetic"], inputs, outputs, metadata, apart)


def _tensor(told: Any) -> QuantizedTensor:
    return QuantizedTensor(**{**told, "shape": tuple(told["shape"])})

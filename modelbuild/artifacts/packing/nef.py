"""Programs in a NEF: one file for all models of the package."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from modelbuild import __version__
from modelbuild.artifacts.packing.program import PackedProgram, Program, described
from modelbuild.chips.recipe import Container
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.formats.nef_generations import SIMULATED
from modelbuild.formats.nef_tensor import input_format, layout_bytes, planar_format
from modelbuild.npu.program import TensorPlace, interface

_ALIGNMENT = 16
# Our operator kinds that the vendor's setups have a code for; others stand there with no code.
_VENDOR_OPERATORS = {"add": "Add", "conv": "Conv", "gemm": "Gemm", "matmul": "MatMul", "softmax": "Softmax"}

describe = described


def pack(programs: Sequence[PackedProgram], container: Container) -> dict[str, bytes]:
    """`models_<platform>.sim.nef`."""
    data = nef.build(
        container.platform,
        container.setup,
        container.dram_base,
        [_source(packed, container.platform) for packed in programs],
        f"modelbuild/{__version__}",
        f"modelbuild/{__version__}",
    )
    return {f"models_{container.platform}{SIMULATED}": data}


def unpack(data: bytes, name: str = "") -> list[Program]:
    """The programs of a NEF of ours. Errors: ModelbuildError for a vendor's, or if a checksum differs."""
    read = nef.read(data)
    nef.check(read)
    if read.silicon:
        raise ModelbuildError(
            "this NEF holds the vendor's program, whose instruction set is not public",
            why=f"toolchain {read.toolchain_version or 'unknown'}",
            advice="`modelbuild inspect` shows what is known of it; only the vendor's simulator runs it",
        )
    return [
        Program(interface(model.command).name, model.command, model.weight, model.host, model.id)
        for model in read.models
    ]


def _source(packed: PackedProgram, platform: str) -> nef.NefSource:
    program = packed.program
    described = interface(program.command)
    inputs, input_size = _tensors(described.inputs, platform, input_format)
    outputs, output_size = _tensors(described.outputs, platform, planar_format)
    if program.id is None:
        raise ModelbuildError(
            f"model {program.name} has no id",
            why="a NEF finds its models by number",
            advice="write `models: {NAME: {id: 32769}}` in the package",
        )
    return nef.NefSource(
        id=program.id,
        version=packed.version,
        name=program.name,
        command=program.command,
        weight=program.weights,
        inputs=inputs,
        outputs=outputs,
        input_size=input_size,
        output_size=output_size,
        working_size=int(packed.plan["memory"]["working"]),
        host=program.host,
        cpu_nodes=tuple(
            nef.CpuNode(name, _VENDOR_OPERATORS.get(kind, "")) for name, kind in packed.cpu_nodes
        ),
    )


def _tensors(
    places: Sequence[TensorPlace], platform: str, format_of: Callable[[str, int], int]
) -> tuple[tuple[nef.NefTensor, ...], int]:
    """The tensors of a buffer, each at a multiple of 16 with the room that its layout takes, and the buffer's
    size."""
    tensors, address = [], 0
    for place in places:
        scale, radix = scale_and_radix(place.scale)
        code = format_of(platform, 8 if place.bits <= 8 else 16)
        size = layout_bytes(platform, code, place.shape)
        tensors.append(nef.NefTensor(place.name, place.shape, code, radix, scale, address, size))
        address += -(-size // _ALIGNMENT) * _ALIGNMENT
    return tuple(tensors), address


def scale_and_radix(step: float) -> tuple[float, int]:
    """(scale in [1, 2), radix) with real = integer / (scale · 2^radix), the form of facts a NEF keeps.

    Exact for the steps that a recipe's `scale: radix` or `power_of_two` yields, whose scale is a float32."""
    mantissa, exponent = math.frexp(1.0 / step)
    return mantissa * 2, exponent - 1

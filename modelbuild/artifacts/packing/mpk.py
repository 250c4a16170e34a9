"""Programs in MPKs: one archive a model."""

from __future__ import annotations

import json
from collections.abc import Sequence

from modelbuild import __version__
from modelbuild.artifacts.packing.mpk_sizes import other_sizes
from modelbuild.artifacts.packing.program import PackedProgram, Program, described
from modelbuild.chips.recipe import Container
from modelbuild.errors import ModelbuildError
from modelbuild.formats import mpk
from modelbuild.npu.program import ProgramInterface, TensorPlace, interface

describe = described


def pack(programs: Sequence[PackedProgram], container: Container) -> dict[str, bytes]:
    """`<model>_mpk.sim.tar.gz` for each program."""
    return {
        f"{packed.program.name}_mpk.sim.tar.gz": mpk.build(_source(packed, container)) for packed in programs
    }


def unpack(data: bytes, name: str = "") -> list[Program]:
    """The program of an archive of ours. Errors: ModelbuildError for a vendor's, or a broken one."""
    read = mpk.read(data)
    if read.silicon:
        raise ModelbuildError(
            "this archive holds the vendor's program, whose instruction set is not public",
            why=f"made by {read.toolchain_version or 'an unknown toolchain'}",
            advice="`modelbuild inspect` shows what is known of it; only the vendor's simulator runs it",
        )
    broken = [check for check in read.checks if not check.ok]
    if broken:
        raise ModelbuildError(
            "the archive is damaged",
            why="; ".join(f"{check.what}: {check.why}" for check in broken),
            advice="copy the file again, or build the package again",
        )
    described = interface(read.command)
    if wrong := other_sizes(read, described):
        raise ModelbuildError(
            "the archive tells other tensors than its program has",
            why="; ".join(wrong),
            advice="build the package again",
        )
    return [Program(described.name, read.command, read.weight, read.host)]


def _source(packed: PackedProgram, container: Container) -> mpk.MpkSource:
    program, desired = packed.program, packed.batch["desired"]
    described = interface(program.command)
    frames = _frames(packed, described)
    layers = [
        (layer["name"], int(layer["cycles"])) for layer in packed.plan["layers"] if layer["unit"] == "npu"
    ]
    return mpk.MpkSource(
        name=program.name,
        model_path=packed.source,
        model_checksum=packed.source_digest,
        program_suffix=container.program_suffix,
        command=program.command,
        weight=program.weights,
        host=program.host,
        inputs=tuple(_tensor(place, frames) for place in described.inputs),
        outputs=tuple(_tensor(place, frames) for place in described.outputs),
        layers=tuple(layers),
        toolchain_version=f"modelbuild/{__version__}",
        desired_batch=1 if desired is None else desired,
        actual_batch=frames,
        host_operators=tuple(name for name, _ in packed.cpu_nodes),
        input_ranges={place.name: _range(place) for place in described.inputs},
        preprocess=json.loads(described.metadata.get("preprocess", "{}")),
        time=packed.time,
    )


def _frames(packed: PackedProgram, described: ProgramInterface) -> int:
    """How many pictures the container counts apart: those of the batch, if one is asked for and dimension 0
    of every input and output is it; else a run is one frame."""
    batch = packed.batch
    places = (*described.inputs, *described.outputs)
    if batch["desired"] is None or any(place.shape[:1] != (batch["achieved"],) for place in places):
        return 1
    return int(batch["achieved"])


def _tensor(place: TensorPlace, frames: int) -> mpk.MpkTensor:
    """Of several frames, one: its size times their number is that of the program's tensor."""
    shape = place.shape if frames == 1 else (1, *place.shape[1:])
    return mpk.MpkTensor(place.name, shape, place.bits, place.signed, place.scale, place.zero_point)


def _range(place: TensorPlace) -> tuple[float, float]:
    """What the input's integers can express."""
    return (
        (place.low - place.zero_point) * place.scale,
        (place.high - place.zero_point) * place.scale,
    )

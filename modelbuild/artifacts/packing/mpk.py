"""Programs in MPKs: one archive a model."""

from __future__ import annotations

import json
from collections.abc import Sequence

from modelbuild import __version__
from modelbuild.artifacts.packing.program import PackedProgram, Program
from modelbuild.chips.recipe import Container
from modelbuild.errors import ModelbuildError
from modelbuild.formats import mpk
from modelbuild.npu.program import TensorPlace, interface


def pack(programs: Sequence[PackedProgram], container: Container) -> dict[str, bytes]:
    """`<model>_mpk.sim.tar.gz` for each program."""
    return {
        f"{packed.program.name}_mpk.sim.tar.gz": mpk.build(_source(packed, container)) for packed in programs
    }


def unpack(data: bytes) -> list[Program]:
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
            "the archive is damaged", why="; ".join(f"{check.what}: {check.why}" for check in broken)
        )
    return [Program(interface(read.command).name, read.command, read.weight, read.host)]


def _source(packed: PackedProgram, container: Container) -> mpk.MpkSource:
    program, batch = packed.program, packed.batch
    described = interface(program.command)
    asked = batch["desired"] is not None
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
        inputs=tuple(_tensor(place, asked) for place in described.inputs),
        outputs=tuple(_tensor(place, asked) for place in described.outputs),
        layers=tuple(layers),
        toolchain_version=f"modelbuild/{__version__}",
        desired_batch=max(batch["desired"], batch["achieved"]) if asked else 1,
        actual_batch=batch["achieved"] if asked else 1,
        host_operators=tuple(name for name, _ in packed.cpu_nodes),
        input_ranges={place.name: _range(place) for place in described.inputs},
        preprocess=json.loads(described.metadata.get("preprocess", "{}")),
        time=packed.time,
    )


def _tensor(place: TensorPlace, of_batch: bool) -> mpk.MpkTensor:
    """Of a batch, one picture: the container counts them apart."""
    shape = (1, *place.shape[1:]) if of_batch else place.shape
    return mpk.MpkTensor(place.name, shape, place.bits, place.signed, place.scale, place.zero_point)


def _range(place: TensorPlace) -> tuple[float, float]:
    """What the input's integers can express."""
    return (
        (place.low - place.zero_point) * place.scale,
        (place.high - place.zero_point) * place.scale,
    )

"""Builds a NEF around programs of modelbuild's own, for each generation of Kneron's container."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from modelbuild.errors import ModelbuildError
from modelbuild.formats import (
    fw_info,
    kne,
    kne_build,
    nef_header,
    program_envelope,
    setup_flatbuffer,
    setup_legacy,
)
from modelbuild.formats.fw_info import Record, Region
from modelbuild.formats.nef_generations import GENERATIONS
from modelbuild.formats.nef_header import ModelInfo, NefFile, NefHeader
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.setup_legacy import CpuNode

SCHEMA = (1, 0, 1)
OWN_TOOLCHAIN = "modelbuild/"
_ALIGNMENT = 16  # of every section and buffer, as in the vendor's files
_ADDRESS_LIMIT = 1 << 32
_NOWHERE = Region(0, 0)


@dataclass(frozen=True)
class NefSource:
    """One model to put into a file.

    `version` is a number of 16 bits or its four hexadecimal digits. `command`, `weight` and `host` are the
    program as `npu` makes it. Addresses of `inputs` and `outputs` are byte offsets in the model's input and
    output buffer, which are `input_size` and `output_size` bytes long; `working_size` is its scratch memory.
    """

    id: int
    version: int | str
    name: str
    command: bytes
    weight: bytes
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    input_size: int
    output_size: int
    working_size: int
    host: bytes = b""
    cpu_nodes: tuple[CpuNode, ...] = ()

    @property
    def version_number(self) -> int:
        """The version as a number. Errors: ModelbuildError where it is not four hexadecimal digits."""
        try:
            value = int(self.version, 16) if isinstance(self.version, str) else self.version
        except ValueError:
            value = -1
        if not 0 <= value <= 0xFFFF:
            raise ModelbuildError(
                f"the version of model {self.name!r} is {self.version!r}, not four hexadecimal digits"
            )
        return value


def build(
    platform: str,
    setup: str,
    dram_base: int,
    models: Sequence[NefSource],
    toolchain_version: str,
    compiler_version: str,
) -> bytes:
    """The bytes of a NEF that holds these models; equal arguments give equal bytes.

    `setup` is a key of `GENERATIONS`; `toolchain_version` must start with `modelbuild/`, which is what tells
    readers that the program inside is not for silicon. Errors: ModelbuildError for no models, ids that
    clash or are not positive, a generation the platform does not have, and addresses beyond 32 bits.
    """
    _check(platform, setup, dram_base, models, toolchain_version)
    buffers, start = _buffers(dram_base, models)
    if setup == "kne":
        firmware_info, all_models = b"", _kne_binary(platform, compiler_version, models, buffers)
        versions = [f"{model.version_number:04x}" for model in models]
    else:
        firmware_info, all_models = _firmware_binaries(platform, setup, models, buffers, start)
        versions = [str(model.version_number) for model in models]
    checksum = zlib.crc32(all_models)
    header = NefHeader(
        platform="",
        target=nef_header.target_number(platform, SCHEMA),
        crc=checksum,
        kn_number=0,
        encryption_mode=0,
        compiler_version=compiler_version,
        toolchain_version=toolchain_version,
        schema=SCHEMA,
        uuid=checksum,
    )
    infos = tuple(
        ModelInfo(model.name, model.id, version) for model, version in zip(models, versions, strict=True)
    )
    return nef_header.seal(NefFile(header, infos, firmware_info, all_models, None))


@dataclass(frozen=True)
class _Buffers:
    """Where a model's input, output and working buffers are."""

    input: Region
    output: Region
    working: Region


def _check(
    platform: str, setup: str, dram_base: int, models: Sequence[NefSource], toolchain_version: str
) -> None:
    if setup not in GENERATIONS or platform not in GENERATIONS[setup]:
        known = "; ".join(f"{name}: {', '.join(chips)}" for name, chips in GENERATIONS.items())
        raise ModelbuildError(f"platform {platform!r} has no NEF with setup {setup!r}", why=f"known: {known}")
    if not toolchain_version.startswith(OWN_TOOLCHAIN):
        raise ModelbuildError(
            f"the toolchain version {toolchain_version!r} does not start with {OWN_TOOLCHAIN!r}",
            why="a program of modelbuild's own must not look like one for silicon",
        )
    if not models:
        raise ModelbuildError("a NEF needs at least one model")
    if not 0 <= dram_base < _ADDRESS_LIMIT or dram_base % _ALIGNMENT:
        raise ModelbuildError(f"the DRAM base {dram_base:#x} is not a multiple of 16 below 4 GiB")
    seen: dict[int, str] = {}
    for model in models:
        if not 1 <= model.id < 1 << 31:
            raise ModelbuildError(f"the id of model {model.name!r} is {model.id}, not in 1 to 2147483647")
        if model.id in seen:
            raise ModelbuildError(f"models {seen[model.id]!r} and {model.name!r} both have the id {model.id}")
        seen[model.id] = model.name
        if not model.inputs or not model.outputs:
            raise ModelbuildError(f"model {model.name!r} has no inputs or no outputs")
        _check_tensors(model, model.inputs, model.input_size, "input")
        _check_tensors(model, model.outputs, model.output_size, "output")


def _check_tensors(model: NefSource, tensors: Sequence[NefTensor], size: int, kind: str) -> None:
    for tensor in tensors:
        if tensor.address < 0 or tensor.size < 0 or tensor.address + tensor.size > size:
            raise ModelbuildError(
                f"{kind} {tensor.name!r} of model {model.name!r} lies outside its {kind} buffer",
                why=f"{tensor.size} bytes at {tensor.address} in a buffer of {size}",
            )


def _aligned(value: int) -> int:
    return -(-value // _ALIGNMENT) * _ALIGNMENT


def _padded(data: bytes) -> bytes:
    return data + bytes(_aligned(len(data)) - len(data))


def _buffers(base: int, models: Sequence[NefSource]) -> tuple[list[_Buffers], int]:
    """The DRAM map (an input buffer for all, an output buffer each, a working buffer for all) and its end."""
    place = base + _aligned(max(model.input_size for model in models))
    outputs = []
    for model in models:
        outputs.append(Region(place, model.output_size))
        place += _aligned(model.output_size)
    buffers = [
        _Buffers(Region(base, model.input_size), output, Region(place, model.working_size))
        for model, output in zip(models, outputs, strict=True)
    ]
    return buffers, place + _aligned(max(model.working_size for model in models))


def _kne_binary(
    platform: str, compiler_version: str, models: Sequence[NefSource], buffers: Sequence[_Buffers]
) -> bytes:
    entries = [
        kne.KneModel(
            id=model.id,
            schema=kne.SCHEMA,
            compiler_version=compiler_version,
            inputs=model.inputs,
            outputs=model.outputs,
            units=((program_envelope.wrap(model.command, model.host), model.weight),),
            cpu_nodes=model.cpu_nodes,
            buffers=(("input", place.input), ("output", place.output), ("working", place.working)),
        )
        for model, place in zip(models, buffers, strict=True)
    ]
    return kne_build.encode(platform, compiler_version, entries)


def _firmware_binaries(
    platform: str, setup: str, models: Sequence[NefSource], buffers: Sequence[_Buffers], start: int
) -> tuple[bytes, bytes]:
    """(fw_info, all_models)."""
    records: list[Record] = []
    parts: list[bytes] = []
    place = start
    for model, buffer in zip(models, buffers, strict=True):
        command = program_envelope.wrap(model.command, model.host)
        at_command = Region(place, len(command))
        at_weight = Region(_aligned(place + len(command)), len(model.weight))
        setup_address = _aligned(at_weight.address + at_weight.size)
        _check_address(setup_address + (1 << 16))
        record = Record(
            model.id,
            model.version_number,
            buffer.input,
            buffer.output,
            buffer.working,
            at_command,
            at_weight,
            _NOWHERE,
        )
        block = _SETUPS[setup](platform, model, record)
        records.append(replace(record, setup=Region(setup_address, len(block))))
        parts += [_padded(data) for data in (command, model.weight, block)]
        place = _aligned(setup_address + len(block))
    _check_address(place)
    all_models = b"".join(parts)
    return fw_info.encode(fw_info.sealed(tuple(records), place, all_models)), all_models


def _check_address(address: int) -> None:
    if address >= _ADDRESS_LIMIT:
        raise ModelbuildError(f"the package does not fit 32-bit addresses: it reaches {address:#x}")


def _legacy520(platform: str, model: NefSource, record: Record) -> bytes:
    return setup_legacy.encode(platform, record, model.inputs, model.outputs)


def _legacy720(platform: str, model: NefSource, record: Record) -> bytes:
    """KL720's addresses count from the start of their own region."""
    relative = Record(
        record.id,
        record.version,
        Region(0, record.input.size),
        Region(0, record.output.size),
        Region(0, record.working.size),
        Region(0, record.command.size),
        Region(0, record.weight.size),
        Region(0, record.setup.size),
    )
    return setup_legacy.encode(platform, relative, model.inputs, model.outputs)


def _flatbuffer(platform: str, model: NefSource, record: Record) -> bytes:
    return setup_flatbuffer.encode(platform, record, model.inputs, model.outputs, model.cpu_nodes)


_SETUPS: dict[str, Callable[[str, NefSource, Record], bytes]] = {
    "legacy520": _legacy520,
    "legacy720": _legacy720,
    "flatbuffer": _flatbuffer,
}

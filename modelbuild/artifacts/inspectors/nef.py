"""A NEF as `inspect` shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors import archive
from modelbuild.errors import ModelbuildError
from modelbuild.formats import kne, nef, nef_parts, setup_flatbuffer
from modelbuild.formats.flatbuffer_schema import UnknownField
from modelbuild.formats.fw_info import Region
from modelbuild.formats.nef_tensor import layout_name
from modelbuild.formats.setup_flatbuffer import FlatbufferSetup
from modelbuild.formats.setup_legacy import LegacySetup
from modelbuild.npu.program import TensorPlace, interface

_ENCRYPTION = {0: "none", 1: "custom key", 2: "KN number"}


def describe(path: Path) -> dict[str, Any]:
    """Header, checksums, models and parts. Errors: ModelbuildError with the offset."""
    found = nef.read(input_file.read(path))
    header = found.file.header
    return {
        "version": found.schema_version,
        "silicon": found.silicon,
        "chip": found.target,
        "generation": found.generation,
        "toolchain_version": found.toolchain_version,
        "compiler_version": found.compiler_version,
        "platform": header.platform,
        "target": header.target,
        "uuid": header.uuid,
        "encryption": _ENCRYPTION.get(header.encryption_mode, f"unknown ({header.encryption_mode})"),
        "kn_number": header.kn_number,
        "solution_id": header.solution_id,
        "solution_tag": header.solution_tag,
        "checksums": archive.checksums(found.checksums),
        "checks": archive.checks(found.checks),
        **({"kne": _kne_block(found.kne)} if found.kne else {}),
        "models": [_model(model, found) for model in found.models],
        "unknown": _unknown(found.file.unknown),
        "parts": [
            {"offset": part.offset, "size": part.size, "what": part.what, "known": part.known}
            for part in nef_parts.parts(found)
        ],
    }


def _kne_block(block: kne.Kne) -> dict[str, Any]:
    return {
        "version": _version(block.schema),
        "compiler_version": block.compiler_version,
        "buffers": _buffers(block.buffers),
        "unknown": _unknown(block.unknown),
    }


def _model(model: nef.NefModel, found: nef.Nef) -> dict[str, Any]:
    platform = found.target.removeprefix("kl")
    described: dict[str, Any] = {
        "id": model.id,
        "name": model.name,
        "version": None if model.version is None else f"{model.version:04x}",
        "listed_version": None if model.listed is None else model.listed.version,
        "inputs": _tensors(model.inputs, platform),
        "outputs": _tensors(model.outputs, platform),
        "command_bytes": len(model.command),
        "weight_bytes": len(model.weight),
        "setup_bytes": len(model.setup),
        "host_bytes": len(model.host),
        "cpu_nodes": [_node(node) for node in model.cpu_nodes],
    }
    if model.regions is not None:
        regions = ("input", "output", "working", "command", "weight", "setup")
        described["memory"] = {name: _region(getattr(model.regions, name)) for name in regions}
    if isinstance(model.block, FlatbufferSetup):
        described["setup"] = _setup(model.block, platform)
    elif isinstance(model.block, LegacySetup):
        described["setup"] = {"words": dict(model.block.header), "nodes": dict(model.block.nodes)}
    elif isinstance(model.block, kne.KneModel):
        described["kne"] = _kne_model(model.block, platform)
    if not found.silicon:
        described["program"] = program(model.command)
    return described


def _setup(block: FlatbufferSetup, platform: str) -> dict[str, Any]:
    return {
        "version": _version(block.schema),
        "file_version": _version(block.file_schema),
        "platform": block.platform,
        "chip": None if block.chip is None else f"kl{block.chip}",
        "addressing": block.addressing_mode,
        "encryption": block.encryption,
        "encryption_key_bytes": len(block.encryption_key),
        "run_value": block.run_value,
        "segments": [{"name": name, "address": start, "size": size} for name, start, size in block.segments],
        "const_inputs": _tensors(block.const_inputs, platform),
        "unknown": _unknown(block.unknown),
    }


def _kne_model(block: kne.KneModel, platform: str) -> dict[str, Any]:
    return {
        "version": _version(block.schema),
        "compiler_version": block.compiler_version,
        "core_number": block.core_number,
        "run_value": block.run_value,
        "encryption": setup_flatbuffer.encryption_name(block.encryption_mode),
        "encryption_key_bytes": len(block.encryption_key),
        "const_input_bytes": len(block.const_input),
        "buffers": _buffers(block.buffers),
        "dma_banks": [
            {"bank": bank.bank, "kind": bank.kind, "buffer": bank.buffer} for bank in block.dma_banks
        ],
        "cores": [_core(core, platform) for core in block.cores],
    }


def _core(core: kne.KneCore, platform: str) -> dict[str, Any]:
    return {
        "id": core.id,
        "kind": core.kind,
        "unit": core.unit,
        "dependency": list(core.dependency),
        "parent": list(core.parent),
        "children": list(core.children),
        "inputs": _tensors(core.inputs, platform),
        "outputs": _tensors(core.outputs, platform),
        "command_bytes": core.command_size,
        "weight_bytes": core.weight_size,
        "trips": core.trips,
        "cores": [_core(inner, platform) for inner in core.inner],
    }


def _node(node: nef.CpuNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "op": node.op,
        "code": node.code,
        "layer": node.layer,
        "options": node.options,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
    }


def _buffers(buffers: Sequence[tuple[str, Region]]) -> list[dict[str, Any]]:
    return [{"name": name, **_region(region)} for name, region in buffers]


def _unknown(fields: Sequence[UnknownField]) -> list[dict[str, Any]]:
    """Fields that no schema has: where they are, and their bytes."""
    return [
        {
            "table": field.table,
            "slot": field.slot,
            "offset": field.offset,
            "size": field.size,
            "raw": field.raw.hex(),
        }
        for field in fields
    ]


def _version(schema: tuple[int, int, int] | None) -> str | None:
    return None if schema is None else ".".join(map(str, schema))


def program(command: bytes) -> dict[str, Any]:
    """What a program of modelbuild's own says of itself; why it cannot, where it is damaged."""
    try:
        face = interface(command)
    except ModelbuildError as error:
        return {"unreadable": error.problems[0].what}
    return {
        "name": face.name,
        "arithmetic": face.arithmetic,
        "chip": face.chip,
        "layers": len(face.layers),
        "inputs": [_place(tensor) for tensor in face.inputs],
        "outputs": [_place(tensor) for tensor in face.outputs],
    }


def _place(tensor: TensorPlace) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": f"{'' if tensor.signed else 'u'}int{tensor.bits}",
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }


def _region(region: Region) -> dict[str, int]:
    return {"address": region.address, "size": region.size}


def _tensors(tensors: Sequence[nef.NefTensor], platform: str) -> list[dict[str, Any]]:
    return [_tensor(tensor, platform) for tensor in tensors]


def _tensor(tensor: nef.NefTensor, platform: str) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "layout": layout_name(platform, tensor.format),
        "radix": tensor.radix,
        "scale": _real(tensor.scale),
        "address": tensor.address,
        "size": tensor.size,
    }
    if tensor.npu_shape and tensor.npu_shape != tensor.shape:
        described["npu_shape"] = list(tensor.npu_shape)
    if len(tensor.points) > 1:
        described["channels"] = [{"scale": _real(scale), "radix": radix} for scale, radix in tensor.points]
    if tensor.location:
        described["location"] = tensor.location
    if tensor.strides:
        described["strides"] = list(tensor.strides)
    if tensor.aligned_size is not None:
        described["aligned_size"] = tensor.aligned_size
    if tensor.constant_size:
        described["constant_bytes"] = tensor.constant_size
    return described


def _real(value: float) -> float | None:
    return value if math.isfinite(value) else None

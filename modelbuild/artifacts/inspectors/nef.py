"""A NEF as `inspect` shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.formats.fw_info import Region
from modelbuild.formats.nef_tensor import layout_name
from modelbuild.npu.program import TensorPlace, interface

_ENCRYPTION = {0: "none", 1: "custom key", 2: "KN number"}


def describe(path: Path) -> dict[str, Any]:
    """Header, checksums and models. Errors: ModelbuildError with the offset."""
    found = nef.read(path.read_bytes())
    header = found.file.header
    return {
        "version": found.schema_version,
        "silicon": found.silicon,
        "chip": found.target,
        "generation": found.generation,
        "toolchain_version": found.toolchain_version,
        "compiler_version": found.compiler_version,
        "encryption": _ENCRYPTION.get(header.encryption_mode, f"unknown ({header.encryption_mode})"),
        "kn_number": header.kn_number,
        "solution_id": header.solution_id,
        "solution_tag": header.solution_tag,
        "checksums": [
            {"what": item.what, "stored": item.stored, "computed": item.computed, "ok": item.ok}
            for item in found.checksums
        ],
        "models": [_model(model, found) for model in found.models],
    }


def _model(model: nef.NefModel, found: nef.Nef) -> dict[str, Any]:
    platform = found.target.removeprefix("kl")
    described: dict[str, Any] = {
        "id": model.id,
        "name": model.name,
        "version": None if model.version is None else f"{model.version:04x}",
        "inputs": _tensors(model.inputs, platform),
        "outputs": _tensors(model.outputs, platform),
        "command_bytes": len(model.command),
        "weight_bytes": len(model.weight),
        "setup_bytes": len(model.setup),
        "host_bytes": len(model.host),
        "cpu_nodes": [{"name": node.name, "op": node.op} for node in model.cpu_nodes],
    }
    if model.regions is not None:
        regions = ("input", "output", "working", "command", "weight", "setup")
        described["memory"] = {name: _region(getattr(model.regions, name)) for name in regions}
    if not found.silicon:
        described["program"] = program(model.command)
    return described


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
    return [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "layout": layout_name(platform, tensor.format),
            "radix": tensor.radix,
            "scale": tensor.scale if math.isfinite(tensor.scale) else None,
            "address": tensor.address,
            "size": tensor.size,
        }
        for tensor in tensors
    ]

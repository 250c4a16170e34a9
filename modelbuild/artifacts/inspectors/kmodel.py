"""A kmodel as `inspect` shows it: its container, layers, modules, and what every byte of it is."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors import archive, kmodel_code
from modelbuild.formats import kmodel
from modelbuild.formats.checks import Check
from modelbuild.formats.kmodel import kpu_registers
from modelbuild.formats.kmodel.disassembly import kpu_check
from modelbuild.formats.kmodel.model import Function, Kmodel, Layer, Module, Section, Tensor

_WITH_LAYOUT = 5  # the version that has two containers
_WITH_DIALECT = 7  # the version in which dimensions are written in several ways


def describe(path: Path, *, disassemble: bool = False) -> dict[str, Any]:
    """The file, with `disassemble` its code as `disassembly`. Errors: ModelbuildError with the offset."""
    found = kmodel.read(input_file.read(path))
    layout = f" ({found.layout} layout)" if found.version == _WITH_LAYOUT else ""
    described: dict[str, Any] = {
        "version": f"{found.version}{layout}",
        "runtime": kmodel.RUNTIMES[found.version],
        "silicon": True,
        "chip": found.target,
        "flags": found.flags,
        "alignment": found.alignment,
        "dimensions": found.layout or None if found.version == _WITH_DIALECT else None,
        "checksums": [],
        "checks": archive.checks(_checks(found)),
        "models": [_model(found)],
        "unknown": [asdict(item) for item in found.unknown],
        "parts": [asdict(part) for part in found.parts],
    }
    if disassemble:
        described["disassembly"] = kmodel_code.describe(found)
    return described


def _checks(found: Kmodel) -> tuple[Check, ...]:
    return (*found.checks, kpu_check(found)) if found.version == _WITH_LAYOUT else found.checks


def _model(found: Kmodel) -> dict[str, Any]:
    return {
        "id": None,
        "name": None,
        "version": None,
        "inputs": [_tensor(tensor) for tensor in found.inputs],
        "outputs": [_tensor(tensor) for tensor in found.outputs],
        "layers": len(found.layers) or None,
        "main_memory": found.main_memory or None,
        "constants": found.constants or None,
        "entry_module": found.entry[0] if found.entry else None,
        "entry_function": found.entry[1] if found.entry else None,
        "modules": [_module(module) for module in found.modules],
        "layer_list": [_layer(layer, index) for index, layer in enumerate(found.layers)],
        "unread_bytes": found.unread,
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": None,
        "shape": None if tensor.shape is None else list(tensor.shape),
        "dtype": tensor.dtype or None,
        "type": tensor.type or None if tensor.shape is None else None,
        "memory": tensor.memory or None,
        "address": tensor.address,
        "size": tensor.size,
    }


def _module(module: Module) -> dict[str, Any]:
    return {
        "kind": module.kind,
        "module_version": module.version,
        "offset": module.offset,
        "size": module.size,
        "functions": len(module.functions),
        "sections": len(module.sections),
        "shared_mempools": module.shared_mempools or None,
        "mempools": [{"name": pool.location, "size": pool.size} for pool in module.mempools],
        "section_list": [_section(section) for section in module.sections],
        "function_list": [_function(item) for item in module.functions],
    }


def _section(section: Section) -> dict[str, Any]:
    return {
        "name": section.name,
        "offset": section.body.offset,
        "size": section.body.size,
        "memory": section.memory,
        "alignment": section.alignment,
        "merged": section.merged or None,
        "flags": section.flags or None,
    }


def _function(function: Function) -> dict[str, Any]:
    return {
        "offset": function.offset,
        "size": function.size,
        "entry": function.entry,
        "text": function.text,
        "input_pool": function.input_pool,
        "output_pool": function.output_pool,
        "inputs": [_tensor(tensor) for tensor in function.inputs],
        "outputs": [_tensor(tensor) for tensor in function.outputs],
        "section_list": [_section(section) for section in function.sections],
    }


def _layer(layer: Layer, index: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "index": index,
        "what": layer.name,
        "offset": layer.offset,
        "size": layer.size,
    }
    if layer.convolution:
        fields = kpu_registers.decode(layer.convolution.registers)
        described |= {
            "input": [fields["ic"], fields["ih"], fields["iw"]],
            "output": [fields["oc"], fields["oh"], fields["ow"]],
            "kernel": kpu_registers.kernel_size(fields),
            "depthwise": bool(fields["depthwise"]),
            "pool": kpu_registers.POOLS.get(fields["pool"], f"unknown ({fields['pool']})"),
        }
    return described

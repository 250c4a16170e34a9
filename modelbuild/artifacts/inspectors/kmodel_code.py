"""The code in a kmodel as an object: functions of version 5, layers with their registers of 3 and 4."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from modelbuild.formats import kmodel
from modelbuild.formats.kmodel import kpu_registers, kpu_tables, layers, types
from modelbuild.formats.kmodel.disassembly import FunctionCode
from modelbuild.formats.kmodel.kpu_operations import Operation
from modelbuild.formats.kmodel.model import Convolution, Kmodel, Layer
from modelbuild.formats.kmodel.records import Enum, named
from modelbuild.formats.kmodel.stackvm_values import NULL, Address, Line, Register


def describe(found: Kmodel) -> dict[str, Any]:
    """{shown, clean, agree, tables, functions, layers}, as docs/format-kmodel.md has it."""
    code = kmodel.disassemble(found)
    locations = types.LOCATIONS if found.layout == "release" else types.DEVELOPMENT_LOCATIONS
    return {
        "shown": list(code.shown),
        "clean": list(code.clean),
        "agree": all(table.agrees for table in code.tables if table.clean) if code.clean else None,
        "tables": [
            {
                "versions": list(table.versions),
                "ok": table.clean,
                "instructions": table.instructions,
                "offset": table.offset,
                "why": table.why or None,
            }
            for table in code.tables
        ],
        "functions": [_function(item, found.data, locations) for item in code.functions],
        "layers": [_layer(layer, index, found.data) for index, layer in enumerate(found.layers)],
    }


def _function(code: FunctionCode, data: bytes, locations: Enum) -> dict[str, Any]:
    return {
        "module": code.module,
        "kind": code.kind,
        "function": code.function,
        "offset": code.span.offset,
        "size": code.span.size,
        "instructions": [_line(line, locations) for line in code.lines]
        + [_operation(operation, data) for operation in code.operations],
        "unread": None if code.unread is None else {**asdict(code.unread), "why": code.why},
    }


def _line(line: Line, locations: Enum) -> dict[str, Any]:
    return {
        "offset": line.offset,
        "size": line.size,
        "name": line.name,
        "operands": {name: _value(value, locations) for name, value in line.operands},
        "stack": {name: _value(value, locations) for name, value in line.stack},
    }


def _operation(operation: Operation, data: bytes) -> dict[str, Any]:
    described = {
        "offset": operation.offset,
        "size": operation.size,
        "name": operation.name,
        "operands": _value(operation.shown, {}),
    }
    return described | _convolution(operation.convolution, data, list(operation.problems))


def _layer(layer: Layer, index: int, data: bytes) -> dict[str, Any]:
    described = {
        "index": index,
        "name": layer.name,
        "code": layer.code,
        "offset": layer.offset,
        "size": layer.size,
        "operands": _value(layer.shown, {}),
    }
    if layer.convolution is None:
        return described
    return described | _convolution(layer.convolution, data, layers.problems(layer, data))


def _convolution(layer: Convolution | None, data: bytes, problems: list[str]) -> dict[str, Any]:
    if layer is None:
        return {}
    reserved = kpu_registers.reserved(layer.registers)
    described: dict[str, Any] = {
        "registers": kpu_registers.decode(layer.registers),
        "reserved": {f"register {index}": bits for index, bits in enumerate(reserved) if bits},
        "batch_norm": {"offset": layer.batch_norm.offset, **_batch_norm(layer, data)},
        "weights": asdict(layer.weights),
        "problems": problems,
    }
    if layer.activation.size == kpu_tables.ACTIVATION_BYTES:
        described["activation"] = {"offset": layer.activation.offset, **_activation(layer, data)}
    return described


def _batch_norm(layer: Convolution, data: bytes) -> dict[str, Any]:
    """How many channels, and the least and greatest of each number."""
    entries = kpu_tables.batch_norm(data, layer.batch_norm)
    return {
        "channels": len(entries),
        **_spread([asdict(entry) for entry in entries], ("mul", "add", "shift")),
    }


def _activation(layer: Convolution, data: bytes) -> dict[str, Any]:
    """How many pieces differ from the one before, and the least and greatest of each number."""
    entries = [asdict(entry) for entry in kpu_tables.activation(data, layer.activation)]
    pieces = {(entry["start"], entry["mul"], entry["shift"], entry["add"]) for entry in entries}
    return {"pieces": len(pieces), **_spread(entries, ("start", "mul", "shift", "add"))}


def _spread(entries: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, list[int]]:
    return {
        name: [min(entry[name] for entry in entries), max(entry[name] for entry in entries)]
        for name in names
        if entries
    }


def _value(value: object, locations: Enum) -> Any:
    """A value as JSON has it: what is no finite number is text."""
    if isinstance(value, Address):
        if value == NULL:
            return "null"
        described = {"location": named(locations, value.location), "offset": value.offset}
        return described | ({"subresource": value.subresource} if value.subresource else {})
    if isinstance(value, Register):
        held = None if value.value is None else [_value(item, locations) for item in value.value]
        return {"register": value.number, "value": held}
    if isinstance(value, Mapping):
        return {key: _value(item, locations) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, locations) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value

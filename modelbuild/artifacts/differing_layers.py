"""The layers of a model as objects that can be held against each other, and what each takes."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx

from modelbuild import input_file
from modelbuild.artifacts.inspectors.nodes import listed
from modelbuild.artifacts.inspectors.onnx_operators import text
from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.importers import functions, trim
from modelbuild.importers.onnx import parse
from modelbuild.npu.program import decode
from modelbuild.npu.simulator.counting import count
from modelbuild.quantize import fixed_onnx

Layers = list[dict[str, Any]]
# Lists of layers that `inspect` shows of models, by kind of file.
_SHOWN = ("layer_list", "layers")


def layers(path: Path, kind: Kind, described: Mapping[str, Any], weights: Path | None) -> list[Layers]:
    """The layers of each model of the file, in the order of `described["models"]`; each has a `name`."""
    models = described["models"]
    if kind in _READERS:
        return [_READERS[kind](path), *([] for _ in models[1:])]
    if kind in _LISTED:
        return [listed(path, kind, weights), *([] for _ in models[1:])]
    if kind is Kind.NEF and described["silicon"]:
        return [[] for _ in models]
    if kind is Kind.NEF:
        return [_of_program(model.command) for model in nef.read(input_file.read(path)).models]
    return [_shown(model) for model in models]


def without_layers(model: Mapping[str, Any]) -> dict[str, Any]:
    """What `inspect` shows of a model, but for lists of layers."""
    return {
        key: value
        for key, value in model.items()
        if not (key in _SHOWN and isinstance(value, list) and value)
    }


def program_cycles(command: bytes) -> int | None:
    """The cycles of an own program; None for any other bytes, and for one that is damaged."""
    try:
        return count(command).cycles
    except ModelbuildError:
        return None


def _shown(model: Mapping[str, Any]) -> Layers:
    found: list[dict[str, Any]] = next((model[key] for key in _SHOWN if isinstance(model.get(key), list)), [])
    return [
        {
            "name": str(item.get("name") or f"{item.get('index', place)} {item.get('what', '')}".strip()),
            **item,
        }
        for place, item in enumerate(found)
    ]


def _of_program(command: bytes) -> Layers:
    """Of an own program: operators with their unit, outputs and cycles. A vendor's shows none."""
    try:
        program = decode(command)
        cycles = dict(count(command).layers)
    except ModelbuildError:
        return []
    return [
        {
            "name": layer.name,
            "op": layer.kind,
            "unit": layer.unit,
            "makes": [
                {"name": made.name, "shape": list(made.shape), "bits": made.bits, "scale": made.scale}
                for made in layer.outputs
            ],
            "cycles": cycles.get(layer.name),
        }
        for layer in program.interface.layers
    ]


def _of_onnx(path: Path) -> Layers:
    """Nodes with their attributes; names as `inspect --nodes` has them."""
    model = functions.inlined(parse(path))
    trim.name_nodes(model)
    return [
        {
            "name": text(node.name),
            "op": f"{text(node.domain)}.{text(node.op_type)}".lstrip("."),
            "reads": list(map(text, node.input)),
            "makes": list(map(text, node.output)),
            "attributes": _attributes(node.attribute),
        }
        for node in model.graph.node
    ]


def _attributes(found: Iterable[onnx.AttributeProto]) -> dict[str, Any]:
    return {text(item.name): _attribute(item) for item in sorted(found, key=lambda item: text(item.name))}


def _attribute(item: onnx.AttributeProto) -> Any:
    """A number, text or list of them; of a tensor or graph the digest."""
    kinds = onnx.AttributeProto
    if item.type in (kinds.FLOAT, kinds.FLOATS):
        values = [value if math.isfinite(value) else str(value) for value in (*item.floats, item.f)]
        return values[:-1] if item.type == kinds.FLOATS else values[-1]
    if item.type == kinds.INT:
        return item.i
    if item.type == kinds.INTS:
        return list(item.ints)
    if item.type in (kinds.STRING, kinds.STRINGS):
        texts = [piece.decode("utf-8", "backslashreplace") for piece in (*item.strings, item.s)]
        return texts[:-1] if item.type == kinds.STRINGS else texts[-1]
    data = item.SerializeToString(deterministic=True)
    return f"sha256 {hashlib.sha256(data).hexdigest()}"


def _of_fixed(path: Path) -> Layers:
    """Operators with their parameters and the number formats of what they make."""
    model = fixed_onnx.read(path)
    return [
        {
            "name": item.name,
            "op": item.kind,
            "unit": item.unit,
            "reads": list(item.inputs),
            "parameters": {key: _plain(value) for key, value in sorted(item.parameters.items())},
            "constants": dict(sorted(item.constants.items())),
            "makes": [
                {
                    "name": name,
                    "shape": list(model.tensors[name].shape),
                    "bits": model.tensors[name].bits,
                    "signed": model.tensors[name].signed,
                    "scale": model.tensors[name].scale,
                    "zero_point": model.tensors[name].zero_point,
                }
                for name in item.outputs
            ],
        }
        for item in model.operators
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


_LISTED = (Kind.TFLITE, Kind.KERAS, Kind.HDF5, Kind.PROTOTXT)
_READERS: Mapping[Kind, Callable[[Path], Layers]] = {Kind.ONNX: _of_onnx, Kind.FIXED_ONNX: _of_fixed}

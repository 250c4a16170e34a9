"""An ONNX model as `inspect` shows it. Weights in other files are not opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from modelbuild import input_file
from modelbuild.artifacts.inspectors import onnx_macs, onnx_operators, onnx_shapes, onnx_weights
from modelbuild.artifacts.inspectors.onnx_operators import text as _text
from modelbuild.errors import ModelbuildError

_OWN = "modelbuild."
_MAX_BYTES = (1 << 31) - 1
_SHOWN = 4  # files that a check names


def describe(path: Path) -> dict[str, Any]:
    """Borders, operators, parameters, MACs and origin. Errors: ModelbuildError for what is not ONNX."""
    model = _parse(path)
    properties = {_text(entry.key): _text(entry.value) for entry in model.metadata_props}
    described, checks = _graph(model, path)
    producer = f"{_text(model.producer_name)} {_text(model.producer_version)}".strip()
    return {
        "version": f"IR {model.ir_version}",
        "silicon": None,
        "producer": producer or None,
        "ir_version": model.ir_version,
        "description": _text(model.doc_string) or None,
        "opset": {_text(entry.domain) or "ai.onnx": entry.version for entry in model.opset_import},
        "metadata": {key: value for key, value in sorted(properties.items()) if not key.startswith(_OWN)},
        "checksums": [],
        "checks": checks,
        "functions": sorted(
            f"{_text(item.domain)}.{_text(item.name)}".lstrip(".") for item in model.functions
        ),
        "models": [described],
    }


def _parse(path: Path) -> onnx.ModelProto:
    data = input_file.read(path) if path.stat().st_size <= _MAX_BYTES else b""
    if not data:
        raise ModelbuildError(
            f"{path.name} is larger than 2 GiB, more than one ONNX file can be",
            advice="copy or download it again, or save its weights beside it",
        )
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise ModelbuildError(
            f"{path.name} is no complete ONNX model; it may be truncated",
            where=str(path),
            why=str(error)[:200],
            advice="copy or download it again",
        ) from None
    onnx_shapes.check_ranks(model)
    return model


def _graph(model: onnx.ModelProto, path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The main graph, and the rules about its weights. It opens the model's inputs: the last use of it."""
    graph = model.graph
    names = {tensor.name for tensor in graph.initializer}
    operators = Counter(_text(node.op_type) for node in graph.node)
    external = {
        _text(entry.value)
        for tensor in graph.initializer
        if tensor.data_location == onnx.TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = [_external(name, path) for name in sorted(external)]
    constants = onnx_weights.constants(model, {one["name"]: one["size"] for one in files})
    parameters = onnx_weights.types(constants)
    nodes = list(onnx_operators.all_nodes(graph))
    types = {tensor.name: onnx_weights.dtype(tensor.data_type) for tensor in graph.initializer}
    described = {
        "id": None,
        "name": _text(graph.name) or None,
        "version": str(model.model_version) if model.model_version else None,
        "inputs": [_value(value) for value in graph.input if value.name not in names],
        "outputs": [_value(value) for value in graph.output],
        "nodes": len(graph.node),
        "operators": {name: operators[name] for name in sorted(operators)},
        "parameters": sum(parameters.values()),
        "parameter_types": parameters,
        "initializers": len(graph.initializer),
        "subgraph_nodes": len(nodes) - len(graph.node),
        "domains": onnx_operators.domains(nodes),
        "unknown_operators": onnx_operators.unknown(model, nodes),
        "quantization": onnx_operators.quantization(model, nodes, types),
        "external_data": sorted(external),
        "external_files": files,
    }
    macs, why = onnx_macs.macs(model)
    return described | {"macs": macs, "macs_why": why}, [*_checks(files), *onnx_weights.check(constants)]


def _checks(files: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Whether the files with weights are there; nothing of a model that has its weights inside."""
    lost = [f"{one['name']}: {one['why']}" for one in files if one["why"]]
    more = f"; and {len(lost) - _SHOWN} more" if len(lost) > _SHOWN else ""
    why = "; ".join(lost[:_SHOWN]) + more
    what = "the files with weights are there"
    return [{"what": what, "ok": not lost, "why": why or None}] if files else []


def _external(name: str, path: Path) -> dict[str, Any]:
    """{name, size, why}: of a file with weights; a name that leads elsewhere is not followed."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\\" in name or "\0" in name:
        return {"name": name, "size": None, "why": "it lies outside of the model's folder"}
    beside = path.parent / relative
    why = input_file.lacking(beside)
    return {"name": name, "size": None if why else beside.stat().st_size, "why": why or None}


def _value(value: onnx.ValueInfoProto) -> dict[str, Any]:
    return {
        "name": _text(value.name),
        "shape": _shape(value),
        "dtype": _type(value.type),
    }


def _type(found: onnx.TypeProto) -> str | None:
    """What a value is made of; of what is no tensor, what it is."""
    kind = found.WhichOneof("value")
    return (
        onnx_weights.dtype(found.tensor_type.elem_type)
        if kind in ("tensor_type", None)
        else _KINDS.get(kind, kind)
    )


_KINDS = {
    "sequence_type": "sequence",
    "map_type": "map",
    "optional_type": "optional",
    "sparse_tensor_type": "sparse tensor",
    "opaque_type": "opaque",
}


def _shape(value: onnx.ValueInfoProto) -> list[int | str | None] | None:
    """None where the rank is not known: no dimensions are those of a scalar."""
    if not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else _text(dim.dim_param) or None for dim in dims]

"""A fixed-point model of modelbuild's own as `inspect` shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.artifacts.inspectors import onnx
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import fixed_onnx
from modelbuild.quantize import record as records

_SUFFIX, _RECORD = ".fixed.onnx", ".quant.txt"

# What is true of the drawing, and not of the model that it stands for
_DRAWN = frozenset(
    {"parameter_types", "initializers", "subgraph_nodes", "domains", "unknown_operators", "quantization"}
)


def describe(path: Path) -> dict[str, Any]:
    """Arithmetic, chip, integer borders, operators and number formats; and the quantization record, where it
    lies beside the file. Of integers that cannot be read only what is drawn. Errors: ModelbuildError for what
    is no complete ONNX."""
    drawn = onnx.describe(path)
    model, why = fixed_onnx.survey(input_file.read(path))
    checks = [
        {"what": "the integers have the digest that the file carries", "ok": not why, "why": why or None},
        *drawn["checks"],
    ]
    if model is None:
        return drawn | {"checks": checks, "record": _record(path)}
    return drawn | {
        "arithmetic": model.arithmetic,
        "chip": model.chip,
        "metadata": dict(sorted(model.metadata.items())),
        "checks": checks,
        "formats": _formats(model),
        "record": _record(path),
        "models": [_entry(model, drawn["models"][0])],
    }


def _entry(model: FixedModel, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The model, with what its drawing tells as well."""
    shown = {key: value for key, value in drawn.items() if key not in _DRAWN}
    operators = Counter(operator.kind for operator in model.operators)
    return shown | {
        "inputs": [_tensor(model, name) for name in model.inputs],
        "outputs": [_tensor(model, name) for name in model.outputs],
        "nodes": len(model.operators),
        "operators": {kind: operators[kind] for kind in sorted(operators)},
        "parameters": sum(values.size for values in model.constants.values()),
        "cpu_nodes": [
            {"name": operator.name, "op": operator.kind}
            for operator in model.operators
            if operator.unit == "cpu"
        ],
    }


def _formats(model: FixedModel) -> dict[str, Any]:
    """How many tensors have which type, how many constants of which type there are, and their bytes."""
    tensors = Counter(_dtype(model, name) for name in model.tensors)
    constants = Counter(str(values.dtype) for values in model.constants.values())
    return {
        "tensors": dict(sorted(tensors.items())),
        "constants": dict(sorted(constants.items())),
        "constant_bytes": sum(values.nbytes for values in model.constants.values()),
    }


def _record(path: Path) -> dict[str, Any] | None:
    """The summary of `<model>.quant.txt` in the same folder; None where there is none."""
    beside = path.with_name(path.name.removesuffix(_SUFFIX) + _RECORD)
    if not path.name.endswith(_SUFFIX) or not beside.is_file():
        return None
    try:
        record = records.read(beside)
    except ModelbuildError as error:
        return {"file": beside.name, "unreadable": error.problems[0].what}
    told = record.to_json()
    return {
        "file": beside.name,
        **{key: told[key] for key in ("method", "activations", "weights", "format", "samples", "edited")},
        "lines": len(record.tensors),
        "methods": dict(sorted(Counter(tensor.method for tensor in record.tensors).items())),
        "corrections": {kind: len(tensors) for kind, tensors in sorted(record.corrections.items())},
    }


def _dtype(model: FixedModel, name: str) -> str:
    return str(model.tensors[name].dtype)


def _tensor(model: FixedModel, name: str) -> dict[str, Any]:
    tensor = model.tensors[name]
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": _dtype(model, name),
        "scale": None if tensor.floating else tensor.scale,
        "zero_point": None if tensor.floating else tensor.zero_point,
    }

"""A fixed-point model of modelbuild's own as `inspect` shows it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.artifacts.inspectors import onnx
from modelbuild.quantize import fixed_onnx


def describe(path: Path) -> dict[str, Any]:
    """Arithmetic, chip, integer borders and operators. Errors: ModelbuildError where it was altered."""
    model = fixed_onnx.read(path)
    drawn = onnx.describe(path)
    operators = Counter(operator.kind for operator in model.operators)
    entry = drawn["models"][0] | {
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
    return drawn | {
        "arithmetic": model.arithmetic,
        "chip": model.chip,
        "metadata": dict(sorted(model.metadata.items())),
        "models": [entry],
    }


def _tensor(model: FixedModel, name: str) -> dict[str, Any]:
    tensor = model.tensors[name]
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": f"{'' if tensor.signed else 'u'}int{tensor.bits}",
        "scale": tensor.scale,
        "zero_point": tensor.zero_point,
    }

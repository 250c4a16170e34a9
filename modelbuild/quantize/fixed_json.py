"""A fixed model as canonical JSON: everything but the constants that are kept elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import (
    FixedModel,
    FixedOperator,
    Parameter,
    QuantizedTensor,
)

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "int64", "float32")


def encode(model: FixedModel, elsewhere: frozenset[str]) -> str:
    """Canonical JSON; the constants named in `elsewhere` are mentioned and left out."""
    content = {
        "name": model.name,
        "arithmetic": model.arithmetic,
        "chip": model.chip,
        "inputs": model.inputs,
        "outputs": model.outputs,
        "metadata": dict(model.metadata),
        "tensors": [
            [t.name, t.shape, t.bits, t.signed, t.scale, t.zero_point, *([True] if t.floating else [])]
            for t in model.tensors.values()
        ],
        "constants": [
            [name, None if name in elsewhere else [str(v.dtype), v.shape, v.reshape(-1).tolist()]]
            for name, v in model.constants.items()
        ],
        "operators": [
            {
                "kind": op.kind,
                "name": op.name,
                "inputs": op.inputs,
                "outputs": op.outputs,
                "parameters": dict(op.parameters),
                "constants": dict(op.constants),
                "origin": op.origin,
                "unit": op.unit,
                **({"fused": True} if op.fused else {}),
            }
            for op in model.operators
        ],
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def decode(text: str, elsewhere: Mapping[str, NDArray[Any]]) -> FixedModel:
    """The inverse; raises KeyError, TypeError or ValueError on anything that `encode` does not write."""
    content = json.loads(text)
    tensors = [
        QuantizedTensor(
            _text(name),
            _whole_list(shape),
            _whole(bits),
            _flag(signed),
            _real(scale),
            _whole(zero),
            *(_flag(floating) for floating in further),
        )
        for name, shape, bits, signed, scale, zero, *further in content["tensors"]
    ]
    constants = {
        _text(name): elsewhere[name] if stored is None else _array(*stored)
        for name, stored in content["constants"]
    }
    return FixedModel(
        _text(content["name"]),
        _text(content["arithmetic"]),
        _text(content["chip"]),
        _texts(content["inputs"]),
        _texts(content["outputs"]),
        {tensor.name: tensor for tensor in tensors},
        constants,
        tuple(_operator(item) for item in content["operators"]),
        {_text(key): _text(value) for key, value in content["metadata"].items()},
    )


def _operator(item: Mapping[str, Any]) -> FixedOperator:
    return FixedOperator(
        _text(item["kind"]),
        _text(item["name"]),
        _texts(item["inputs"]),
        _texts(item["outputs"]),
        {_text(key): _parameter(value) for key, value in item["parameters"].items()},
        {_text(key): _text(value) for key, value in item["constants"].items()},
        _texts(item["origin"]),
        _text(item["unit"]),
        _flag(item.get("fused", False)),
    )


def _parameter(value: object) -> Parameter:
    if isinstance(value, str):
        return value
    return _whole_list(value) if isinstance(value, list) else _whole(value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return tuple(_text(item) for item in value)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _whole_list(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return tuple(_whole(item) for item in value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is not true or false")
    return value


def _real(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _array(dtype: str, shape: object, values: list[object]) -> NDArray[Any]:
    if dtype not in DTYPES:
        raise ValueError(f"{dtype!r} is not a type of constants")
    read = [_real(value) for value in values] if dtype == "float32" else _whole_list(values)
    return np.array(read, dtype=dtype).reshape(_whole_list(shape))

"""A TFLite model as `inspect` shows it: its borders and operators."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from modelbuild.formats import flatbuffer, tflite_schema


def describe(path: Path) -> dict[str, Any]:
    """Inputs, outputs and operators of every subgraph. Errors: ModelbuildError with the offset."""
    model = flatbuffer.root(path.read_bytes(), "TFLite")
    codes = [_operator(table) for table in model.tables(1)]
    return {
        "version": str(model.integer(0, "I")),
        "silicon": None,
        "description": model.string(3),
        "checksums": [],
        "models": [_subgraph(table, codes) for table in model.tables(2)],
    }


def _operator(table: flatbuffer.Table) -> str:
    name = tflite_schema.operator_name(table.integer(0, "b"), table.integer(3, "i"))
    return f"{name} {table.string(1) or ''}".strip() if name == "CUSTOM" else name


def _subgraph(table: flatbuffer.Table, codes: list[str]) -> dict[str, Any]:
    tensors = table.tables(0)
    operators = Counter(_code(item.integer(0, "I"), codes) for item in table.tables(3))
    return {
        "id": None,
        "name": table.string(4),
        "version": None,
        "inputs": _tensors(table.integers(1, "i"), tensors),
        "outputs": _tensors(table.integers(2, "i"), tensors),
        "nodes": sum(operators.values()),
        "operators": {name: operators[name] for name in sorted(operators)},
    }


def _code(index: int, codes: list[str]) -> str:
    return codes[index] if index < len(codes) else "unknown"


def _tensors(indices: tuple[int, ...], tensors: tuple[flatbuffer.Table, ...]) -> list[dict[str, Any]]:
    found = (tensors[index] for index in indices if 0 <= index < len(tensors))
    return [
        {
            "name": table.string(3),
            "shape": list(table.integers(0, "i")),
            "dtype": _dtype(table.integer(1, "b")),
        }
        for table in found
    ]


def _dtype(code: int) -> str:
    types = tflite_schema.TENSOR_TYPES
    return types[code] if 0 <= code < len(types) else f"unknown ({code})"

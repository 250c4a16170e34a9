"""A .sima as `inspect` shows it: nodes by kind, what is quantized how, and the arrays."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors import archive
from modelbuild.formats import sima

_UNKNOWN = "unknown"


def describe(path: Path) -> dict[str, Any]:
    """What is open of it. Errors: ModelbuildError for what is no ZIP."""
    found = sima.read(input_file.read(path))
    return {
        "version": None,
        "silicon": None,
        "quantized": found.is_quantized if found.nodes else None,
        "keys": list(found.keys),
        "others": list(found.others),
        "unknown_tags": found.tags,
        "checksums": archive.checksums(found.checksums),
        "checks": archive.checks(found.checks),
        "members": archive.zip_members(found.archive),
        "models": [_model(found)],
        "parts": archive.parts(found.parts, len(found.archive.data)),
    }


def _model(found: sima.Sima) -> dict[str, Any]:
    kinds = Counter(node.kind or _UNKNOWN for node in found.nodes)
    named = {name for node in found.nodes for name in node.arrays.values()}
    sizes = [array.size for array in found.arrays if array.size is not None]
    return {
        "id": None,
        "name": None,
        "version": None,
        "inputs": [],
        "outputs": [],
        "nodes": len(found.nodes),
        "operators": {kind: kinds[kind] for kind in sorted(kinds)},
        "array_bytes": sum(sizes),
        "arrays": [
            {
                "name": array.name,
                "shape": list(array.shape),
                "dtype": array.dtype,
                "size": array.size,
                "named_by_a_node": array.name in named,
            }
            for array in found.arrays
        ],
        "quantization": [
            entry for node in found.nodes if len(entry := _quantization(node)) > len(("name", "op"))
        ],
    }


def _quantization(node: sima.SimaNode) -> dict[str, Any]:
    """What a node tells of its integers, under the names that the file uses; the scales are reciprocal."""
    told: dict[str, Any] = {"name": "/".join((*node.path, node.name)), "op": node.kind or _UNKNOWN}
    if node.scale is not None:
        told["scale"] = _finite(node.scale)
    if node.zero_point is not None:
        told["zero_point"] = node.zero_point
    if node.per_channel is not None:
        told["per_channel"] = node.per_channel
    if node.channel_params:
        told["channel_params"] = [[_finite(scale), zero] for scale, zero in node.channel_params[:4]]
        told["channels"] = len(node.channel_params)
    if node.arrays:
        told["arrays"] = dict(sorted(node.arrays.items()))
    return told


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

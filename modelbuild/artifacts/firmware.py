"""`<model>.json`: what firmware must know to feed a packaged model and read what it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from modelbuild.artifacts.packing.nef import scale_and_radix
from modelbuild.artifacts.packing.program import Program
from modelbuild.npu.program import TensorPlace, interface


def describe(
    program: Program,
    version: str | None,
    labels: list[str] | None,
    silicon: bool,
    batch: Mapping[str, Any],
) -> dict[str, Any]:
    """Names, dtypes, shapes, layout, scales, zero points or radices, declared preprocessing, class names, and
    how many pictures a run takes, of how many that were asked for (null: nothing was)."""
    described = interface(program.command)
    preprocess, in_model = (
        json.loads(described.metadata.get(key, "{}")) for key in ("preprocess", "in_model")
    )
    return {
        "model": program.name,
        "id": program.id,
        "version": version,
        "chip": described.chip,
        "arithmetic": described.arithmetic,
        "silicon": silicon,
        "batch": {"desired": batch["desired"], "achieved": batch["achieved"]},
        "inputs": [
            _input(place, preprocess.get(place.name), in_model.get(place.name)) for place in described.inputs
        ],
        "outputs": [_tensor(place, "NCHW") for place in described.outputs],
        "labels": labels,
    }


def _input(
    place: TensorPlace, preprocess: dict[str, Any] | None, in_model: dict[str, Any] | None
) -> dict[str, Any]:
    """`preprocess` is what firmware does to a picture, `in_model` the declaration of what the model does."""
    found = {**_tensor(place, (preprocess or {}).get("layout", "NCHW")), "preprocess": preprocess}
    return found if in_model is None else {**found, "in_model": in_model}


def _tensor(place: TensorPlace, layout: str) -> dict[str, Any]:
    """`layout` is null for tensors of other than four axes: their order is the model's own."""
    scale, radix = scale_and_radix(place.scale)
    return {
        "name": place.name,
        "dtype": f"{'int' if place.signed else 'uint'}{8 if place.bits <= 8 else 16}",
        "bits": place.bits,
        "shape": list(place.shape),
        "layout": layout if len(place.shape) == 4 else None,
        "size": place.size,
        "scale": place.scale,
        "zero_point": place.zero_point,
        "radix_form": {
            "radix": radix,
            "scale": scale,
            "formula": "real = (q - zero_point) / (scale * 2^radix)",
        },
    }

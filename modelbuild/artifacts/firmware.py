"""`<model>.json`: what firmware must know to feed a packaged model and read what it answers."""

from __future__ import annotations

import json
from typing import Any

from modelbuild.artifacts.packing.nef import scale_and_radix
from modelbuild.artifacts.packing.program import Program
from modelbuild.chips.recipe import Container
from modelbuild.npu.program import TensorPlace, interface


def describe(program: Program, container: Container, version: str | None) -> dict[str, Any]:
    """Names, dtypes, shapes, layout, scales, zero points or radices, and the declared preprocessing."""
    described = interface(program.command)
    preprocess = json.loads(described.metadata.get("preprocess", "{}"))
    return {
        "model": program.name,
        "id": program.id,
        "version": version,
        "chip": described.chip,
        "arithmetic": described.arithmetic,
        "silicon": False,
        "inputs": [
            {**_tensor(place, container), "preprocess": preprocess.get(place.name)}
            for place in described.inputs
        ],
        "outputs": [_tensor(place, container) for place in described.outputs],
    }


def _tensor(place: TensorPlace, container: Container) -> dict[str, Any]:
    scale, radix = scale_and_radix(place.scale)
    return {
        "name": place.name,
        "dtype": f"{'int' if place.signed else 'uint'}{8 if place.bits <= 8 else 16}",
        "bits": place.bits,
        "shape": list(place.shape),
        "layout": "NCHW" if len(place.shape) == 4 else "as the model's",
        "size": place.size,
        "scale": place.scale,
        "zero_point": place.zero_point,
        "radix_form": {
            "radix": radix,
            "scale": scale,
            "formula": "real = (q - zero_point) / (scale * 2^radix)",
        },
    }

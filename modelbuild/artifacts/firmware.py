"""`<model>.json`: what firmware must know to feed a packaged model and read what it answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.artifacts.packing.nef import scale_and_radix
from modelbuild.artifacts.packing.program import Described, Program
from modelbuild.graph.kept_quantization import KEY


def describe(
    program: Program,
    described: Described,
    version: str | None,
    labels: list[str] | None,
    silicon: bool,
    batch: Mapping[str, Any],
) -> dict[str, Any]:
    """Names, dtypes, shapes, layout, scales, zero points or radices, declared preprocessing, class names, and
    how many pictures a run takes, of how many that were asked for (null: nothing was); and what else travels
    with the model and finds no place in the package."""
    preprocess, in_model = (
        json.loads(described.metadata.get(key, "{}")) for key in ("preprocess", "in_model")
    )
    found: dict[str, Any] = {
        "model": program.name,
        "id": program.id,
        "version": version,
        "chip": described.chip,
        "arithmetic": described.arithmetic,
        "silicon": silicon,
        "batch": {"desired": batch["desired"], "achieved": batch["achieved"]},
        "inputs": [_input(it, preprocess.get(it.name), in_model.get(it.name)) for it in described.inputs],
        "outputs": [_tensor(tensor, _layout_of_outputs(in_model)) for tensor in described.outputs],
        "labels": labels,
    }
    kept = json.loads(described.metadata.get(KEY, "{}"))
    for side, end in (("inputs", "dequantized"), ("outputs", "quantized")):
        found[side] = [_with_codes(port, kept.get(f"{port['name']}_{end}")) for port in found[side]]
    return {**found, "metadata": dict(described.apart)} if described.apart else found


def _with_codes(port: dict[str, Any], entry: Mapping[str, Any] | None) -> dict[str, Any]:
    """`codes`: scale and zero point that the source gives those of a port that holds its codes as they are,
    which is why the port's own are 1 and 0."""
    own = (port["dtype"], port["scale"], port["zero_point"])
    if entry is None or own != (entry["dtype"], 1.0, 0) or port.get("in_model") is not None:
        return port
    return {**port, "codes": {"scale": entry["scale"][0], "zero_point": entry["zero_point"][0]}}


def _input(
    tensor: QuantizedTensor, preprocess: dict[str, Any] | None, in_model: dict[str, Any] | None
) -> dict[str, Any]:
    """`preprocess` is what firmware does to a picture, `in_model` the declaration of what the model does."""
    found = {**_tensor(tensor, (preprocess or {}).get("layout", "NCHW")), "preprocess": preprocess}
    return found if in_model is None else {**found, "in_model": in_model}


def _layout_of_outputs(in_model: Mapping[str, dict[str, Any]]) -> str:
    """That which an input's declaration asks for: `in_model` is by input."""
    asked = (declared.get("output_layout") for declared in in_model.values())
    return next((str(layout) for layout in asked if layout), "NCHW")


def _tensor(tensor: QuantizedTensor, layout: str) -> dict[str, Any]:
    """`layout` is null for tensors of other than four axes: their order is the model's own. Floats have no
    scale."""
    found = {
        "name": tensor.name,
        "dtype": str(tensor.dtype),
        "bits": tensor.bits,
        "shape": list(tensor.shape),
        "layout": layout if len(tensor.shape) == 4 else None,
        "size": math.prod(tensor.shape) * tensor.dtype.itemsize,
    }
    if tensor.floating:
        return {**found, "scale": None, "zero_point": None, "radix_form": None}
    scale, radix = scale_and_radix(tensor.scale)
    form = {
        "radix": radix,
        "scale": scale,
        "formula": "real = (q - zero_point) / (scale * 2^radix)",
    }
    return {**found, "scale": tensor.scale, "zero_point": tensor.zero_point, "radix_form": form}

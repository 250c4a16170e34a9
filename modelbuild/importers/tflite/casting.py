"""QUANTIZE, DEQUANTIZE and CAST: from codes to numbers, and from one element type to another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modelbuild.formats import tflite_schema as schema
from modelbuild.graph.tensors import element_type_of
from modelbuild.importers import channels_last_operators as ops
from modelbuild.importers.tflite.elementwise import constant, step
from modelbuild.importers.tflite.layer import Layer, Rule


def _quantization(layer: Layer) -> None:
    """QUANTIZE and DEQUANTIZE change nothing in the float graph. The entry is of the floats on the other
    side, too, so that it stays when the node goes. Of a constant (weights in half precision or integers)
    they make another one. A QUANTIZE of codes to codes of other values is a Clip to the range of these: it
    has a quantization on either side."""
    w, data, entries = layer.writer, layer.input(0), layer.state.kept
    if w.is_constant(data):
        value = w.value(data)
        assert value is not None
        w.constant(layer.output, value)
        layer.keep(layer.output, entries.get(data))
        return
    before, made = entries.get(data), entries.get(layer.output)
    if layer.operator.op == "QUANTIZE" and before is not None and made is not None and not made.holds(before):
        if not before.axis is made.axis is None:
            raise layer.wrong("has a scale a channel on an activation, which is not supported")
        ops.clip(w, data, layer.output, *made.range())
        return
    ops.elementwise(w, "Identity", [data], layer.output)
    if layer.operator.op == "DEQUANTIZE":
        layer.keep(layer.output, entries.get(data))
    elif data not in entries and layer.reads_alone(0):
        layer.keep(data, entries.get(layer.output))


def _cast(layer: Layer) -> None:
    """Of quantized tensors TFLite casts the codes: x / scale + zero point, and back (cast.cc)."""
    w, data, entries = layer.writer, layer.input(0), layer.state.kept
    tensor = layer.state.model.tensors[layer.operator.outputs[0]]
    kind = "float32" if tensor.type in schema.OTHER_FLOATS else tensor.type
    if kind not in schema.NUMBERS:
        raise layer.wrong(f"makes {kind}, which is not supported")
    read, made = entries.get(data), entries.get(layer.output)
    if any(entry is not None and entry.axis is not None for entry in (read, made)):
        raise layer.wrong("casts codes with a scale a channel, which is not supported")
    if read is not None:
        steps = step(layer, "Div", [data, constant(layer, "scale", read.scale[0])], "steps")
        whole = step(layer, "Round", [steps], "whole")
        data = step(layer, "Add", [whole, constant(layer, "zero", read.zero_point[0])], "codes")
    target = layer.output if made is None else w.scratch(f"{layer.output}_cast")
    ops.elementwise(w, "Cast", [data], target, {"to": element_type_of(np.dtype(kind))})
    if made is not None:
        codes = w.scratch(f"{layer.output}_codes")
        ops.elementwise(w, "Cast", [target], codes, {"to": element_type_of(np.dtype(np.float32))})
        zero = constant(layer, "zero", made.zero_point[0])
        steps = step(layer, "Sub", [codes, zero], "steps")
        ops.elementwise(w, "Mul", [steps, constant(layer, "scale", made.scale[0])], layer.output)


RULES: Mapping[str, Rule] = {"CAST": _cast, "DEQUANTIZE": _quantization, "QUANTIZE": _quantization}

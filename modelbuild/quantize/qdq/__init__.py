"""A fixed model drawn as ONNX nodes between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from modelbuild.arithmetic.binding import bind
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.quantize.qdq.drawing import Drawing
from modelbuild.quantize.qdq.operators import DRAWERS

__all__ = ["emit"]


def emit(model: FixedModel) -> Drawing:
    """Nodes and initializers of the whole model; inputs and outputs are floats under their own names."""
    drawing = Drawing(model)
    for name in model.tensors:
        if name in model.constants:
            drawing.constant(name)
            drawing.dequantize(model.tensors[name], name)
    for name in model.inputs:
        drawing.quantize(model.tensors[name], name)
    for operator in model.operators:
        DRAWERS[operator.kind](drawing, bind(model, operator))
    return drawing

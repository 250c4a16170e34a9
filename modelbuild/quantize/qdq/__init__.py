"""A fixed model drawn as ONNX nodes between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from modelbuild.arithmetic.binding import bind
from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.kpu.validation import RULES as KPU_RULES
from modelbuild.arithmetic.validation import ARITHMETIC
from modelbuild.quantize.qdq import calculating, kpu_operators, moving
from modelbuild.quantize.qdq.drawing import Drawing

__all__ = ["emit"]

DRAWERS = {
    ARITHMETIC: {**calculating.DRAWERS, **moving.DRAWERS},
    **dict.fromkeys(KPU_RULES, kpu_operators.DRAWERS),
}


def emit(model: FixedModel) -> Drawing:
    """Nodes and initializers of the whole model; inputs and outputs are floats under their own names."""
    drawing = Drawing(model)
    for name in model.tensors:
        if name in model.constants:
            drawing.put(model.tensors[name], drawing.constant(name))
    for name in model.inputs:
        drawing.take(model.tensors[name])
    for operator in model.operators:
        DRAWERS[model.arithmetic][operator.kind](drawing, bind(model, operator))
    return drawing

"""ONNX operator -> the rule that writes its gradient as ONNX nodes, at the operator set of the importers."""

from __future__ import annotations

from modelbuild.graph.gradients import elementwise, movement, pooling, products, reduction, resize, unary
from modelbuild.graph.gradients.step import Rules

RULES: Rules = {
    **elementwise.RULES,
    **movement.RULES,
    **pooling.RULES,
    **products.RULES,
    **reduction.RULES,
    **resize.RULES,
    **unary.RULES,
}

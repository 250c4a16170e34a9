"""What to do about an operator that a chip's NPU does not run."""

from __future__ import annotations

from modelbuild.graph.model import Node

_CUT = "cut the model before it (edit: cut: outputs) and compute it after the chip"
_OTHER = "replace it in the source model, cut the model before it, or take another chip"

_BY_OPERATOR: dict[str, str] = {
    "ArgMax": _CUT,
    "ArgMin": _CUT,
    "Conv": "use a smaller kernel or stride (two small convolutions cover a large window), or another chip",
    "ConvTranspose": "replace it by a nearest-neighbour Resize and a Conv, or take another chip",
    "Einsum": "write it as MatMul with Reshape and Transpose",
    "GRU": "unroll the recurrence in the source model, or take another chip",
    "Gelu": "use Relu or HardSwish and train again, or take another chip",
    "GridSample": "use Resize or a convolution instead, or cut the model around it",
    "HardSwish": "use Relu and train again, or accept the CPU's time",
    "If": "export the model with the branch fixed (no control flow)",
    "LSTM": "unroll the recurrence in the source model, or take another chip",
    "Loop": "export the model with the loop unrolled (no control flow)",
    "NonMaxSuppression": _CUT,
    "RNN": "unroll the recurrence in the source model, or take another chip",
    "Scan": "export the model with the loop unrolled (no control flow)",
    "Sigmoid": "use HardSigmoid or Relu and train again, or, at the end, " + _CUT,
    "Softmax": _CUT,
    "TopK": _CUT,
    "Where": "write the choice as Mul and Add of constant masks",
}


def advice(node: Node) -> str:
    """One line, for a finding."""
    return _BY_OPERATOR.get(node.op, _OTHER)

"""What a convolution or a product of matrices begins with on the KPU, and the scale at which it ends."""

from __future__ import annotations

from typing import NamedTuple

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.chains import Chain
from modelbuild.graph.model import Node
from modelbuild.kpu.lowering.layer import Codes
from modelbuild.kpu.lowering.lowering import Lowering
from modelbuild.quantize.row_constants import row_codes
from modelbuild.quantize.weighted import Weighted


class Start(NamedTuple):
    """The node, the functions behind it, its weights as the record has them, its input, and the weights as
    integers."""

    node: Node
    chain: Chain
    found: Weighted
    x: QuantizedTensor
    codes: Codes


def start(lowering: Lowering) -> Start:
    """Of the node that is being built."""
    node = lowering.node
    chain = lowering.chains.behind(node.outputs[0])
    x = lowering.unpicked.get(node.inputs[0]) or lowering.bytes(node.inputs[0])
    found = lowering.weighted()
    assert lowering.assembly is not None
    if found is None:
        lowering.fail("its weights and biases must be constants")
    made = row_codes(lowering.assembly, found, x)
    return Start(node, chain, found, x, Codes(made.integers, made.scales, made.bias))


def left_by(lowering: Lowering, chain: Chain) -> QuantizedTensor:
    """The scale at which a layer leaves what the node that is built and the functions behind it make."""
    return lowering.left(chain.end, chain.nodes[-1].op if chain.nodes else lowering.node.op)

"""DequantizeLinear of an input that holds codes, QuantizeLinear of an output that does.

The KPU, and tables, have bytes without a sign alone; codes of int8 become floats first."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.graph.quantized_border import scale_and_zero
from modelbuild.kpu.lowering.limits import line
from modelbuild.kpu.lowering.lowering import BYTES, FLOATS, Lowering
from modelbuild.kpu.lowering.moving import Wanted

_SAME = 1e-6  # of a scale: the graph has float32, the record the nearest double


def dequantize(lowering: Lowering, wanted: Wanted) -> None:
    """Floats of the port's codes, or bytes at the record's scale: for those who read bytes, and where these
    are the codes themselves, which are moved before anything makes floats of them."""
    scale, zero = scale_and_zero(lowering.graph, lowering.node)
    name = lowering.step.outputs[0]
    codes = _port(lowering, lowering.node.inputs[0])
    if not codes.signed and (name in wanted or _keeps_codes(lowering, name, scale, zero)):
        lowering.lookup(codes, lowering.new_bytes(name), lambda x: (x - zero) * scale)
    else:
        lowering.emit("dequantize", (codes,), lowering.output(), {}, line(scale, -zero * scale))


def _keeps_codes(lowering: Lowering, name: str, scale: float, zero: int) -> bool:
    if lowering.assembly is None:
        return False
    form = lowering.recorded(name)
    return form.zero_point == zero and abs(form.scale - scale) <= _SAME * scale


def quantize(lowering: Lowering, _: Wanted) -> None:
    """The port's codes of the tensor before it."""
    scale, zero = scale_and_zero(lowering.graph, lowering.node)
    name = lowering.node.inputs[0]
    y = _port(lowering, lowering.step.outputs[0])
    if not y.signed and lowering.has(name, BYTES) and not lowering.has(name, FLOATS):
        lowering.lookup(lowering.bytes(name), y, lambda x: x / scale + zero)
        return
    x = lowering.floats(name)
    lowering.emit("quantize", (x,), y, {}, line(1.0 / scale, zero))


def _port(lowering: Lowering, name: str) -> QuantizedTensor:
    return lowering.bytes(name) if lowering.has(name, BYTES) else lowering.new_bytes(name)


BUILDERS = {"DequantizeLinear": dequantize, "QuantizeLinear": quantize}

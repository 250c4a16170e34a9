"""DequantizeLinear of an input that holds codes, QuantizeLinear of an output that does."""

from __future__ import annotations

from modelbuild.arithmetic.fixed_model import Parameter
from modelbuild.graph.quantized_border import scale_and_zero
from modelbuild.quantize.assembly import Assembly, operand_bits


def dequantize(assembly: Assembly) -> None:
    """The port's codes, less the zero point, at the scale of the tensor behind it."""
    scale, zero = scale_and_zero(assembly.graph, assembly.node)
    y = assembly.output()
    _convert(assembly, scale / y.scale, {"input_zero": zero, **assembly.bounds(y)})


def quantize(assembly: Assembly) -> None:
    """The port's codes of the tensor before it."""
    scale, zero = scale_and_zero(assembly.graph, assembly.node)
    x, y = assembly.tensor(assembly.node.inputs[0]), assembly.output()
    bounds: dict[str, Parameter] = {"output_zero": zero, "low": y.low, "high": y.high}
    _convert(assembly, x.scale / scale, {"input_zero": x.zero_point, **bounds})


def _convert(assembly: Assembly, factor: float, parameters: dict[str, Parameter]) -> None:
    x, y = assembly.tensor(assembly.node.inputs[0]), assembly.output()
    multiplier, shift = assembly.decompose(factor, operand_bits(x))
    assembly.emit("rescale", (x,), y, {**parameters, "multiplier": multiplier, "shift": shift})


BUILDERS = {"DequantizeLinear": dequantize, "QuantizeLinear": quantize}

"""MaxPool, AveragePool and their global forms."""

from __future__ import annotations

import numpy as np

from modelbuild.arithmetic.distinct import distinct
from modelbuild.arithmetic.fixed_model import Parameter, QuantizedTensor
from modelbuild.arithmetic.pooling import window_cells
from modelbuild.arithmetic.windows import Window, extents
from modelbuild.quantize.assembly import Assembly, operand_bits
from modelbuild.quantize.builders.products import as_picture
from modelbuild.quantize.windows import explicit_pads, pair

Pads = tuple[int, int, int, int]


def max_pool(assembly: Assembly) -> None:
    """The largest of each window, at the input's own scale."""
    node = assembly.node
    if len([name for name in node.outputs if name]) > 1:
        assembly.fail("its second output, the indices, has no fixed-point form")
    x, y, kernel, pads = _window(assembly)
    axes = len(assembly.output().shape) - 2
    parameters: dict[str, Parameter] = {
        "kernel": kernel,
        "strides": pair(node.ints("strides", [1] * axes), 1),
        "pads": pads,
        "dilations": pair(node.ints("dilations", [1] * axes), 1),
        "low": y.low,
        "high": y.high,
    }
    assembly.emit("max_pool", (x,), y, parameters)
    _close(assembly, y)


def average_pool(assembly: Assembly) -> None:
    """The mean of each window."""
    node = assembly.node
    x, y, kernel, pads = _window(assembly)
    axes = len(assembly.output().shape) - 2
    if any(step != 1 for step in node.ints("dilations", [1] * axes)):
        assembly.fail("its windows are dilated")
    include = node.int("count_include_pad", 0)
    if include and node.int("ceil_mode", 0):
        assembly.fail("count_include_pad together with ceil_mode has no fixed-point form")
    strides = pair(node.ints("strides", [1] * axes), 1)
    _emit_average(assembly, x, y, kernel, strides, pads, include)
    _close(assembly, y)


def global_average_pool(assembly: Assembly) -> None:
    """The mean of each channel."""
    x, y, kernel, pads = _window(assembly)
    _emit_average(assembly, x, y, kernel, (1, 1), pads, 0)
    _close(assembly, y)


def global_max_pool(assembly: Assembly) -> None:
    """The largest of each channel."""
    x, y, kernel, pads = _window(assembly)
    parameters: dict[str, Parameter] = {"kernel": kernel, "strides": (1, 1), "pads": pads}
    parameters |= {"dilations": (1, 1), "low": y.low, "high": y.high}
    assembly.emit("max_pool", (x,), y, parameters)
    _close(assembly, y)


def _window(assembly: Assembly) -> tuple[QuantizedTensor, QuantizedTensor, tuple[int, int], Pads]:
    """Input and output as pictures, the kernel and the pads."""
    node = assembly.node
    x, y = assembly.tensor(node.inputs[0]), assembly.output()
    axes = len(x.shape) - 2
    if axes not in (1, 2):
        assembly.fail(f"it has {axes} spatial axes; one or two can be built")
    if node.op.startswith("Global"):
        kernel, pads = list(x.shape[2:]), (0, 0, 0, 0)
    else:
        kernel = node.ints("kernel_shape", [])
        pads = explicit_pads(assembly.node, x.shape[2:], kernel, y.shape[2:])
    if axes == 1:
        x = as_picture(assembly, x, "wide")
        y = assembly.between(y, (y.shape[0], y.shape[1], 1, y.shape[2]), "row")
    return x, y, pair(kernel, 1), pads


def _close(assembly: Assembly, y: QuantizedTensor) -> None:
    """Back from [N, C, 1, L] to [N, C, L]."""
    output = assembly.output()
    if y is not output:
        assembly.emit("reshape", (y,), output, {"shape": output.shape})


def _emit_average(
    assembly: Assembly,
    x: QuantizedTensor,
    y: QuantizedTensor,
    kernel: tuple[int, int],
    strides: tuple[int, int],
    pads: Pads,
    include: int,
) -> None:
    window = Window(kernel, strides, (1, 1), pads, extents(x.shape, kernel, strides, (1, 1), pads))
    cells = window_cells(window, x.shape[2:], bool(include))
    if int(cells.min()) < 1:
        assembly.fail("a window lies wholly in the padding")
    counts = [int(value) for value in distinct(cells)]
    bits = operand_bits(x)
    pairs = [assembly.decompose(x.scale / (count * y.scale), bits) for count in counts]
    parameters: dict[str, Parameter] = {
        "kernel": kernel,
        "strides": strides,
        "pads": pads,
        "count_include_pad": include,
        "input_zero": x.zero_point,
    }
    constants = {
        "count": np.array(counts, np.int32),
        "multiplier": np.array([multiplier for multiplier, _ in pairs], np.int32),
        "shift": np.array([shift for _, shift in pairs], np.int32),
    }
    assembly.emit("average_pool", (x,), y, {**parameters, **assembly.bounds(y)}, constants)


BUILDERS = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
}

"""Which rows and planes of its inputs an operator needs for rows and planes of its output."""

from __future__ import annotations

from dataclasses import dataclass

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.npu.planning.forms import form, operand_form

CELLWISE = frozenset({"add", "multiply", "rescale", "prelu", "table", "curve"})
POOLS = frozenset({"max_pool", "average_pool"})
WEIGHTED = frozenset({"conv", "gemm"})
BANDED = CELLWISE | POOLS | WEIGHTED | {"resize_linear"}  # kinds that can be run band by band


@dataclass(frozen=True)
class Same:
    """Row r needs row r."""

    def rows(self, first: int, end: int) -> tuple[int, int]:
        """Rows of the input that rows first..end of the output need, as first and end."""
        return first, end


@dataclass(frozen=True)
class Whole:
    """Every row needs all rows there are, such as the one row of an operand that broadcasts."""

    height: int

    def rows(self, first: int, end: int) -> tuple[int, int]:
        """Rows of the input that rows first..end of the output need, as first and end."""
        return 0, self.height


@dataclass(frozen=True)
class Window:
    """A window of `span` rows, dilation included, that moves by `stride` over the input, whose rows are
    `step` apart with `pad_top` rows of padding above."""

    height: int
    span: int
    stride: int
    pad_top: int
    step: int = 1

    def rows(self, first: int, end: int) -> tuple[int, int]:
        """Rows of the input that rows first..end of the output need, as first and end.

        They are equal where all of it is padding."""
        top = first * self.stride - self.pad_top
        bottom = (end - 1) * self.stride - self.pad_top + self.span
        low = min(self.height, -(-max(0, top) // self.step))
        return low, max(low, min(self.height, (bottom - 1) // self.step + 1))


@dataclass(frozen=True)
class Named:
    """Each row names the lowest and the highest row it needs."""

    lows: tuple[int, ...]
    highs: tuple[int, ...]  # exclusive

    def rows(self, first: int, end: int) -> tuple[int, int]:
        """Rows of the input that rows first..end of the output need, as first and end."""
        return min(self.lows[first:end]), max(self.highs[first:end])


Reach = Same | Whole | Window | Named


def reach(model: FixedModel, operator: FixedOperator, position: int) -> Reach:
    """How rows of the output of a banded operator depend on rows of its input `position`."""
    source, target = model.tensors[operator.inputs[position]], model.tensors[operator.outputs[0]]
    height = source.shape[-2] if len(source.shape) > 2 else 1
    if operator.kind in ("conv", *POOLS):
        return _window(model, operator, height)
    if operator.kind == "resize_linear":
        rows = model.constants[operator.constants["rows"]]
        return Named(
            tuple(int(low) for low in rows.min(axis=1)), tuple(int(high) + 1 for high in rows.max(axis=1))
        )
    own = operand_form(source, len(target.shape)).rows
    return Same() if own == form(target).rows else Whole(own)


def _window(model: FixedModel, operator: FixedOperator, height: int) -> Window:
    parameters = operator.parameters
    if operator.kind == "conv":
        kernel = model.constants[operator.constants["weight"]].shape[2]
    else:
        kernel = _first(parameters["kernel"])
    dilation = _first(parameters["dilations"]) if "dilations" in parameters else 1
    step = _first(parameters["input_step"]) if "input_step" in parameters else 1
    stride, pad = _first(parameters["strides"]), _first(parameters["pads"])
    return Window(height, (kernel - 1) * dilation + 1, stride, pad, step)


def _first(value: object) -> int:
    assert isinstance(value, (tuple, list))
    return int(value[0])


def needs_all_rows(found: Reach, outputs: int, height: int) -> bool:
    """Whether `outputs` rows of output, one by one, leave no row of the input out."""
    end = 0
    for row in range(outputs):
        low, high = found.rows(row, row + 1)
        if low > end:
            return False
        end = max(end, high)
    return end >= height


def input_planes(
    model: FixedModel, operator: FixedOperator, position: int, first: int, count: int
) -> tuple[int, int]:
    """First plane and number of planes of an input that planes of the output need, all in one block
    (`grouping.blocks`) and, in a convolution of groups, in whole groups or within one."""
    source, target = model.tensors[operator.inputs[position]], model.tensors[operator.outputs[0]]
    if operator.kind in WEIGHTED:
        inputs, outputs = source.shape[1], target.shape[1]
        groups = operator.parameters["group"] if operator.kind == "conv" else 1
        assert isinstance(groups, int)
        image, channel = divmod(first, outputs)
        begin = channel * groups // outputs
        end = -(-(channel + count) * groups // outputs)
        each = inputs // groups
        return image * inputs + begin * each, (end - begin) * each
    if operator.kind in POOLS or operator.kind == "resize_linear":
        return first, count
    return _broadcast_planes(source.shape, target.shape, first, count)


def _broadcast_planes(
    source: tuple[int, ...], target: tuple[int, ...], first: int, count: int
) -> tuple[int, int]:
    outer = _plane_axes(target)
    own = _plane_axes((1,) * (len(target) - len(source)) + source)
    begin = end = 0
    low, high = first, first + count - 1
    stride = 1
    for extent, mine in zip(reversed(outer), reversed(own), strict=True):
        if mine != 1:
            begin += low % extent * stride
            end += high % extent * stride
        stride *= mine
        low, high = low // extent, high // extent
    return begin, end - begin + 1


def _plane_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) < 3 else shape[:-2]


def uniform_planes(source: tuple[int, ...], target: tuple[int, ...]) -> int:
    """How many neighbouring planes of `target` see an operand of shape `source` alike: each a plane of its
    own, or all the same one."""
    outer = _plane_axes(target)
    own = _plane_axes((1,) * (len(target) - len(source)) + source)
    count, fixed = 1, None
    for extent, mine in zip(reversed(outer), reversed(own), strict=True):
        if extent == 1:
            continue
        if fixed is not None and (mine != extent) != fixed:
            break
        fixed = mine != extent
        count *= extent
    return count

"""One KPU layer, or a few where a limit of the chip asks for it, emitted."""

from __future__ import annotations

from dataclasses import replace

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.formats.kmodel.kpu_geometry import LOAD_BYTES, MOST_CHANNELS, MOST_LOADS, TALLEST, WIDEST
from modelbuild.formats.kmodel.kpu_registers import RAM_UNIT, row_layout, shape_bytes
from modelbuild.kpu.lowering.cells import cut
from modelbuild.kpu.lowering.layer import Layer, LayerIntegers, Trim
from modelbuild.kpu.lowering.lowering import ON_KPU, Lowering
from modelbuild.kpu.lowering.strips import Part, Shapes, divided, steps
from modelbuild.kpu.quantizing import layer_constants


def emit_layer(lowering: Lowering, layer: Layer, y: QuantizedTensor, trim: Trim | None = None) -> None:
    """y = pool(function(x * weights + bias)), of which `trim` keeps cells. Output channels are divided among
    layers where they are too many, need too many loads of weights, or where the KPU's RAM cannot hold them
    beside the input; a map that is too large for any of them is divided into strips."""
    x, codes, depthwise = layer.x, layer.codes, layer.depthwise
    outputs, channels, kernel, _ = codes.weight.shape
    if (x.shape[1] if depthwise else channels) > MOST_CHANNELS:
        lowering.fail(
            f"it reads {x.shape[1]} channels, and a layer takes {MOST_CHANNELS}",
            "fewer channels in the source model, or cut it off: `edit: [{cut: {outputs: [...]}}]`",
        )
    made = y.shape if trim is None else trim.made
    most = _most_outputs(x, made, channels * kernel**2, depthwise, lowering.ram_bytes)
    if most < 1 or x.shape[2] > TALLEST or x.shape[3] > WIDEST:
        if _in_parts(lowering, layer, y, trim):
            return
        most = 0
    if most < 1:
        lowering.fail(
            f"its input {list(x.shape)} and one channel of its output do not fit {lowering.ram_bytes} bytes "
            "of the KPU's RAM",
            "fewer input channels or a smaller map in the source model, or a smaller picture (`inputs: "
            "{NAME: {shape: [...]}}`); or cut it off: `edit: [{cut: {outputs: [...]}}]`; if "
            "`compile: sram_bytes` is given, a larger number",
        )
    if outputs <= most:
        _emit(lowering, layer, y, trim)
        lowering.layers[y.name] = layer if trim is None else None
        return
    parts = []
    before = _before(lowering, x) if depthwise else None
    if before is not None:
        lowering.parts.drop(x.name)
    for span in _spans(outputs, most, made):
        part = lowering.between(y, (y.shape[0], span.stop - span.start, *y.shape[2:]), "part")
        own = layer.part(span)
        if depthwise:
            own = own._replace(x=_channels(lowering, x, span, before))
        _emit(lowering, own, part, trim)
        parts.append(part)
    lowering.emit("concat", parts, y, {"axis": 1})


def _in_parts(lowering: Lowering, layer: Layer, y: QuantizedTensor, trim: Trim | None) -> bool:
    """Strips of rows, each from cells of x to cells of y, laid together on the CPU; False where none fit."""
    x = layer.x
    firsts, every = ((0, 0), (1, 1)) if trim is None else (trim.starts[2:], trim.steps[2:])
    kernel = layer.codes.weight.shape[2]
    rows, columns = (steps(kernel, layer.pool, kept) for kept in zip(firsts, every, y.shape[2:], strict=True))
    shapes = Shapes(x.shape[0], x.shape[1], y.shape[1], *x.shape[2:])
    parts = divided(shapes, (rows, columns), lowering.ram_bytes)
    if parts is None or len(parts) < 2:
        return False
    integers = _integers(layer, y)
    made = [_part(lowering, layer._replace(integers=integers), y, part, every) for part in parts]
    across = len({part.columns for part in parts})
    lines = [_joined(lowering, y, made[start : start + across], 3) for start in range(0, len(made), across)]
    lowering.emit("concat", lines, y, {"axis": 2})
    return True


def _part(
    lowering: Lowering, layer: Layer, y: QuantizedTensor, part: Part, every: tuple[int, ...]
) -> QuantizedTensor:
    """The cells of y that one part makes."""
    rows, columns = part
    x = lowering.between(layer.x, (*layer.x.shape[:2], rows.size, columns.size), "strip")
    cut(lowering, layer.x, x, (0, 0, rows.start, columns.start))
    made = lowering.between(y, (*y.shape[:2], rows.kept, columns.kept), "part")
    left = (*y.shape[:2], rows.made, columns.made)
    trim = None if left == made.shape else Trim(left, (0, 0, rows.skip, columns.skip), (1, 1, *every))
    emit_layer(lowering, layer._replace(x=x), made, trim)
    return made


def _joined(
    lowering: Lowering, y: QuantizedTensor, parts: list[QuantizedTensor], axis: int
) -> QuantizedTensor:
    if len(parts) == 1:
        return parts[0]
    size = sum(part.shape[axis] for part in parts)
    made = lowering.between(y, (*parts[0].shape[:axis], size, *parts[0].shape[axis + 1 :]), "line")
    lowering.emit("concat", parts, made, {"axis": axis})
    return made


def _spans(outputs: int, most: int, made: tuple[int, ...]) -> list[slice]:
    """As even as whole rows of the KPU's RAM allow."""
    beside = row_layout(made[3])[0]
    even = -(-outputs // -(-outputs // most))
    size = min(-(-even // beside) * beside, most)
    return [slice(start, min(start + size, outputs)) for start in range(0, outputs, size)]


def _before(lowering: Lowering, x: QuantizedTensor) -> Layer | None:
    """The layer that makes x for this one alone: it is divided with it, and x never leaves the KPU."""
    return lowering.layers.get(x.name) if lowering.chains.sole_reader(x.name) is not None else None


def _channels(lowering: Lowering, x: QuantizedTensor, span: slice, before: Layer | None) -> QuantizedTensor:
    """Some channels of x; made by a layer of their own where `before` is what makes x."""
    y = lowering.between(x, (x.shape[0], span.stop - span.start, *x.shape[2:]), "channels")
    if before is not None:
        step = lowering.step
        lowering.begin(before.step)
        _emit(lowering, before.part(span), y, None)
        lowering.begin(step)
        return y
    cut(lowering, x, y, (0, span.start, 0, 0))
    return y


def _most_outputs(x: QuantizedTensor, made: tuple[int, ...], weights: int, depthwise: bool, ram: int) -> int:
    """How many output channels a layer may have, with so many bytes of RAM."""
    side_by_side = row_layout(made[3])[0]
    if depthwise:  # what it reads grows with what it leaves
        pair = sum(shape_bytes((each[0], row_layout(each[3])[0], *each[2:])) for each in (x.shape, made))
        return min(ram // pair * min(side_by_side, row_layout(x.shape[3])[0]), MOST_CHANNELS)
    one = made[0] * RAM_UNIT * row_layout(made[3])[1] * made[2]
    room = (ram - shape_bytes(x.shape)) // one
    return min(side_by_side * max(room, 0), MOST_LOADS * (LOAD_BYTES // weights), MOST_CHANNELS)


def _emit(lowering: Lowering, layer: Layer, y: QuantizedTensor, trim: Trim | None) -> None:
    out = y
    if trim is not None:
        out = lowering.between(y, (y.shape[0], y.shape[1], *trim.made[2:]), "map")
    x, integers = layer.x, layer.integers
    if integers is None:
        integers = _integers(layer, out)
    parameters, constants = integers
    lowering.emit(ON_KPU, (x,), out, parameters, constants)
    if trim is not None:
        cut(lowering, out, y, trim.starts, trim.steps)


def _integers(layer: Layer, y: QuantizedTensor) -> LayerIntegers:
    """The layer's parameters and constants."""
    x = replace(layer.x, zero_point=0) if layer.raw else layer.x
    out = replace(y, zero_point=0) if layer.raw else y
    return layer_constants(*layer.codes, x, out, layer.function, depthwise=layer.depthwise, pool=layer.pool)

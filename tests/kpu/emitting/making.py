"""Random fixed models from a seed: layers in chains with branches, and what a CPU does between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator, QuantizedTensor, float_tensor
from modelbuild.arithmetic.kpu.pools import STRIDES

LARGEST = float(np.finfo(np.float32).max)
BYTE = (0.05, 128)  # scale and zero point of all byte tensors: moves keep them
f32 = np.float32


class Maker:
    """A model in the making: each step adds an operator and gives the name of its output."""

    def __init__(self, seed: int, arithmetic: str = "kpu@1") -> None:
        self.rng = np.random.default_rng(seed)
        self.arithmetic = arithmetic
        self.tensors: dict[str, QuantizedTensor] = {}
        self.constants: dict[str, Any] = {}
        self.operators: list[FixedOperator] = []
        self.inputs: list[str] = []

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def pick(self, items: Sequence[Any]) -> Any:
        return items[self.whole(0, len(items) - 1)]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def given(self, shape: tuple[int, ...], *, floating: bool = False) -> str:
        name = f"in{len(self.inputs)}"
        self.inputs.append(name)
        return self._tensor(name, shape, floating)

    def constant(self, values: np.ndarray) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = values
        return self._tensor(name, values.shape, values.dtype == f32)

    def _tensor(self, name: str, shape: tuple[int, ...], floating: bool) -> str:
        self.tensors[name] = (
            float_tensor(name, shape) if floating else QuantizedTensor(name, shape, 8, False, *BYTE)
        )
        return name

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        floating: bool,
        parameters: Mapping[str, Any] | None = None,
        constants: Mapping[str, Any] | None = None,
    ) -> str:
        number = len(self.operators)
        names = {}
        for role, values in (constants or {}).items():
            names[role] = f"{number}/{role}"
            self.constants[names[role]] = np.asarray(values)
        output = self._tensor(f"t{number}", shape, floating)
        unit = "npu" if kind == "kpu_conv" else "cpu"
        self.operators.append(
            FixedOperator(
                kind, f"{kind}{number}", tuple(inputs), (output,), parameters or {}, names, (), unit
            )
        )
        return output

    def model(self, outputs: Sequence[str]) -> FixedModel:
        return FixedModel(
            "made",
            self.arithmetic,
            "k210",
            tuple(self.inputs),
            tuple(outputs),
            self.tensors,
            self.constants,
            tuple(self.operators),
        )

    def values(self, model: FixedModel) -> dict[str, np.ndarray]:
        found = {}
        for name in model.inputs:
            tensor = model.tensors[name]
            if tensor.floating:
                found[name] = self.rng.normal(0, 2, tensor.shape).astype(f32)
            else:
                found[name] = self.rng.integers(0, 256, tensor.shape).astype(np.uint8)
        return found

    # bytes

    def layer(
        self,
        x: str,
        outputs: int,
        *,
        kernel: int | None = None,
        depthwise: bool = False,
        pool: str | None = None,
    ) -> str:
        batches, channels, height, width = self.shape(x)
        kernel = kernel or self.pick((1, 3))
        pool = pool or self.pick(("bypass", "bypass", *STRIDES))
        if min(height, width) // STRIDES[pool] < 1:
            pool = "bypass"
        outputs = channels if depthwise else outputs
        per = 1 if depthwise else channels
        weight = self.rng.integers(0, 256, (outputs, per, kernel, kernel)).astype(np.uint8)
        zero = self.whole(0, 255)
        reach = 255 * 128 * kernel * kernel * per
        starts = np.sort(self.rng.integers(-(1 << 18), 1 << 18, 15))
        parameters = {
            "kernel": kernel,
            "depthwise": int(depthwise),
            "pool": pool,
            "pad_value": zero,
            "arg_x": -128,
            "shift_x": 0,
            "arg_w": -zero,
            "shift_w": 0,
            "arg_add": kernel * kernel * 128 * zero,
        }
        constants = {
            "weight": weight,
            "bn_multiplier": self.rng.integers(1, max(2, (1 << 34) // reach), outputs)
            .clip(1, (1 << 22) - 1)
            .astype(np.int32),
            "bn_add": self.rng.integers(-(1 << 15), 1 << 15, outputs).astype(np.int32),
            "bn_shift": self.rng.integers(8, 14, outputs).astype(np.uint8),
            "segment_start": np.array([-(1 << 35), *starts], np.int64),
            "segment_multiplier": self.rng.integers(-20, 200, 16).astype(np.int16),
            "segment_shift": self.rng.integers(8, 16, 16).astype(np.uint8),
            "segment_add": self.rng.integers(0, 256, 16).astype(np.uint8),
        }
        out = (batches, outputs, height // STRIDES[pool], width // STRIDES[pool])
        return self.add("kpu_conv", [x], out, False, parameters, constants)

    def dequantize(self, x: str) -> str:
        scale, zero = BYTE
        return self.add("dequantize", [x], self.shape(x), True, None, _line(scale, -zero * scale))

    def quantize(self, x: str) -> str:
        scale, zero = BYTE
        return self.add("quantize", [x], self.shape(x), False, None, _line(1 / scale, zero))

    def lookup(self, x: str) -> str:
        table = self.rng.integers(0, 256, 256).astype(np.uint8)
        return self.add("lookup", [x], self.shape(x), False, None, {"table": table})

    # moves of either type

    def move(self, kind: str, inputs: Sequence[str], shape: Sequence[int], **rest: Any) -> str:
        constants = rest.pop("constants", None)
        floating = self.tensors[inputs[0]].floating
        return self.add(kind, inputs, tuple(shape), floating, rest, constants)

    def reshape(self, x: str, shape: Sequence[int]) -> str:
        return self.move("reshape", [x], shape)

    def transpose(self, x: str, order: Sequence[int]) -> str:
        shape = self.shape(x)
        return self.move("transpose", [x], [shape[axis] for axis in order], permutation=tuple(order))

    def concat(self, parts: Sequence[str], axis: int) -> str:
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self.move("concat", parts, shape, axis=axis)

    def slice(self, x: str, starts: Sequence[int], ends: Sequence[int], steps: Sequence[int]) -> str:
        shape = [len(range(*part)) for part in zip(starts, ends, steps, strict=True)]
        lists = {"starts": tuple(starts), "ends": tuple(ends), "steps": tuple(steps)}
        return self.move("slice", [x], shape, **lists)

    def pad(self, x: str, before: Sequence[int], after: Sequence[int], mode: str = "constant") -> str:
        shape = [sum(sizes) for sizes in zip(before, self.shape(x), after, strict=True)]
        value = f32(1.5) if self.tensors[x].floating else np.uint8(self.whole(0, 255))
        lists = {"before": tuple(before), "after": tuple(after), "mode": mode}
        return self.move("pad", [x], shape, **lists, constants={"value": value})

    def gather(self, x: str, axis: int, count: int) -> str:
        shape = list(self.shape(x))
        indices = self.rng.integers(0, shape[axis], count).astype(np.int32)
        shape[axis] = count
        return self.move("gather", [x], shape, axis=axis, constants={"indices": indices})

    def resize(self, x: str, height: int, width: int, kind: str = "resize_nearest") -> str:
        corners, half = self.pick(((0, 0), (0, 1), (1, 0)))
        shape = (*self.shape(x)[:2], height, width)
        return self.move(kind, [x], shape, align_corners=corners, half_pixel=half)

    def expand(self, x: str, shape: Sequence[int]) -> str:
        return self.move("expand", [x], shape)

    # floats

    def binary(self, op: str, a: str, b: str, bounds: tuple[float, float] = (-LARGEST, LARGEST)) -> str:
        shape = np.broadcast_shapes(self.shape(a), self.shape(b))
        return self.add("binary", [a, b], shape, True, {"op": op}, _bounds(bounds))

    def unary(self, op: str, x: str) -> str:
        return self.add("unary", [x], self.shape(x), True, {"op": op})

    def reduce(self, x: str, op: str, axes: tuple[int, ...], keep: int) -> str:
        shape = [1 if a in axes else n for a, n in enumerate(self.shape(x)) if keep or a not in axes]
        return self.add("reduce", [x], tuple(shape), True, {"op": op, "axes": axes, "keep": keep})

    def conv(
        self,
        x: str,
        outputs: int,
        kernel: tuple[int, int],
        group: int = 1,
        stride: int = 1,
        pads: tuple[int, ...] = (0, 0, 0, 0),
        dilation: int = 1,
    ) -> str:
        batches, channels, height, width = self.shape(x)
        parameters = {**_window_parameters(stride, pads, dilation), "group": group}
        constants = {
            "weight": self.floats(outputs, channels // group, *kernel),
            "bias": self.floats(outputs),
            **_bounds((-3.0, LARGEST)),
        }
        rows = _places(height + pads[0] + pads[2], kernel[0], stride, dilation)
        columns = _places(width + pads[1] + pads[3], kernel[1], stride, dilation)
        return self.add("conv", [x], (batches, outputs, rows, columns), True, parameters, constants)

    def window(self, x: str, op: str, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> str:
        batches, channels, height, width = self.shape(x)
        parameters = {
            **_window_parameters(stride, (pad,) * 4, dilation),
            "op": op,
            "kernel": (kernel, kernel),
        }
        sizes = [_places(size + 2 * pad, kernel, stride, dilation) for size in (height, width)]
        shape = (batches, channels, *sizes)
        return self.add("window", [x], shape, True, parameters, _bounds((-LARGEST, LARGEST)))

    def matmul(self, a: str, b: str) -> str:
        shape = (*self.shape(a)[:-1], self.shape(b)[-1])
        constants = {"bias": self.floats(shape[-1]), **_bounds((-LARGEST, LARGEST))}
        return self.add("matmul", [a, b], shape, True, None, constants)

    def floats(self, *shape: int) -> np.ndarray:
        return self.rng.normal(0, 0.5, shape).astype(f32)


def _window_parameters(stride: int, pads: tuple[int, ...], dilation: int) -> dict[str, Any]:
    return {"strides": (stride, stride), "pads": pads, "dilations": (dilation, dilation)}


def _places(size: int, kernel: int, stride: int, dilation: int) -> int:
    return (size - (kernel - 1) * dilation - 1) // stride + 1


def _line(factor: float, offset: float) -> dict[str, Any]:
    return {"factor": f32(factor), "offset": f32(offset)}


def _bounds(bounds: tuple[float, float]) -> dict[str, Any]:
    return {"low": f32(bounds[0]), "high": f32(bounds[1])}


MOST = 60_000  # elements of a tensor


def random_model(seed: int, arithmetic: str = "kpu@1") -> tuple[Maker, FixedModel]:
    """A model of up to two dozen operators: whatever fits what is there. Of `float32` it has no layers."""
    maker = Maker(seed, arithmetic)
    layers = arithmetic == "kpu@1"
    bytes_, floats = [], []
    for _ in range(maker.whole(1, 2)):
        shape = (maker.pick((1, 1, 1, 2)), maker.whole(1, 9), maker.whole(4, 40), maker.whole(4, 80))
        if maker.whole(0, 1):
            bytes_.append(maker.given(shape))
        else:
            floats.append(maker.given(shape, floating=True))
            bytes_.append(maker.quantize(floats[-1]))
    for _ in range(maker.whole(3, 24)):
        of_bytes = maker.whole(0, 3) > 0
        source = maker.pick((bytes_ if of_bytes else floats) or bytes_)
        steps = MOVES + (CPU if maker.tensors[source].floating else KPU if layers else KPU[_LAYERS:])
        made = maker.pick(steps)(maker, source, floats if maker.tensors[source].floating else bytes_)
        if made is not None:
            (floats if maker.tensors[made].floating else bytes_).append(made)
    read = {name for operator in maker.operators for name in operator.inputs}
    ends = [operator.outputs[0] for operator in maker.operators if operator.outputs[0] not in read]
    others = [operator.outputs[0] for operator in maker.operators if operator.outputs[0] in read]
    ends += [maker.pick(others) for _ in range(maker.whole(0, 2) if others else 0)]
    return maker, maker.model(ends or [maker.operators[-1].outputs[0]])


Step = Callable[[Maker, str, list[str]], str | None]


def _layer(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = maker.shape(x)
    if len(shape) != 4 or min(shape[2:]) < 4 or shape[3] > 512 or shape[2] > 256:
        return None
    return maker.layer(x, maker.whole(1, 24), depthwise=maker.whole(0, 3) == 0)


def _tree(maker: Maker, x: str, known: list[str]) -> str | None:
    """Layers that branch, so that maps wait; the ends come together again or are left open."""
    if _layer(maker, x, known) is None:
        return None
    nodes = [x]
    for number in range(maker.whole(3, 8)):
        parent, outputs = nodes[number // 2], maker.whole(10, 24)
        nodes.append(maker.layer(parent, outputs, pool=maker.pick(("bypass", "max_2_s1"))))
    known += nodes[1:]
    return maker.concat(nodes[1:], 1) if maker.whole(0, 1) else nodes[-1]


def _residual(maker: Maker, x: str, known: list[str]) -> str | None:
    """A sum of two maps, as quantized networks have it."""
    same = [name for name in known if maker.shape(name) == maker.shape(x)]
    a, b = (maker.dequantize(name) for name in (x, maker.pick(same)))
    return maker.quantize(maker.binary("add", a, b, maker.pick(((-LARGEST, LARGEST), (0.0, 6.0)))))


def _mean(maker: Maker, x: str, known: list[str]) -> str | None:
    if len(maker.shape(x)) != 4:
        return None
    whole = maker.add("dequantize", [x], maker.shape(x), True, None, _line(1, 0))
    total = maker.reduce(whole, "sum", (2, 3), 1)
    cells = int(np.prod(maker.shape(x)[2:]))
    return maker.add("quantize", [total], maker.shape(total), False, None, _line(1 / cells, 0))


def _transpose(maker: Maker, x: str, known: list[str]) -> str | None:
    order = [int(axis) for axis in maker.rng.permutation(len(maker.shape(x)))]
    return maker.transpose(x, order)


def _reshape(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = maker.shape(x)
    cut = maker.whole(0, len(shape))
    joined = (int(np.prod(shape[:cut])), int(np.prod(shape[cut:])))
    return maker.reshape(x, maker.pick((joined, (*shape, 1) if len(shape) < 5 else joined, joined[::-1])))


def _slice(maker: Maker, x: str, known: list[str]) -> str | None:
    starts, ends, steps = [], [], []
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    for number, size in enumerate(maker.shape(x)):
        start = maker.whole(0, size - 1) if number == axis else 0
        starts.append(start)
        ends.append(maker.whole(start + 1, size) if number == axis else size)
        steps.append(maker.whole(1, 2) if number == axis else 1)
    return maker.slice(x, starts, ends, steps)


def _concat(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = maker.shape(x)
    axis = maker.pick((0, 1, 1, 1, 1, len(shape) - 1)) % len(shape)
    fitting = [name for name in known if _beside(maker.shape(name), shape, axis)]
    parts = [maker.pick(fitting) for _ in range(maker.whole(0, 2))]
    parts.insert(maker.whole(0, len(parts)), x)
    if sum(int(np.prod(maker.shape(part))) for part in parts) > MOST:
        return None
    return maker.concat(parts, axis)


def _beside(one: tuple[int, ...], other: tuple[int, ...], axis: int) -> bool:
    return len(one) == len(other) and all(
        a == b for number, (a, b) in enumerate(zip(one, other, strict=True)) if number != axis
    )


def _pad(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = maker.shape(x)
    if np.prod([size + 4 for size in shape]) > MOST or len(shape) > 4:
        return None
    mode = maker.pick(("constant", "constant", "reflect", "edge", "symmetric"))
    sides = [[maker.whole(0, 2 if mode == "constant" else min(2, size - 1)) for size in shape] for _ in "ab"]
    if len(shape) == 4:
        sides = [[0, 0, *side[2:]] for side in sides]
    return maker.pad(x, sides[0], sides[1], mode)


def _gather(maker: Maker, x: str, known: list[str]) -> str | None:
    axis = maker.whole(0, len(maker.shape(x)) - 1)
    return maker.gather(x, axis, maker.whole(1, maker.shape(x)[axis] + 1))


def _resize(maker: Maker, x: str, known: list[str]) -> str | None:
    if len(maker.shape(x)) != 4:
        return None
    height, width = (maker.whole(max(1, size // 2), size * 2) for size in maker.shape(x)[2:])
    if height * width * maker.shape(x)[0] * maker.shape(x)[1] > MOST:
        return None
    return maker.resize(x, height, width)


def _expand(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = [size if size > 1 else maker.whole(1, 3) for size in maker.shape(x)]
    return maker.expand(x, shape) if np.prod(shape) <= MOST else None


def _binary(maker: Maker, x: str, known: list[str]) -> str | None:
    other = maker.pick([name for name in known if maker.shape(name) == maker.shape(x)])
    shape = maker.shape(x)
    if maker.whole(0, 1):
        cut = maker.whole(0, len(shape))
        other = maker.constant(
            maker.floats(*(1 if maker.whole(0, 1) else size for size in shape[cut:])) + f32(3)
        )
    return maker.binary(maker.pick(("add", "sub", "mul", "min", "max", "div")), x, other)


def _unary(maker: Maker, x: str, known: list[str]) -> str | None:
    return maker.unary(maker.pick(("abs", "neg", "floor", "ceil", "round", "sign")), x)


def _reduce(maker: Maker, x: str, known: list[str]) -> str | None:
    rank = len(maker.shape(x))
    axes = tuple(sorted({maker.whole(0, rank - 1) for _ in range(maker.whole(1, 2))}))
    return maker.reduce(x, maker.pick(("mean", "min", "max", "sum")), axes, maker.whole(0, 1))


def _conv(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = maker.shape(x)
    if len(shape) != 4 or min(shape[2:]) < 9:
        return None
    group = maker.pick((1, shape[1]))
    outputs = group * maker.whole(1, 3) if group > 1 else maker.whole(1, 6)
    kernel = maker.pick(((5, 5), (3, 3), (1, 1), (1, 3)))
    pads = tuple(maker.whole(0, kernel[side % 2] // 2) for side in range(4))
    return maker.conv(x, outputs, kernel, group, maker.whole(1, 2), pads, maker.whole(1, 2))


def _window(maker: Maker, x: str, known: list[str]) -> str | None:
    if len(maker.shape(x)) != 4 or min(maker.shape(x)[2:]) < 5:
        return None
    op, stride, pad, dilation = (
        maker.pick(("max", "mean")),
        maker.whole(1, 2),
        maker.whole(0, 1),
        maker.whole(1, 2),
    )
    return maker.window(x, op, 3, stride, pad, dilation)


def _bilinear(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = maker.shape(x)
    if len(shape) != 4:
        return None
    height, width = (maker.whole(max(1, size // 2), size + 3) for size in shape[2:])
    if height * width * shape[0] * shape[1] > MOST:
        return None
    return maker.resize(x, height, width, "resize_bilinear")


def _matmul(maker: Maker, x: str, known: list[str]) -> str | None:
    shape = maker.shape(x)
    if len(shape) < 2 or shape[-1] > 500:
        return None
    return maker.matmul(x, maker.constant(maker.floats(shape[-1], maker.whole(1, 7))))


MOVES: tuple[Step, ...] = (_transpose, _reshape, _slice, _concat, _concat, _pad, _gather, _resize, _expand)
_LAYERS = 12
KPU: tuple[Step, ...] = (_layer,) * (_LAYERS - 2) + (
    _tree,
    _tree,
    _residual,
    _residual,
    _mean,
    lambda maker, x, known: maker.lookup(x),
    lambda maker, x, known: maker.dequantize(x),
)
CPU: tuple[Step, ...] = (
    _binary,
    _binary,
    _unary,
    _reduce,
    _conv,
    _window,
    _bilinear,
    _matmul,
    lambda maker, x, known: maker.quantize(x),
    lambda maker, x, known: maker.quantize(x),
    lambda maker, x, known: maker.quantize(x),
)

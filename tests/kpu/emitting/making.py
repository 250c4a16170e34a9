"""Fixed models in the making, with random numbers where none are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        return self.add("dequantize", [x], self.shape(x), True, None, line(scale, -zero * scale))

    def quantize(self, x: str) -> str:
        scale, zero = BYTE
        return self.add("quantize", [x], self.shape(x), False, None, line(1 / scale, zero))

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


def line(factor: float, offset: float) -> dict[str, Any]:
    return {"factor": f32(factor), "offset": f32(offset)}


def _bounds(bounds: tuple[float, float]) -> dict[str, Any]:
    return {"low": f32(bounds[0]), "high": f32(bounds[1])}

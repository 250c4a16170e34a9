"""Random chains and branches of TFLite operators, in which the order of the axes changes all the time."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np

from tests.importers.tflite.builder import Options, TFLite

Shape = list[int]
_MOST = 4096  # numbers of a tensor


class Generator:
    """A model that grows by one operator at a time; `made` is every tensor so far, with its shape."""

    def __init__(self, seed: int) -> None:
        self.dice, self.model = Random(seed), TFLite()
        self.numbers = np.random.default_rng(seed)
        shape = self.dice.choice(
            [[1, 4, 6, 3], [1, 5, 5, 2], [2, 3, 4, 2], [1, 6, 4], [3, 8], [1, 2, 3, 4, 2]]
        )
        self.made: list[tuple[int, Shape]] = [(self.model.tensor("x", shape), shape)]
        self.read: set[int] = set()

    def build(self, steps: int) -> bytes:
        """The file after `steps` operators; what nothing reads is an output."""
        while len(self.model.operators) < steps:
            data, shape = self.dice.choice(self.made[-3:])
            self.dice.choice(_STEPS)(self, data, shape)
        ends = [number for number, _ in self.made[1:] if number not in self.read]
        return self.model.build([self.made[0][0]], ends)

    def add(self, op: str, inputs: list[int], shape: Shape, options: Options | None = None) -> None:
        """Appends an operator with one output of `shape`."""
        if math.prod(shape) > _MOST or len(shape) > 5:
            return
        number = self.model.tensor(f"t{len(self.model.tensors)}", shape)
        self.model.add(op, inputs, [number], options)
        self.read.update(inputs)
        self.made.append((number, shape))

    def constant(self, shape: Shape) -> int:
        """Random numbers."""
        value = self.numbers.standard_normal(shape).astype(np.float32)
        return self.model.constant(f"c{len(self.model.tensors)}", value)

    def integers(self, values: object) -> int:
        """Axes, shapes, pads."""
        return self.model.constant(f"i{len(self.model.tensors)}", np.array(values, np.int32))


def _activation(g: Generator, data: int, shape: Shape) -> None:
    g.add(g.dice.choice(["RELU", "TANH", "ABS", "NEG", "LOGISTIC", "HARD_SWISH"]), [data], shape)


def _binary(g: Generator, data: int, shape: Shape) -> None:
    fitting = [number for number, other in g.made if other == shape]
    smaller = g.constant(shape[g.dice.randrange(len(shape)) :])
    other = g.dice.choice([g.dice.choice(fitting), smaller])
    g.add(g.dice.choice(["ADD", "SUB", "MUL", "MAXIMUM"]), g.dice.sample([data, other], 2), shape)


def _broadcast(g: Generator, data: int, shape: Shape) -> None:
    """Another tensor of the graph, of lower rank, that broadcasts to this one."""
    for number, other in g.made:
        wide = [1] * (len(shape) - len(other)) + other
        if len(other) < len(shape) and all(a in (1, b) for a, b in zip(wide, shape, strict=True)):
            g.add("ADD", [data, number], shape)
            return


def _convolution(g: Generator, data: int, shape: Shape) -> None:
    if len(shape) == 4:
        weights, bias = g.constant([3, 2, 2, shape[3]]), g.constant([3])
        options: Options = {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("b", g.dice.choice([0, 1]))}
        g.add("CONV_2D", [data, weights, bias], [*shape[:3], 3], options)


def _pool(g: Generator, data: int, shape: Shape) -> None:
    if len(shape) == 4:
        options: Options = {0: ("b", 0), 1: ("i", 2), 2: ("i", 2), 3: ("i", 2), 4: ("i", 3)}
        halves = [-(-size // 2) for size in shape[1:3]]
        g.add("AVERAGE_POOL_2D", [data], [shape[0], *halves, shape[3]], options)


def _transpose(g: Generator, data: int, shape: Shape) -> None:
    perm = g.dice.sample(range(len(shape)), len(shape))
    g.add("TRANSPOSE", [data, g.integers(perm)], [shape[axis] for axis in perm])


def _reshape(g: Generator, data: int, shape: Shape) -> None:
    """Axes merged, split, or of 1 put in."""
    result = list(shape)
    at = g.dice.randrange(len(result))
    match g.dice.randrange(3):
        case 0 if at + 1 < len(result):
            result[at : at + 2] = [result[at] * result[at + 1]]
        case 1 if result[at] % 2 == 0:
            result[at : at + 1] = [2, result[at] // 2]
        case _:
            result.insert(at, 1)
    if len(result) <= 5:
        g.add("RESHAPE", [data, g.integers(result)], result, {0: ("v", result)})


def _squeeze(g: Generator, data: int, shape: Shape) -> None:
    axes = [axis for axis, size in enumerate(shape) if size == 1][:1]
    if axes and len(shape) > 1:
        result = [size for axis, size in enumerate(shape) if axis not in axes]
        g.add("SQUEEZE", [data], result, {0: ("v", axes)})


def _expand(g: Generator, data: int, shape: Shape) -> None:
    axis = g.dice.randrange(len(shape) + 1)
    if len(shape) < 5:
        g.add("EXPAND_DIMS", [data, g.integers(axis)], [*shape[:axis], 1, *shape[axis:]])


def _concatenation(g: Generator, data: int, shape: Shape) -> None:
    axis = g.dice.randrange(len(shape))
    fitting = [(number, other) for number, other in g.made if _differs_at(axis, shape, other)]
    number, other = g.dice.choice(fitting)
    result = [*shape[:axis], shape[axis] + other[axis], *shape[axis + 1 :]]
    g.add("CONCATENATION", [data, number], result, {0: ("i", axis)})


def _differs_at(axis: int, shape: Shape, other: Shape) -> bool:
    same = len(shape) == len(other)
    return same and shape[:axis] == other[:axis] and shape[axis + 1 :] == other[axis + 1 :]


def _mean(g: Generator, data: int, shape: Shape) -> None:
    axes, keep = (
        sorted(g.dice.sample(range(len(shape)), g.dice.randint(1, 2))) if len(shape) > 2 else [0],
        True,
    )
    keep = g.dice.random() < 0.5 or len(axes) == len(shape)
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    result = kept if keep else [size for axis, size in enumerate(shape) if axis not in axes]
    g.add("MEAN", [data, g.integers(axes)], result, {0: ("B", keep)})


def _pad(g: Generator, data: int, shape: Shape) -> None:
    pads = [[g.dice.randint(0, 1), g.dice.randint(0, 2)] for _ in shape]
    result = [size + sum(pair) for size, pair in zip(shape, pads, strict=True)]
    if len(shape) < 5:
        g.add("PAD", [data, g.integers(pads)], result)


def _slice(g: Generator, data: int, shape: Shape) -> None:
    begins = [g.dice.randrange(size) for size in shape]
    sizes = [g.dice.randint(1, size - at) for size, at in zip(shape, begins, strict=True)]
    g.add("SLICE", [data, g.integers(begins), g.integers(sizes)], sizes)


def _softmax(g: Generator, data: int, shape: Shape) -> None:
    if 1 < len(shape) < 5:
        g.add("SOFTMAX", [data], shape, {0: ("f", 1.0)})


def _dense(g: Generator, data: int, shape: Shape) -> None:
    size = math.prod(shape[1:])
    g.add("FULLY_CONNECTED", [data, g.constant([4, size]), g.constant([4])], [shape[0], 4])


def _gather(g: Generator, data: int, shape: Shape) -> None:
    axis = g.dice.randrange(len(shape))
    indices = [g.dice.randrange(shape[axis]) for _ in range(g.dice.randint(1, 3))]
    result = [*shape[:axis], len(indices), *shape[axis + 1 :]]
    g.add("GATHER", [data, g.integers(indices)], result, {0: ("i", axis)})


def _pack(g: Generator, data: int, shape: Shape) -> None:
    axis = g.dice.randrange(len(shape) + 1)
    other = g.dice.choice([number for number, found in g.made if found == shape])
    if len(shape) < 4:
        result = [*shape[:axis], 2, *shape[axis:]]
        g.add("PACK", [data, other], result, {0: ("i", 2), 1: ("i", axis)})


_STEPS: tuple[Callable[[Generator, int, Shape], None], ...] = (
    *(_activation, _binary, _broadcast, _convolution, _convolution, _pool, _transpose, _transpose, _reshape),
    *(_squeeze, _expand, _concatenation, _mean, _pad, _slice, _softmax, _dense, _gather, _pack),
)

"""Random fixed models from a seed: layers in chains with branches, and what a CPU does between them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from modelbuild.arithmetic.fixed_model import FixedModel
from tests.kpu.emitting.making import LARGEST, Maker, f32, line

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
    whole = maker.add("dequantize", [x], maker.shape(x), True, None, line(1, 0))
    total = maker.reduce(whole, "sum", (2, 3), 1)
    cells = int(np.prod(maker.shape(x)[2:]))
    return maker.add("quantize", [total], maker.shape(total), False, None, line(1 / cells, 0))


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

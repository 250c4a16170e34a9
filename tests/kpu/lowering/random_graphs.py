"""Random float graphs from a seed, of all operators that a kmodel can have, for both chips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from modelbuild.graph.model import Graph
from tests.kpu.lowering.graph_maker import F, Maker, Step
from tests.kpu.lowering.large_steps import simple, wide_conv, wide_pool
from tests.kpu.lowering.picture_steps import block, conv, depth, pool, prelu, residual, resize, transposed
from tests.kpu.lowering.steps import (
    along,
    binary,
    choice,
    concat,
    gather,
    matmul,
    normalization,
    pad,
    recurrent,
    reduce,
    reshape,
    silu,
    slice,
    split,
    transpose,
    unary,
    wider,
)

MOST = 6_000  # elements of a tensor
Values = np.ndarray[Any, Any]


def random_graph(seed: int) -> Graph:
    """Up to a dozen nodes; whatever fits what is there."""
    maker = Maker(seed)
    for _ in range(maker.whole(1, 2)):
        shape = (maker.pick((1, 1, 1, 2)), maker.whole(1, 9), maker.whole(1, 14), maker.whole(1, 18))
        maker.given(*shape[: maker.pick((2, 3, 4, 4, 4, 4, 4))])
    for _ in range(maker.whole(2, 12)):
        source = maker.pick(maker.known[-4:])
        step = maker.pick(FOR_PICTURES if len(maker.shape(source)) == 4 and maker.whole(0, 2) else FOR_ALL)
        made = step(maker, source)
        if made is not None and 0 < math.prod(maker.shape(made)) <= MOST and len(maker.shape(made)) <= 5:
            maker.known.append(made)
    graph = maker.graph
    made_all = [name for name in maker.known if name not in graph.inputs]
    read = {name for node in graph.nodes for name in node.inputs}
    ends = [name for name in made_all if name not in read]
    ends += [name for name in made_all if name in read and maker.whole(0, 9) == 0]
    if maker.whole(0, 19) == 0:
        ends.append(maker.one("Identity", graph.inputs[0]))
    graph.outputs = ends or [maker.one("Relu", graph.inputs[0])]
    return graph


def large_graph(seed: int) -> Graph:
    """A few convolutions, pools and functions on a map that no layer of the KPU takes, or nearly none."""
    maker = Maker(seed)
    long, short = maker.pick((250, 257, 262, 300, 514, 530)), maker.whole(9, 16)
    size = (long, short) if long < 500 else (short, long)
    last = maker.given(1, maker.whole(2, 4), *size)
    steps = [wide_conv, *(maker.pick(_AFTER_A_CONV) for _ in range(maker.whole(1, 4)))]
    for step in steps:
        made = step(maker, last)
        if made is not None and math.prod(maker.shape(made)) > 0:
            last = made
    maker.graph.outputs = [last if maker.graph.nodes else unary(maker, last)]
    return maker.graph


def samples(graph: Graph, seed: int, count: int = 2) -> list[dict[str, Values]]:
    rng = np.random.default_rng(seed)
    return [
        {name: rng.normal(0, 1, graph.shapes[name]).astype(F) for name in graph.inputs} for _ in range(count)
    ]


def signal(maker: Maker, x: str) -> str | None:
    if len(maker.shape(x)) != 3:
        return None
    return maker.pick((conv, transposed, pool))(maker, x)


_AFTER_A_CONV: tuple[Step, ...] = (wide_conv, wide_pool, wide_pool, simple, simple, silu)
FOR_ALL: tuple[Step, ...] = (
    unary, unary, unary, binary, binary, binary, choice, silu, reduce, along, transpose, reshape,
    slice, split, concat, gather, wider, pad, matmul, matmul, normalization, recurrent, signal,
)  # fmt: skip
FOR_PICTURES: tuple[Step, ...] = (
    conv, conv, conv, conv, conv, residual, residual, transposed, pool, pool, resize, depth,
    prelu, unary, silu, concat, binary, block, block,
)  # fmt: skip

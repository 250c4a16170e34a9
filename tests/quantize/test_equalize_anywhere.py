"""Whatever stands between two layers, scaling its channels by any factors leaves a network what it was."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.number import quantize_array
from modelbuild.chips.load import load_recipe
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize import quantize as quantizing
from modelbuild.quantize.apply import apply
from modelbuild.quantize.equalize_channels import FIXED, channels_of
from modelbuild.quantize.equalized import ONE, Equalization
from modelbuild.quantize.observe import observe
from modelbuild.quantize.plan import make_plan
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.verify import verify
from tests.quantize.cases import PADS, F, graph_of, longs, normal, samples_of

FIRST = Node("Conv", "first", ["x", "w"], ["a"], {**PADS})
SECOND = Node("Conv", "second", ["x", "w2"], ["b"], {**PADS})
RELU = Node("Relu", "relu", ["a"], ["r"])
LEAST = 60.0  # dB with 16 bits; a wrong factor leaves less than 20


def gathered(name: str, x: str, y: str, *places: int) -> tuple[Node, str, np.ndarray]:
    return Node("Gather", name, [x, f"{name}_at"], [y], {"axis": 1}), f"{name}_at", longs(*places)


def one_tap() -> np.ndarray[Any, Any]:
    """[3, 2, 2, 2]: of three groups a corner of the second channel each."""
    weight = np.zeros((3, 2, 2, 2), F)
    weight[:, 1, 0, 1] = 1
    return weight


_GATHER, _PLACES, _AT = gathered("shuffle", "r", "h", 5, 1, 1, 0)
# name -> the nodes between `a` (6 channels of 8 x 8) and `h`, their constants, and the channels of `h`
BETWEEN: dict[str, tuple[list[Node], dict[str, Any], int]] = {
    "residual": (
        [RELU, Node("Conv", "c", ["r", "v"], ["t"], {**PADS}), Node("Add", "sum", ["r", "t"], ["h"])],
        {"v": normal(6, 6, 3, 3)},
        6,
    ),
    "concat": (
        [SECOND, Node("Concat", "join", ["a", "b"], ["h"], {"axis": 1})],
        {"w2": normal(4, 3, 3, 3)},
        10,
    ),
    "joined in space": (
        [SECOND, Node("Concat", "join", ["a", "b"], ["h"], {"axis": 2})],
        {"w2": normal(6, 3, 3, 3)},
        6,
    ),
    "prelu": ([Node("PRelu", "act", ["a", "s"], ["h"])], {"s": np.abs(normal(6, 1, 1))}, 6),
    "weights used twice": (
        [
            RELU,
            Node("Conv", "c", ["r", "v"], ["t"], {**PADS}),
            Node("Relu", "act", ["t"], ["u"]),
            Node("Conv", "d", ["u", "v"], ["h"], {**PADS}),
        ],
        {"v": normal(6, 6, 3, 3)},
        6,
    ),
    "transposed": (
        [RELU, Node("ConvTranspose", "up", ["r", "v"], ["h"], {"strides": [2, 2], "group": 2})],
        {"v": normal(6, 2, 2, 2)},
        4,
    ),
    "groups": (
        [
            RELU,
            Node("Conv", "c", ["r", "v"], ["t"], {**PADS, "group": 3}),
            Node("Conv", "d", ["t", "u"], ["h"], {**PADS, "group": 6}),
        ],
        {"v": normal(6, 2, 3, 3), "u": normal(6, 1, 3, 3)},
        6,
    ),
    "gate": (
        [
            RELU,
            Node("GlobalAveragePool", "pool", ["r"], ["g"]),
            Node("Conv", "c", ["g", "v"], ["t"]),
            Node("Sigmoid", "gate", ["t"], ["s"]),
            Node("Mul", "times", ["r", "s"], ["h"]),
        ],
        {"v": normal(6, 6, 1, 1)},
        6,
    ),
    "numbers a channel": (
        [
            RELU,
            Node("Mul", "times", ["r", "k"], ["t"]),
            Node("Sub", "less", ["m", "t"], ["h"]),
        ],
        {"k": 1 + np.abs(normal(1, 6, 1, 1)), "m": normal(6, 1, 1)},
        6,
    ),
    "padded": (
        [
            RELU,
            Node("Pad", "pad", ["r", "by"], ["t"]),
            Node("AveragePool", "pool", ["t"], ["h"], {"kernel_shape": [2, 2]}),
        ],
        {"by": longs(0, 2, 1, 1, 0, 1, 1, 1)},
        9,
    ),
    "gathered": ([RELU, _GATHER], {_PLACES: _AT}, 4),
    "shuffled": (
        [
            RELU,
            Node("Reshape", "cut", ["r", "five"], ["t"]),
            Node("Transpose", "swap", ["t"], ["u"], {"perm": [0, 2, 1, 3, 4]}),
            Node("Reshape", "whole", ["u", "four"], ["h"]),
        ],
        {"five": longs(1, 2, 3, 8, 8), "four": longs(1, 6, 8, 8)},
        6,
    ),
    "shuffled along the batch": (
        [
            RELU,
            Node("Reshape", "cut", ["r", "pairs"], ["t"]),
            Node("Transpose", "swap", ["t"], ["u"], {"perm": [1, 0, 2]}),
            Node("Reshape", "whole", ["u", "five"], ["v"]),
            Node("Gather", "half", ["v", "second"], ["h"], {"axis": 0}),
        ],
        {"pairs": longs(3, 2, 64), "five": longs(2, 1, 3, 8, 8), "second": np.array(1)},
        3,
    ),
    "shuffled with channels last": (
        [
            RELU,
            Node("Transpose", "to_last", ["r"], ["s"], {"perm": [0, 2, 3, 1]}),
            Node("Reshape", "cut", ["s", "five"], ["t"]),
            Node("Transpose", "swap", ["t"], ["u"], {"perm": [0, 1, 2, 4, 3]}),
            Node("Reshape", "whole", ["u", "four"], ["v"]),
            Node("Transpose", "first_again", ["v"], ["h"], {"perm": [0, 3, 1, 2]}),
        ],
        {"five": longs(1, 8, 8, 2, 3), "four": longs(1, 8, 8, 6)},
        6,
    ),
    "cells that are not only moved": (
        [
            RELU,
            Node("Reshape", "cut", ["r", "five"], ["t"]),
            Node("Transpose", "swap", ["t"], ["u"], {"perm": [0, 2, 1, 3, 4]}),
            Node("LeakyRelu", "act", ["u"], ["v"]),
            Node("Reshape", "whole", ["v", "four"], ["h"]),
        ],
        {"five": longs(1, 2, 3, 8, 8), "four": longs(1, 6, 8, 8)},
        6,
    ),
    "selected by a Conv": (
        [
            RELU,
            Node("Conv", "shuffle", ["r", "one_each"], ["s"]),
            Node("Conv", "focus", ["s", "one_tap"], ["h"], {"group": 3}),
        ],
        {"one_each": np.eye(6, dtype=F)[[3, 0, 4, 1, 5, 2]].reshape(6, 6, 1, 1), "one_tap": one_tap()},
        3,
    ),
    "channels summed": (
        [RELU, Node("ReduceMean", "mean", ["r"], ["h"], {"axes": [1], "keepdims": 1})],
        {},
        1,
    ),
}


def network(name: str) -> Graph:
    nodes, constants, channels = BETWEEN[name]
    last = Node("Conv", "last", ["h", "wl"], ["y"])
    given = {"w": normal(6, 3, 3, 3), "wl": normal(2, channels, 1, 1, seed=7)}
    whole = {
        key: np.asarray(value, F if value.dtype.kind == "f" else None) for key, value in constants.items()
    }
    return graph_of([FIRST, *nodes, last], {"x": (1, 3, 8, 8)}, ["y"], {**given, **whole})


@pytest.mark.parametrize("name", BETWEEN)
@given(data=st.data())
@settings(max_examples=3, deadline=None, phases=(Phase.explicit, Phase.generate))  # shrinking takes minutes
def test_any_factors_leave_a_network_as_it_was(name: str, data: st.DataObject) -> None:
    graph, recipe = network(name), load_recipe("modalix")
    samples = samples_of(graph, 2)
    channels = channels_of(graph, make_plan(graph))
    steps = data.draw(st.lists(st.integers(ONE // 8, ONE), min_size=channels.count, max_size=channels.count))
    steps[FIXED] = ONE
    factors = Equalization(channels, np.array(steps) / ONE)
    wanted = Settings.read({"activations": "int16", "weights": "int16", "equalize": True})
    with mock.patch.object(quantizing, "equalize", return_value=factors):
        seen = observe(graph, samples)
        record = quantizing.quantize(graph, seen, wanted, recipe.number_format)
    fixed = apply(graph, {node.name: "npu" for node in graph.nodes}, record, recipe)
    assert float(verify(fixed, graph, iter(samples))["outputs"][0]["snr_db"]) > LEAST


@pytest.mark.parametrize(
    "name", ["shuffled", "shuffled along the batch", "shuffled with channels last", "selected by a Conv"]
)
def test_shuffles_and_selections_keep_channels_apart(name: str) -> None:
    graph = network(name)
    ids = channels_of(graph, make_plan(graph)).ids
    shuffled = {
        "shuffled": [0, 3, 1, 4, 2, 5],
        "shuffled along the batch": [1, 3, 5],
        "shuffled with channels last": [0, 3, 1, 4, 2, 5],
        "selected by a Conv": [0, 1, 2],
    }[name]
    assert len(set(ids["r"])) == 6 and FIXED not in ids["r"]
    assert ids["h"].tolist() == [ids["r"][channel] for channel in shuffled]


@pytest.mark.parametrize("chip", ["modalix", "kl720", "kl520"])
def test_a_selection_copies_codes(chip: str) -> None:
    """A channel shuffle as a Conv costs no rounding, whatever it is that reads it."""
    graph, recipe = network("selected by a Conv"), load_recipe(chip)
    samples = samples_of(graph, 2)
    seen = observe(graph, samples)
    record = quantizing.quantize(graph, seen, Settings.read({}), recipe.number_format)
    fixed = apply(graph, {node.name: "npu" for node in graph.nodes}, record, recipe)
    x = {"x": quantize_array(samples[0]["x"], fixed.tensors["x"])}
    found = FixedSession(fixed).run(x, "all")
    np.testing.assert_array_equal(found["s"], found["r"][:, [3, 0, 4, 1, 5, 2]])
    np.testing.assert_array_equal(found["h"], found["s"][:, 1::2, :-1, 1:])


def test_most_of_these_have_channels_that_may_be_scaled() -> None:
    free = {name: channels_of(network(name), make_plan(network(name))).count - 1 for name in BETWEEN}
    assert sum(count > 1 for count in free.values()) >= len(BETWEEN) - 2, free

"""Activations and normalizations that exporters write in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import run_passes
from tests.graph.small import Step, after, graph, numbers, only, ops, untouched

GATE: list[Step] = [("Add", "x three", "a"), ("Clip", "a zero six", "c")]
SWISH = {"three": 3.0, "zero": 0.0, "six": 6.0, "sixth": 1 / 6}
FORMS: list[list[Step]] = [
    [*GATE, ("Mul", "c sixth", "h"), ("Mul", "x h", "y")],
    [*GATE, ("Mul", "x c", "h"), ("Mul", "h sixth", "y")],
    [*GATE, ("Mul", "x sixth", "h"), ("Mul", "c h", "y")],
    [("HardSigmoid", "x", "h", {"alpha": 1 / 6, "beta": 0.5}), ("Mul", "h x", "y")],
]


@pytest.mark.parametrize("steps", FORMS)
def test_hard_swish(steps: list[Step]) -> None:
    result = after("recognise_hard_swish", graph(steps, SWISH))
    assert ops(result) == ["HardSwish"]
    assert set(result.nodes[0].origin) == {f"{step[0].lower()}_{i}" for i, step in enumerate(steps)}


def test_hard_sigmoid_of_any_slope() -> None:
    steps = [
        ("Relu", "x", "r"),
        ("Add", "r two", "a"),
        ("Clip", "a zero four", "c"),
        ("Mul", "quarter c", "y"),
    ]
    result = after(
        "recognise_hard_swish", graph(steps, {"two": 2.0, "zero": 0.0, "four": 4.0, "quarter": 0.25})
    )
    assert ops(result) == ["Relu", "HardSigmoid"]
    assert result.nodes[1].attributes == {"alpha": 0.25, "beta": 0.5}


def test_a_number_of_more_axes_than_what_it_multiplies_changes_the_shape() -> None:
    steps = [FORMS[3][0], ("Mul", "h x", "m"), ("Mul", "m one", "y")]
    before = graph(steps, {"one": np.ones((1, 1, 1, 1, 1), np.float32)})
    result, _ = run_passes(before, ["recognise_hard_swish"])
    assert result.shapes["y"] == (1, 1, 2, 4, 4)
    guard.check(before, result)
    assert ops(result) == ["HardSwish", "Mul"]


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        ({"three": 2.0}, FORMS[1]),
        ({"six": 5.0}, FORMS[1]),
        ({"sixth": 0.2}, FORMS[0]),
        ({}, [*FORMS[1][:-1], ("Add", "h c", "y")]),
        ({}, [*GATE, ("Mul", "c sixth", "h"), ("Relu", "x", "r"), ("Mul", "r c", "p"), ("Sub", "p h", "y")]),
        ({}, [("HardSigmoid", "x", "h"), ("Mul", "h x", "y")]),  # slope 1/5
    ],
)
def test_what_is_no_hard_swish_stays(changed: dict[str, float], steps: list[Step]) -> None:
    untouched("recognise_hard_swish", graph(steps, {**SWISH, **changed}))


def erf_form(order: int) -> list[Step]:
    bell: list[Step] = [("Mul", "x root", "s"), ("Erf", "s", "e"), ("Add", "e one", "g")]
    return [*bell, *GELU_ENDS[order]]


GELU_ENDS: list[list[Step]] = [
    [("Mul", "x g", "p"), ("Mul", "p half", "y")],
    [("Mul", "x half", "p"), ("Mul", "p g", "y")],
    [("Mul", "half g", "p"), ("Mul", "p x", "y")],
]
TANH: list[Step] = [
    ("Pow", "x cube", "c"), ("Mul", "c k", "d"), ("Add", "x d", "i"), ("Mul", "i scale", "s"),
    ("Tanh", "s", "e"), ("Add", "one e", "g"),
]  # fmt: skip
GELU = {"root": 2**-0.5, "one": 1.0, "half": 0.5, "cube": 3.0, "k": 0.044715, "scale": (2 / np.pi) ** 0.5}


@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("tanh", [False, True])
def test_gelu_has_one_form(order: int, tanh: bool) -> None:
    steps = [*TANH, *GELU_ENDS[order]] if tanh else erf_form(order)
    result = after("recognise_gelu", graph(steps, GELU))
    assert ops(result)[-3:] == ["Mul", "Add", "Mul"]
    (last,) = [node for node in result.nodes if node.outputs == ["y"]]
    assert last.inputs[0] == "x"


def test_what_is_no_gelu_stays() -> None:
    steps = [("Relu", "x", "r"), *erf_form(1)[:3], ("Mul", "r half", "p"), ("Mul", "p g", "y")]
    untouched("recognise_gelu", graph(steps, GELU))
    untouched("recognise_gelu", graph(erf_form(0), {**GELU, "half": 0.25}))


def layer_normalization(square: Step, axes: list[int], end: list[Step]) -> list[Step]:
    along = {"axes": axes, "keepdims": 1}
    return [
        ("ReduceMean", "x", "m", along), ("Sub", "x m", "d"), square, ("ReduceMean", "q", "v", along),
        ("Add", "v eps", "w"), ("Sqrt", "w", "r"), ("Div", "d r", "n"), *end,
    ]  # fmt: skip


LN = {"eps": 1e-5, "two": 2.0, "g": numbers(4), "b": numbers(4, seed=2), "tall": numbers(4, 1)}
POW, MUL = ("Pow", "d two", "q"), ("Mul", "d d", "q")
SCALE_AND_BIAS: list[Step] = [("Mul", "n g", "k"), ("Add", "b k", "y")]


@pytest.mark.parametrize(
    ("square", "axes", "end", "expected"),
    [
        (POW, [2], SCALE_AND_BIAS, ["LayerNormalization"]),
        (MUL, [2], SCALE_AND_BIAS, ["LayerNormalization"]),
        (MUL, [1, 2], SCALE_AND_BIAS, ["LayerNormalization"]),
        (MUL, [2], [("Mul", "n g", "y")], ["LayerNormalization"]),
        (MUL, [2], [("Relu", "n", "y")], ["LayerNormalization", "Relu"]),
        (MUL, [2], [("Add", "n b", "y")], ["LayerNormalization"]),
        (MUL, [2], [("Mul", "n tall", "y")], ["LayerNormalization", "Mul"]),
    ],
)
def test_layer_normalization(square: Step, axes: list[int], end: list[Step], expected: list[str]) -> None:
    before = graph(layer_normalization(square, axes, end), LN, x=(2, 4, 4))
    result = after("recognise_layer_normalization", before)
    assert ops(result) == expected
    taken_apart, _ = run_passes(result, ["layer_normalization_to_primitives"])
    guard.check(before, taken_apart)


@pytest.mark.parametrize("axes", [[0], [1]])
def test_axes_that_are_not_the_last_stay(axes: list[int]) -> None:
    untouched(
        "recognise_layer_normalization",
        graph(layer_normalization(MUL, axes, SCALE_AND_BIAS), LN, x=(4, 4, 4)),
    )


def test_what_is_an_output_of_the_model_stays() -> None:
    before = graph(layer_normalization(MUL, [2], SCALE_AND_BIAS), LN, x=(2, 4, 4))
    before.outputs = ["y", "d"]
    untouched("recognise_layer_normalization", before)


def test_in_whole() -> None:
    steps = [("ReduceMean", "x", "m", {"axes": [-1]}), ("Sub", "x m", "d"), ("Pow", "d two", "q"),
             ("ReduceMean", "q", "v", {"axes": [-1]}), ("Add", "v eps", "w"), ("Sqrt", "w", "r"),
             ("Sub", "x m", "e"), ("Div", "e r", "n"), *SCALE_AND_BIAS]  # fmt: skip
    before = graph(steps, LN, x=(1, 4, 4))
    result, _ = normalise(before)
    assert only(result, "LayerNormalization") is result.nodes[0] and len(result.nodes) == 1
    guard.check(before, result)

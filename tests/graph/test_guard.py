"""The guard sees what changed."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, passes
from modelbuild.graph.model import Graph
from modelbuild.graph.passes import run_passes
from tests.graph.small import graph

STEPS = [("Mul", "x c", "y")]


def test_equal_graphs_differ_by_nothing() -> None:
    model = graph(STEPS, {"c": 2.0})
    assert guard.compare(model, model).worst.error == 0.0


def test_error_is_relative_to_the_range_of_the_output() -> None:
    found = guard.compare(graph(STEPS, {"c": 100.0}), graph(STEPS, {"c": 101.0}), seed=3)
    assert 0.001 < found.worst.error < 0.01
    assert found.to_json() == {"outputs": [{"name": "y", "error": found.worst.error}], "bound": 1e-4}


def test_rounding_of_an_output_that_does_not_vary_is_not_a_change() -> None:
    steps = [("ReduceMean", "x", "m"), ("Mul", "m z", "n"), ("Add", "n c", "y")]
    before, after = (
        graph(steps, {"z": 0.0, "c": np.float32(5) + np.float32(ulp * 2**-21)}) for ulp in (0, 24)
    )
    assert 0 < guard.compare(before, after).worst.error < guard.BOUND


def test_a_broken_bound_names_step_and_output() -> None:
    with pytest.raises(ModelbuildError, match="output `y` differs") as caught:
        guard.check(graph(STEPS, {"c": 1.0}), graph(STEPS, {"c": 1.1}), what="the pass broken")
    assert caught.value.exit_code == 1
    assert "the pass broken" in str(caught.value) and "report it" in str(caught.value)


def test_of_codes_one_step_is_none_and_of_other_small_integers_it_is() -> None:
    """A mask or a class is no code: one more is another answer."""

    def classes(shift: float) -> Graph:
        steps = [
            ("Add", "x c", "s"),
            ("Clip", "s l h", "p"),
            ("Floor", "p", "f"),
            ("Cast", "f", "y", {"to": 2}),
        ]
        return graph(steps, {"c": np.float32(5 + shift), "l": 0.0, "h": 200.0})

    def codes(shift: float) -> Graph:
        steps = [("Add", "x c", "s"), ("QuantizeLinear", "s scale zero", "q"), ("Reshape", "q to", "y")]
        given = {"c": np.float32(shift), "scale": np.float32(0.1), "zero": np.uint8(128)}
        return graph(steps, {**given, "to": np.array([1, 32], np.int64)})

    assert guard.compare(classes(0), classes(1)).worst.error > 0.01
    assert guard.compare(codes(0), codes(0.06)).worst.error == 0
    assert guard.compare(codes(0), codes(0.26)).worst.error > 0.01


def test_what_random_inputs_do_not_show_a_given_input_does() -> None:
    before, after = (graph([("Clip", "x _ h", "y")], {"h": np.float32(high)}) for high in (1000, 2000))
    guard.check(before, after)
    given: list[Mapping[str, np.ndarray]] = [{"x": np.full((1, 2, 4, 4), 1500, np.float32)}]
    with pytest.raises(ModelbuildError):
        guard.check(before, after, given)


def test_a_value_that_is_not_a_number_must_stay_one() -> None:
    before, after = graph([("Sqrt", "x", "y")]), graph([("Abs", "x", "a"), ("Sqrt", "a", "y")])
    assert guard.compare(before, after).worst.error == np.inf
    assert guard.compare(before, before).worst.error == 0.0


def test_paranoid_names_the_pass_that_broke_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(model: Graph) -> int:
        model.constants["c"] = np.float32(3)
        return 1

    monkeypatch.setattr(passes, "PASSES", {**passes.PASSES, "fold_pad": SimpleNamespace(run=broken)})
    with pytest.raises(ModelbuildError, match="the pass fold_pad changed the model"):
        run_passes(graph(STEPS, {"c": 2.0}), ["remove_no_ops", "fold_pad"], paranoid=True)

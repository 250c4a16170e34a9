"""What `--preprocess` says of one input, of all, and of one that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.artifacts.given_preprocessing import by_input
from modelbuild.errors import ModelbuildError
from modelbuild.samples.preprocess import Preprocess

PLAIN, GRAY = Preprocess(), Preprocess(colour="gray")


def test_an_inputs_own_goes_before_what_is_for_all() -> None:
    assert by_input({"": PLAIN, "left": GRAY}, ["left", "right"], Path("m")) == {"left": GRAY, "right": PLAIN}
    assert by_input({"left": GRAY}, ["left", "right"], Path("m")) == {"left": GRAY}
    assert by_input({}, ["left"], Path("m")) == {}


def test_an_input_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ModelbuildError) as caught:
        by_input({"top": GRAY}, ["left", "right"], Path("m.onnx"))
    (problem,) = caught.value.problems
    assert (problem.what, problem.where) == ("the model has no input `top` to preprocess", "m.onnx")
    assert (problem.why, problem.advice) == ("its inputs are left, right", "write --preprocess 'left={...}'")

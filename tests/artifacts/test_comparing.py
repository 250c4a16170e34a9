"""Comparing runners: figures by hand, matching of outputs, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelbuild.artifacts.comparing import compare
from modelbuild.artifacts.feeds import parse
from modelbuild.artifacts.runner import Port
from modelbuild.errors import ModelbuildError


class Affine:
    """y = a x + b under any output name; `inner` is a tensor on the way."""

    level = "float"
    preprocess: Mapping[str, Any] = {}
    in_model: Mapping[str, Any] = {}

    def __init__(self, a: float, b: float, output: str = "y", size: int = 2) -> None:
        self.a, self.b, self.output = a, b, output
        self.inputs = (Port("x", (1, size), "float32"),)
        self.outputs = (Port(output, (1, size), "float32"),)

    def run(self, inputs: Mapping[str, Any], layers: bool = False) -> dict[str, Any]:
        inner = self.a * inputs["x"]
        return {**({"inner": inner} if layers else {}), self.output: inner + self.b}

    def factors(self) -> Mapping[str, Any]:
        return {}

    def pieces(self) -> Mapping[str, Any]:
        return {}

    def tensors(self) -> Mapping[str, Any]:
        return {}


@pytest.fixture
def feed(tmp_path: Path) -> Any:
    np.save(tmp_path / "x.npy", np.array([[3.0, 4.0]], np.float32))
    return parse(["x.npy"], Affine(1, 0).inputs, tmp_path)


def test_figures_by_hand(feed: Any) -> None:
    found = compare(Affine(1, 0), Affine(1, 0.5), feed, layers=True)
    (output,) = found.outputs
    assert output["snr_db"] == pytest.approx(10 * np.log10(25 / 0.5))
    assert output["max_abs"] == 0.5 and not found.equal and found.samples == 1
    assert output["cosine"] == pytest.approx((3 * 3.5 + 4 * 4.5) / (5 * np.hypot(3.5, 4.5)))
    assert [(layer["name"], layer["max_abs"]) for layer in found.layers] == [("inner", 0.0)]


def test_equal_is_equal_in_every_value(feed: Any) -> None:
    assert compare(Affine(2, 1), Affine(2, 1), feed, layers=False).equal
    assert compare(Affine(2, 1), Affine(2, 1), feed, layers=False).layers == ()


def test_outputs_of_other_names_are_matched_by_order(feed: Any) -> None:
    assert compare(Affine(1, 0, "a"), Affine(1, 0, "b"), feed, layers=False).equal


def test_models_with_other_borders_are_refused(feed: Any) -> None:
    with pytest.raises(ModelbuildError, match="outputs of the two models do not match"):
        compare(Affine(1, 0), Affine(1, 0, size=3), feed, layers=False)

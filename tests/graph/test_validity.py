"""Contradictions that ONNX's inference does not see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from tests.graph.small import Step, graph, numbers

W = {"w": numbers(2, 2, 3, 3)}


@pytest.mark.parametrize(
    ("step", "constants"),
    [
        (("Conv", "x w", "y", {"strides": [1]}), W),
        (("Conv", "x w", "y", {"strides": [0, 1]}), W),
        (("Conv", "x w", "y", {"group": 2}), W),
        (("Conv", "x w", "y", {"kernel_shape": [1, 1]}), W),
        (("Conv", "x w b", "y"), {**W, "b": numbers(3)}),
        (("ConvTranspose", "x w", "y"), {"w": numbers(3, 2, 3, 3)}),
        (("MaxPool", "x", "y", {"kernel_shape": [2, 2], "pads": [2, 0, 0, 0]}), {}),
        (("MaxPool", "x", "y", {"kernel_shape": [2]}), {}),
        (("Softmax", "x", "y", {"axis": 4}), {}),
        (("Transpose", "x", "y", {"perm": [0, 1, 2]}), {}),
        (("Clip", "x a b", "y"), {"a": np.float32(2), "b": np.float32(1)}),
    ],
)
def test_refused_by_name(step: Step, constants: dict[str, Any]) -> None:
    with pytest.raises(ModelbuildError, match=f"{step[0]} `{step[0].lower()}_0` is not valid") as caught:
        graph([step], constants)
    assert caught.value.problems[0].why

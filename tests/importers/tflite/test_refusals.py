"""TFLite operators that are refused, by name, with the reason and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.importers.tflite import judge
from tests.importers.tflite.builder import TFLite, one


@pytest.mark.parametrize(
    ("op", "custom", "words"),
    [
        ("WHILE", "", "WHILE `y` is not supported why: its path is chosen while it runs"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "", "keeps a state from one run to the next.*unroll=True"),
        ("NON_MAX_SUPPRESSION_V5", "", "depends on the data do: cut the model before it"),
        (
            "CUSTOM",
            "TFLite_Detection_PostProcess",
            "TFLite_Detection_PostProcess .`y`.*cut: {outputs: .middle.}}]",
        ),
        ("CUSTOM", "FlexErf", "FlexErf .`y`.*only TensorFlow can run.*SELECT_TF_OPS"),
        ("CUSTOM", "Mine", "the custom operator Mine .`y`. is not supported why: what it does is not in"),
        ("MATRIX_DIAG", "", "MATRIX_DIAG `y` is not supported why: there is no rule for it"),
    ],
)
def test_operators_are_refused_by_name_with_reason_and_advice(
    tmp_path: Path, op: str, custom: str, words: str
) -> None:
    assert re.search(words, judge.refused(one(op, custom=custom), tmp_path))


def test_slopes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 4, 4, 8]), model.tensor("y", [1, 4, 4, 8])
    model.add("PRELU", [x, model.constant("slope", np.ones((4, 4, 3), np.float32))], [y])
    words = "PRELU `y` has slopes [4, 4, 3] for [1, 4, 4, 8]"
    assert words in judge.refused(model.build([x], [y]), tmp_path)


@pytest.mark.parametrize(
    ("op", "inputs", "words"),
    [
        ("SOFTMAX", 1, "has the axis -1 of 0"),
        ("LOG_SOFTMAX", 1, "has the axis -1 of 0"),
        ("L2_NORMALIZATION", 1, "has the axis -1 of 0"),
        ("ADD_N", 0, "has no input 0"),
        ("CONV_2D", 0, "has no input 1"),
        ("FULLY_CONNECTED", 1, "has no input 1"),
    ],
)
def test_operators_that_lack_axes_or_inputs_are_refused(
    tmp_path: Path, op: str, inputs: int, words: str
) -> None:
    model = TFLite()
    x, y = model.tensor("x", []), model.tensor("y", [])
    model.add(op, [x] * inputs, [y])
    assert f"{op} `y` {words}" in judge.refused(model.build([x], [y]), tmp_path)


def test_a_second_ellipsis_and_an_index_counted_backwards_are_refused(tmp_path: Path) -> None:
    for masks, stride, words in (
        ({2: ("i", 3)}, 1, "has more than one ellipsis"),
        ({4: ("i", 1)}, -1, "takes one cell by a stride of -1"),
    ):
        model = TFLite()
        x, y = model.tensor("x", [2, 3, 4]), model.tensor("y", [2, 3, 4])
        numbers = [model.constant(f"c{i}", np.array(v, np.int32)) for i, v in enumerate(([0, 0], [2, 2]))]
        numbers.append(model.constant("strides", np.array([stride, 1], np.int32)))
        model.add("STRIDED_SLICE", [x, *numbers], [y], masks)
        assert f"STRIDED_SLICE `y` {words}" in judge.refused(model.build([x], [y]), tmp_path)


@pytest.mark.parametrize(("op", "slots"), [("RESIZE_BILINEAR", (2, 3)), ("RESIZE_NEAREST_NEIGHBOR", (0, 1))])
def test_a_grid_that_onnx_lacks_is_refused(tmp_path: Path, op: str, slots: tuple[int, int]) -> None:
    model = TFLite()
    x, y = model.tensor("x", [1, 4, 4, 2]), model.tensor("y", [1, 8, 8, 2])
    sizes = model.constant("sizes", np.array([8, 8], np.int32))
    model.add(op, [x, sizes], [y], dict.fromkeys(slots, ("B", True)))
    assert f"{op} `y` aligns the corners and takes the middles of pixels at once" in (
        judge.refused(model.build([x], [y]), tmp_path)
    )

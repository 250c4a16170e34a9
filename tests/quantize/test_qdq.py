"""onnxruntime on the drawing of a fixed model gives the same integers as the kernels."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel, Integers
from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.quantize import fixed_onnx
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS

ALL, NONE = (
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
)


def in_onnxruntime(
    model: FixedModel, inputs: dict[str, Integers], level: onnxruntime.GraphOptimizationLevel
) -> dict[str, Integers]:
    """The integers that the file's outputs stand for."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    data = fixed_onnx.to_bytes(model)
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    real = {name: dequantize_array(values, model.tensors[name]) for name, values in inputs.items()}
    found = zip(model.outputs, session.run(None, real), strict=True)
    return {name: quantize_array(values, model.tensors[name]) for name, values in found}


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([8, 16]), level=st.sampled_from([ALL, NONE]))
def test_every_operator_gives_the_same_integers(kind: str, seed: int, bits: int, level: object) -> None:
    dice = Dice(seed, bits)
    model = BUILDERS[kind](dice)
    inputs = dice.inputs(model)
    found = in_onnxruntime(model, inputs, level)
    for name, values in run(model, inputs).items():
        np.testing.assert_array_equal(found[name], values)

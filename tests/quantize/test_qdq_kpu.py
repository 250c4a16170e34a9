"""onnxruntime on the drawing of a fixed model of `kpu@1`: the bytes of the kernels, their floats nearly."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.kpu import run
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.quantize import fixed_onnx
from tests.arithmetic.dice import Dice
from tests.arithmetic.kpu import made
from tests.arithmetic.kpu.cases import BUILDERS
from tests.hypotheses import examples

LEVELS = (
    onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
    onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
)


def in_onnxruntime(model: FixedModel, inputs: dict[str, Any], level: Any) -> dict[str, Any]:
    """What the file's outputs stand for."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    data = fixed_onnx.to_bytes(model)
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    whole = {name for name, tensor in model.tensors.items() if tensor.whole}
    real = {
        name: values if name in whole else dequantize_array(values, model.tensors[name])
        for name, values in inputs.items()
    }
    found = zip(model.outputs, session.run(None, real), strict=True)
    return {
        name: values if name in whole else quantize_array(values, model.tensors[name])
        for name, values in found
    }


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@examples(20)
@given(seed=st.integers(0, 2**32 - 1), level=st.sampled_from(LEVELS))
def test_every_operator_gives_the_same(kind: str, seed: int, level: object) -> None:
    dice = Dice(seed)
    model = BUILDERS[kind](dice)
    inputs = made.inputs(dice, model)
    found = in_onnxruntime(model, inputs, level)
    for name, values in run(model, inputs).items():
        if model.tensors[name].floating:
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5)
        else:
            np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_operator_reads_back_equal_and_is_valid_onnx(kind: str, seed: int) -> None:
    model = BUILDERS[kind](Dice(seed))
    data = fixed_onnx.to_bytes(model)
    read = fixed_onnx.from_bytes(data)
    assert (read.tensors, read.operators, read.arithmetic) == (model.tensors, model.operators, "kpu@1")
    assert list(read.constants) == list(model.constants)
    for name, values in model.constants.items():
        assert read.constants[name].dtype == values.dtype
        np.testing.assert_array_equal(read.constants[name], values)
    assert fixed_onnx.to_bytes(read) == data
    onnx.checker.check_model(onnx.load_model_from_string(data), full_check=True)

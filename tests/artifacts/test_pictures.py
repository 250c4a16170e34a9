"""A program for several pictures a run takes one sample all the same, and answers as the model does."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.arithmetic.multiplier_shift import run
from modelbuild.artifacts.packing import Program
from modelbuild.artifacts.pictures import pictures
from modelbuild.artifacts.runner import HardwareRunner
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.npu.batch_compiler import compile_batch
from modelbuild.npu.batching import METADATA, own_batch
from modelbuild.npu.program import ProgramInterface, TensorPlace
from tests.arithmetic.dice import Dice
from tests.arithmetic.random_models import BUILDERS
from tests.npu.strategies import random_inputs


def seed_of(own: int) -> int:
    """That of a random layer with this dimension 0."""
    return next(seed for seed in range(99) if own_batch(BUILDERS["gemm"](Dice(seed))) == own)


@pytest.mark.parametrize(("own", "wide"), [(1, 1), (1, 4), (2, 2), (2, 3), (2, 5), (2, 1), (3, 2)])
def test_one_sample_is_answered_as_by_the_model(own: int, wide: int) -> None:
    model = BUILDERS["gemm"](Dice(seed_of(own)))
    compiled, batch = compile_batch(model, load_recipe("modalix"), {}, wide)
    assert batch.achieved == wide
    runner = HardwareRunner(Program("net", compiled.command, compiled.weights, compiled.host))
    assert [port.shape for port in runner.inputs] == [model.tensors["x"].shape]
    assert [port.shape for port in runner.outputs] == [model.tensors["y"].shape]
    inputs = random_inputs(model, 5)
    expected = run(model, inputs, keep="all")
    found = runner.run(inputs, layers=True)
    assert runner.tensors()["y"].shape == found["y"].shape
    np.testing.assert_array_equal(found["y"], expected["y"])


@pytest.mark.parametrize("told", ["x", "", "0", "-1", "1.5", "99999", "\u0664"])
def test_a_file_that_tells_no_number_of_pictures_is_refused(told: str) -> None:
    tensor = TensorPlace("x", (2, 3), 8, True, 1.0, 0, 0, 6)
    described = ProgramInterface("net", "multiplier_shift@1", "kl720", (tensor,), (), (), {METADATA: told})
    with pytest.raises(ModelbuildError, match="the program's 'batch' is") as caught:
        pictures(described)
    assert caught.value.exit_code == 2

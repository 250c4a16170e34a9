"""Random models: normalised, and lowered for each chip, they give what onnxruntime gives on the file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from modelbuild import importers
from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard, onnx_io
from modelbuild.graph.model import Graph
from modelbuild.graph.normalise import normalise
from modelbuild.graph.passes import LOWERING, run_passes
from modelbuild.graph.session import FloatSession
from tests.graph import random_rare_steps, random_shape_steps, random_steps
from tests.graph.random_models import random_model
from tests.hypotheses import examples

_QUIET = (HealthCheck.too_slow, HealthCheck.filter_too_much)
_LEFT_BY_EXPORTERS = {"BatchNormalization", "Constant", "Dropout", "Flatten", "Identity", "If", "Shape"}


def _lowerings() -> list[tuple[str, ...]]:
    """The lists of passes of all recipes, each once; and all passes."""
    return [*dict.fromkeys(load_recipe(chip).passes for chip in chip_names()), tuple(LOWERING)]


LOWERINGS = _lowerings()


def _check(dice: Random, lowerings: list[tuple[str, ...]]) -> bool:
    """Whether the model could be compared: onnxruntime does not take every one."""
    model = random_model(dice)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(model.SerializeToString())
        if not runs(path):
            return False
        graph = importers.load(path)
        result, _ = normalise(graph)
        guard.check(path, result)
        again, rows = normalise(result)
        assert onnx_io.to_bytes(again) == onnx_io.to_bytes(result)
        assert not any(row.changes for row in rows)
        assert not _LEFT_BY_EXPORTERS & {
            node.op for node in result.nodes if not set(node.outputs) & set(result.outputs)
        }
        for passes in lowerings:
            guard.check(path, run_passes(result, passes)[0])
    return True


def runs(path: Path | Graph) -> bool:
    """Whether onnxruntime itself takes the model: 25 of 2,000 it does not.

    Version 1.31 stops at pools of auto_pad SAME whose stride exceeds the kernel ("padding values must be
    non-negative") and at LRN of other than four axes.
    """
    try:
        session = FloatSession(path)
        session.run({name: np.zeros(shape or (), kind) for name, (shape, kind) in session.inputs.items()})
    except ModelbuildError:
        return False
    return True


@examples(60, suppress_health_check=_QUIET)
@given(st.randoms(use_true_random=False))
def test_random_models_keep_their_outputs(dice: Random) -> None:
    _check(dice, [LOWERINGS[dice.randrange(len(LOWERINGS))]])


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_many_random_models_keep_their_outputs(block: int) -> None:
    compared = [_check(Random(seed), LOWERINGS) for seed in range(block * 100, block * 100 + 100)]
    assert sum(compared) > 90


def test_every_step_of_the_generator_is_taken() -> None:
    """A step that cannot happen tests nothing."""
    made = {node.op_type for seed in range(400) for node in random_model(Random(seed)).graph.node}
    assert len(made) > 90
    tables = (random_steps.STEPS, random_rare_steps.STEPS, random_shape_steps.STEPS)
    assert sum(len(set(table)) for table in tables) > 50

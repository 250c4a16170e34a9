"""The table of back ends: what it knows, and what a run of a kmodel is held against."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.arithmetic.sessions import SESSIONS
from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.graph.definable import DEFINED
from modelbuild.kpu import lower
from modelbuild.kpu.lowering import choosing, floats
from modelbuild.stages.backends import BACKENDS, of_arithmetic
from modelbuild.stages.hardware_match import INEXACT, Match, at_sample
from modelbuild.toolchains import builtin

ONES = np.ones((1, 4), np.float32)


def test_every_chip_has_a_back_end() -> None:
    used = {load_recipe(chip).number_format.arithmetic for chip in chip_names()}
    assert used <= set(BACKENDS) and set(BACKENDS) == set(DEFINED)
    assert set(BACKENDS) <= set(SESSIONS) and set(builtin.SILICON) < set(BACKENDS)


@pytest.mark.parametrize("arithmetic", BACKENDS)
def test_each_has_what_stages_ask_for(arithmetic: str) -> None:
    module = of_arithmetic(arithmetic).load()
    assert all(callable(getattr(module, name)) for name in ("lower", "compile_fixed", "Machine"))


def test_of_an_unknown_number_system_settings_are_read() -> None:
    assert of_arithmetic("kpu@9").has_record and "tiling" in of_arithmetic("kpu@9").options


@pytest.mark.parametrize("arithmetic", ["kpu@1", "float32"])
def test_what_is_defined_is_what_is_lowered(arithmetic: str) -> None:
    assert set(DEFINED[arithmetic]) == {*lower.BUILDERS, *floats.BUILDERS, *choosing.BUILDERS}


def held(found: np.ndarray, expected: np.ndarray, *inexact: str) -> Match:
    match = Match()
    match.inexact.update(inexact)
    match.add("outputs", {"y": found}, {"y": expected}, at_sample(0))
    return match


def test_floats_are_compared_in_every_bit() -> None:
    almost = np.nextafter(ONES, np.float32(2))
    assert not held(almost, ONES).equal and held(ONES.copy(), ONES).equal
    assert "within" not in held(almost, ONES).to_json()["outputs"][0]


def test_floats_behind_an_inexact_function_within_a_share_of_their_range() -> None:
    expected = np.array([[0.0, 2.0, -6.0, np.nan]], np.float32)  # the range is 8
    near, far = (expected + np.float32(share * 8 * INEXACT) for share in (0.9, 1.2))
    match = held(near, expected, "y")
    assert match.equal and match.ran
    assert match.to_json()["outputs"] == [{"name": "y", "equal": True, "differing": 0, "within": INEXACT}]
    assert held(far, expected, "y").to_json()["outputs"][0]["differing"] == 3
    assert not held(np.where(np.isnan(expected), 0, expected).astype(np.float32), expected, "y").equal


def test_integers_are_never_inexact() -> None:
    codes = np.array([[1, 2]], np.uint8)
    assert not held(codes + np.uint8(1), codes, "y").equal


def test_nothing_was_run() -> None:
    assert not Match().ran

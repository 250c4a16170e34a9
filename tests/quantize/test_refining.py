"""Which records are refined with samples: what is asked for, weights of few bits, and small models."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.graph import kept_quantization
from modelbuild.graph.kept_quantization import Kept
from modelbuild.quantize import refining
from modelbuild.quantize.refining import is_refined, is_rounded_by_size
from modelbuild.quantize.settings import Settings
from tests.quantize.cases import make, normal, one_node

GRAPH = one_node("Conv", (1, 4, 8, 8), w=normal(6, 4, 3, 3))  # 6 * 6 * 6 * 4 * 3 * 3 = 7,776 MACs


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"bias_correction": "none"}, True),
        ({"mode": "mix_light"}, True),
        ({"mode": "auto"}, False),
        ({"range": {"method": "mse"}}, False),
        ({"rounding": "observed"}, False),
        ({"rounding": "adaround"}, False),  # which is asked for, of any model
    ],
)
def test_small_models_are_rounded_with_samples_where_nobody_says_how(
    settings: dict[str, Any], expected: bool
) -> None:
    assert is_rounded_by_size(Settings.read(settings), GRAPH) is expected


def test_small_is_a_number_of_multiplications(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refining, "SMALL", 7_776)
    assert is_rounded_by_size(Settings(), GRAPH)
    monkeypatch.setattr(refining, "SMALL", 7_775)
    assert not is_rounded_by_size(Settings(), GRAPH)


def test_a_source_that_brings_scales_keeps_its_weights() -> None:
    brought = one_node("Conv", (1, 4, 8, 8), w=normal(6, 4, 3, 3))
    kept_quantization.keep(brought, {"w": Kept("int8", (0.5,), (0,))})
    assert not is_rounded_by_size(Settings(), brought)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"mode": "auto"}, False),
        ({"mode": "auto", "weights": "int4"}, True),
        ({"weights": "int4", "rounding": "nearest"}, False),
        ({"mode": "auto", "bias_correction": "sequential"}, True),
        ({"rounding": "observed"}, False),
    ],
)
def test_a_record_is_refined_where_it_is_asked_for_or_has_few_bits(
    settings: dict[str, Any], expected: bool
) -> None:
    read = Settings.read(settings)
    given = {key: value for key, value in settings.items() if key != "mode"}
    assert is_refined(read, make(GRAPH, "kl530", given).record, GRAPH) is expected

"""Which records are refined with samples: what is asked for, weights of few bits, and small models."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.graph import kept_quantization
from modelbuild.graph.kept_quantization import Kept
from modelbuild.quantize import refining
from modelbuild.quantize.refining import is_refined, is_rounded_by_size
from modelbuild.quantize.sample_needs import ENOUGH
from modelbuild.quantize.settings import Settings
from tests.quantize.cases import make, normal, one_node, samples_of

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
    assert is_rounded_by_size(Settings.read(settings), GRAPH, ENOUGH) is expected


@pytest.mark.parametrize(("limit", "least"), [("SMALL_WALK", 7_776), ("SMALL_SWEEP", 6 * 36 * 36)])
def test_small_is_little_work(monkeypatch: pytest.MonkeyPatch, limit: str, least: int) -> None:
    monkeypatch.setattr(refining, limit, least)
    assert is_rounded_by_size(Settings(), GRAPH, ENOUGH)
    monkeypatch.setattr(refining, limit, least - 1)
    assert not is_rounded_by_size(Settings(), GRAPH, ENOUGH)


def test_wide_matrices_of_few_multiplications_are_not_small() -> None:
    """Their rounding takes a sweep over all columns for each weight: minutes for 4 million of them."""
    assert is_rounded_by_size(Settings(), one_node("Gemm", (1, 256), b=normal(256, 64)), ENOUGH)
    assert not is_rounded_by_size(Settings(), one_node("Gemm", (1, 1024), b=normal(1024, 1024)), ENOUGH)


def test_few_samples_leave_the_weights_as_they_are() -> None:
    assert not is_rounded_by_size(Settings(), GRAPH, ENOUGH - 1)


def test_a_source_that_brings_scales_keeps_its_weights() -> None:
    brought = one_node("Conv", (1, 4, 8, 8), w=normal(6, 4, 3, 3))
    kept_quantization.keep(brought, {"w": Kept("int8", (0.5,), (0,))})
    assert not is_rounded_by_size(Settings(), brought, ENOUGH)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),
        ({"weights": "int16"}, False),
        ({"nodes": {"node": {"weights": "int16"}}}, False),
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
    made = make(GRAPH, "kl530", given, samples_of(GRAPH, ENOUGH))
    assert is_refined(read, made.record, GRAPH) is expected

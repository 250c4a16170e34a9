"""What is planned with samples, of settings alone."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.quantize.sample_needs import ENOUGH, needs_samples

PLAIN = {"range": {"method": "percentile"}}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, True),  # a small model's weights are rounded with samples
        ({"mode": "mix_light", "weights": "mixed"}, True),
        ({"mode": "auto", "weights": "mixed"}, False),
        ({"weights": "int16"}, False),
        ({"weights": "int16", "nodes": {"conv": {"weights": "int8"}}}, True),
        ({"rounding": "nearest"}, False),
        ({"rounding": "observed"}, False),
        (PLAIN, False),
        ({**PLAIN, "weights": "int4"}, True),
        ({**PLAIN, "weights": ["int4", "int8"]}, True),
        ({**PLAIN, "weights": ["int2", "int8"]}, False),
        ({"weights": "int4", "mode": "auto"}, True),
        ({"weights": "int4", "rounding": "nearest"}, False),
        ({**PLAIN, "rounding": "adaround"}, True),
        ({"rounding": "observed", "weights": "int4"}, False),
        ({**PLAIN, "bias_correction": "parallel"}, False),
        ({**PLAIN, "bias_correction": "sequential"}, True),
        ({**PLAIN, "nodes": {"conv": {"weights": "int4"}}}, True),
        ({**PLAIN, "nodes": {"conv": {"activations": "int16"}}}, False),
        ({**PLAIN, "scheme": "s.json"}, True),
        ({**PLAIN, "scheme": "s.json", "rounding": "nearest"}, False),
    ],
)
def test_what_needs_samples(settings: dict[str, Any], expected: bool) -> None:
    assert needs_samples(settings, ("int8", "int4", "int16"), ENOUGH) is expected


def test_few_samples_are_not_rounded_with_unasked() -> None:
    assert not needs_samples({}, ("int8",), ENOUGH - 1)
    assert needs_samples({"rounding": "adaround"}, ("int8",), 1)
    assert needs_samples({}, ("int4",), 1)

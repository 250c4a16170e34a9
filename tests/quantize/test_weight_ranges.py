"""The range of weights that does the least squared error, from the choice to the integers."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.chips.load import load_recipe
from modelbuild.quantize.number_format import formats_of
from modelbuild.quantize.record import from_text, to_text
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.weight_ranges import CANDIDATES, OF_POWERS, least_squared_error
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import code_range, weight_scales
from tests.quantize.cases import make, normal, one_node


def weights(rows: int = 6, outlier: float = 8.0) -> np.ndarray:
    """Normal weights, in half of the channels with one that is far out."""
    found = normal(rows, 16, 3, 3, seed=5).copy()
    found[::2, 0, 0, 0] = outlier * np.abs(found[::2]).max()
    return found


def error(weight: np.ndarray, clip: tuple[int, ...] | None, settings: dict[str, object], chip: str) -> float:
    formats = formats_of(load_recipe(chip).number_format, Settings.read(settings))
    form = formats.activation.form
    scales = weight_scales(weight, formats.weight_bits, formats.per_channel, form, clip).reshape(-1, 1, 1, 1)
    steps = np.clip(np.rint(weight / scales), *code_range(formats.weight_bits))
    return float(np.square(steps * scales - weight).sum())


CASES = [
    ("kl530", {"weights": "int4"}, CANDIDATES),
    ("kl520", {}, OF_POWERS),
    ("modalix", {"per_channel": False, "weights": "int8"}, CANDIDATES),
]


@pytest.mark.parametrize(("chip", "settings", "candidates"), CASES)
def test_it_is_the_best_of_the_candidates(
    chip: str, settings: dict[str, object], candidates: tuple[int, ...]
) -> None:
    weight = weights(outlier=1.6)
    formats = formats_of(load_recipe(chip).number_format, Settings.read(settings))
    clip = least_squared_error(Weighted("w", weight, np.zeros(6), 1), formats)
    found = error(weight, clip, settings, chip)
    each = [error(weight, (candidate,) * 6, settings, chip) for candidate in candidates]
    if formats.per_channel:
        assert found <= min(each)
    else:
        assert found == min(each)
        assert clip is None or len(set(clip)) == 1


def test_channels_choose_by_themselves() -> None:
    formats = formats_of(load_recipe("kl530").number_format, Settings.read({"weights": "int4"}))
    clip = least_squared_error(Weighted("w", weights(outlier=1.5), np.zeros(6), 1), formats)
    assert clip is not None and len(set(clip)) > 1 and max(clip) <= 128 and min(clip) >= 32


@pytest.mark.parametrize("weight", [np.zeros((4, 3, 1, 1), np.float32), np.ones((4, 3, 1, 1), np.float32)])
def test_where_nothing_is_won_nothing_is_said(weight: np.ndarray) -> None:
    formats = formats_of(load_recipe("kl520").number_format, Settings.read({}))
    assert least_squared_error(Weighted("w", weight, np.zeros(4), 1), formats) is None


def test_from_the_setting_to_the_integers() -> None:
    graph = one_node("Conv", (1, 16, 8, 8), w=weights(outlier=1.5), b=normal(6))
    base = {"weights": "int4", "rounding": "nearest"}
    plain, clipped = (make(graph, "kl530", {**base, **more}) for more in ({}, {"weights_range": "mse"}))
    assert "clip" not in plain.record.corrections
    (numbers,) = clipped.record.corrections["clip"].values()
    assert len(numbers) == 6
    methods = [made.record.by_name()["w"].method for made in (plain, clipped)]
    assert methods == ["minmax", "mse"]
    snr = [made.record.by_name()["w"].snr_db for made in (plain, clipped)]
    assert snr[0] is not None and snr[1] is not None and snr[1] > snr[0] + 0.5
    integers = [
        made.fixed.constants[made.fixed.operators[0].constants["weight"]] for made in (plain, clipped)
    ]
    assert np.abs(integers[1]).sum() > np.abs(integers[0]).sum()
    assert from_text(to_text(clipped.record)) == clipped.record

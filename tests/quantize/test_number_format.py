"""Grids of every scale form, and what a chip refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.quantize.number_format import TensorFormat, express, formats_of, radix_of
from modelbuild.quantize.settings import Settings

ASYMMETRIC = TensorFormat(8, True, False, "free")
RADIX = TensorFormat(8, True, True, "radix")
POWER = TensorFormat(8, True, True, "power_of_two")


def test_grids() -> None:
    assert ASYMMETRIC.grid(0.0, 255.0) == (1.0, -128)
    assert ASYMMETRIC.grid(-255.0, -1.0) == (1.0, 127)
    assert ASYMMETRIC.grid(-1.0, 1.0) == (2 / 255, 0)
    assert POWER.grid(0.0, 127 / 128) == (1 / 128, 0)
    assert POWER.grid(0.0, 1.0) == (1 / 64, 0)
    assert POWER.grid(-1.0, 0.5) == (1 / 128, 0)
    assert RADIX.grid(0.0, 1.0) == (1 / 127, 0)
    assert ASYMMETRIC.grid(0.0, 0.0) == (1.0, -128)
    assert RADIX.grid(0.0, 0.0) == (1.0, 0)


@given(scale=st.floats(1e-20, 1e20))
def test_scale_forms(scale: float) -> None:
    power = express(scale, "power_of_two")
    assert math.frexp(power)[0] == 0.5 and power / 2 < scale <= power
    radix = express(scale, "radix")
    mantissa = (1 / radix) / 2.0 ** radix_of(radix)
    assert 1 <= mantissa < 2 and abs(np.float32(mantissa) - mantissa) < 1e-15
    assert abs(radix / scale - 1) < 2.0**-23


@pytest.mark.parametrize(
    ("chip", "settings", "text"),
    [
        ("kl720", {}, "activations=int8 weights=int8 symmetric=yes scale=radix per_channel=yes"),
        ("modalix", {}, "activations=int8 weights=int8 symmetric=no scale=free per_channel=yes"),
        (
            "kl720",
            {"activations": ["int4", "int16"], "weights": "int16"},
            "activations=int16 weights=int16 symmetric=yes scale=radix per_channel=yes",
        ),
        (
            "kl530",
            {"weights": "int4"},
            "activations=int8 weights=int4 symmetric=yes scale=radix per_channel=yes",
        ),
    ],
)
def test_formats_of_chips(chip: str, settings: dict[str, object], text: str) -> None:
    assert formats_of(load_recipe(chip).number_format, Settings.read(settings)).to_text() == text


@pytest.mark.parametrize(
    ("chip", "settings"),
    [("kl520", {"activations": "int16"}), ("kl720", {"weights": "int4"})],
)
def test_what_the_chip_lacks_is_an_error(chip: str, settings: dict[str, object]) -> None:
    with pytest.raises(ModelbuildError, match="not available on this chip") as caught:
        formats_of(load_recipe(chip).number_format, Settings.read(settings))
    assert caught.value.exit_code == 2


def test_activations_without_a_sign_need_a_zero_point() -> None:
    with pytest.raises(ModelbuildError, match="uint8 needs a zero point"):
        formats_of(load_recipe("k210").number_format, Settings.read({"symmetric": True}))

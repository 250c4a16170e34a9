"""The mapping below `quantize:` and the value that it is read into."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.quantize_options import Method
from modelbuild.quantize.ranges import METHODS, WIDE
from modelbuild.quantize.settings import METHOD_OPTIONS, OPTIONS, READERS, RangeSettings, Settings


def test_every_field_has_a_reader_and_every_method_its_options() -> None:
    assert READERS.keys() == {found.name for found in fields(Settings)}
    assert METHOD_OPTIONS.keys() == METHODS.keys() - {WIDE}
    assert METHOD_OPTIONS.keys() == set(get_args(Method))
    assert OPTIONS.keys() == set().union(*METHOD_OPTIONS.values())


def test_what_is_not_given_has_its_default() -> None:
    assert Settings.read({}) == Settings() == Settings.read({"activations": None})
    assert Settings.read({"range": {}}).range == RangeSettings("output_error", {})


def test_one_format_or_several() -> None:
    read = Settings.read({"activations": "int8", "weights": ["int4", "int8"]})
    assert read.activations == ("int8",) and read.weights == ("int4", "int8")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rnage": {}}, "no setting 'rnage'"),
        ({"range": "mse"}, "must be a mapping"),
        ({"range": {"method": "kl"}}, "'kl' is not a range method"),
        ({"range": {"method": "mse", "percentile": 99}}, "no option 'percentile'"),
        ({"range": {"bins": 100}}, "100 bins: there are 256, 512"),
        ({"range": {"bins": [256]}}, "bins: there are"),
        ({"range": {"method": "mse", "max_clipped": 1.5}}, "max_clipped: 1.5 is not a number from 0 to 1"),
        ({"range": {"method": "mse", "outlier_factor": 0}}, "outlier_factor: 0 is not a number above 0"),
        ({"range": {"method": "mse", "outlier_factor": float("inf")}}, "outlier_factor: inf is not"),
        ({"range": {"method": "moving_average", "momentum": 1}}, "momentum: 1 is not a number from 0"),
        ({"range": {"method": "moving_average", "momentum": "much"}}, "momentum: 'much' is not"),
        ({"range": {"method": "percentile", "percentile": "99"}}, "percentile: '99' is not a number"),
        ({"range": {"method": "percentile", "percentile": 101}}, "percentile: 101 is not a number above 50"),
        ({"range": {"method": "percentile", "percentile": 50}}, "percentile: 50 is not a number above 50"),
        ({"range": {"method": "percentile", "percentile_16bit": True}}, "percentile_16bit: True is not"),
        ({"weights": 8}, "weights: 8 is not a number format"),
        ({"weights": []}, "is not a number format"),
    ],
)
def test_what_no_key_takes_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ModelbuildError, match=text) as caught:
        Settings.read(settings)
    assert caught.value.exit_code == 2

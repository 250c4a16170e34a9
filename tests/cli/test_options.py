"""Option values that more than one verb reads."""

from __future__ import annotations

import pytest

from modelbuild.cli.options import preprocessing, shapes
from modelbuild.errors import ModelbuildError


def test_shapes() -> None:
    assert shapes(["image=1,3,224,224", "a=b=1"]) == {"image": (1, 3, 224, 224), "a=b": (1,)}
    assert shapes([]) == {}


@pytest.mark.parametrize("text", ["1,3", "=1,3", "x=", "x=1,0", "x=1,-3", "x=1,,3", "x=1,a", "x=1.5"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(ModelbuildError, match="is not a shape") as caught:
        shapes([text])
    assert caught.value.exit_code == 2 and f"`{text}`" in caught.value.problems[0].what


def test_preprocessing() -> None:
    assert preprocessing(["{mean: 127, std: [1, 2]}"]) == {"": {"mean": 127, "std": [1, 2]}}
    assert preprocessing(["x={mean: 1}", "y={preset: unit}"]) == {"x": {"mean": 1}, "y": {"preset": "unit"}}


@pytest.mark.parametrize("text", ["x=mean", "x={mean: [}", "mean: 1", "x="])
def test_what_is_no_preprocessing(text: str) -> None:
    with pytest.raises(ModelbuildError, match=r"^--preprocess ") as caught:
        preprocessing([text])
    assert caught.value.exit_code == 2
    assert caught.value.problems[0].advice == "write --preprocess '{mean: 127, std: 128}'"

"""What a manifest says of preprocessing in the model, and what is left for the host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelbuild.errors import ModelbuildError
from modelbuild.samples.preprocess import (
    Preprocess,
    from_settings,
    host_part,
    input_range,
    resulting_range,
    swaps,
    to_json,
)

INSIDE: dict[str, Any] = {"in_model": True}


def test_nothing_is_said_where_the_host_does_it() -> None:
    assert from_settings({}).in_model is None and "in_model" not in to_json(from_settings({}))
    assert from_settings({"in_model": False}) == Preprocess()
    assert host_part(from_settings({"mean": 3})) == from_settings({"mean": 3})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"preset": "imagenet", "input_layout": "NHWC"},
        {"input_range": [-1, 1], "mean": [0.1, 0.2, 0.3]},
        {"scale": [0.1, 0.2, 0.3], "input_type": "float32"},
        {"resize": "letterbox", "input_shape": [1, 3, 8, 9], "output_layout": "NHWC", "fill": [1, 2, 3]},
    ],
)
def test_the_json_form_is_read_back_as_it_was(settings: dict[str, Any]) -> None:
    p = from_settings({**INSIDE, **settings})
    assert from_settings(json.loads(json.dumps(to_json(p)))) == p
    assert from_settings(to_json(from_settings(to_json(p)))) == p


def test_what_is_left_is_the_raw_picture() -> None:
    declared = {"preset": "imagenet", "colour": "bgr", "resize": "letterbox", "fill": [1, 2, 3]}
    left = host_part(from_settings({**INSIDE, **declared, "input_layout": "NHWC"}))
    assert left == Preprocess("letterbox", (3.0, 2.0, 1.0), layout="NHWC")
    assert host_part(from_settings({**INSIDE, "input_colour": "bgr", "colour": "bgr"})).colour == "bgr"
    assert host_part(from_settings({**INSIDE, "colour": "gray"})).colour == "gray"
    real = host_part(from_settings({**INSIDE, "input_type": "float32", "input_range": [-1, 1]}))
    assert resulting_range(real) == ((-1.0, 1.0),)


@pytest.mark.parametrize(
    ("settings", "swapped"),
    [({}, False), ({"colour": "bgr"}, True), ({"input_colour": "bgr"}, True), ({"colour": "gray"}, False)],
)
def test_red_and_blue_are_exchanged_where_the_orders_differ(settings: dict[str, Any], swapped: bool) -> None:
    assert swaps(from_settings({**INSIDE, **settings})) is swapped
    assert not swaps(from_settings({"colour": "bgr"}))


def test_the_range_stands_for_the_scale() -> None:
    p = from_settings({**INSIDE, "input_range": [-1, 1], "mean": 0.5, "std": 2})
    assert p.scale == 2 / 255 and input_range(p) == (-1.0, 1.0)
    assert resulting_range(p) == ((-0.75, 0.25),)
    assert input_range(from_settings({**INSIDE, "preset": "unit"})) == (0.0, 1.0)
    assert input_range(from_settings({**INSIDE, "scale": [1, 2, 3]})) == (0.0, 255.0)
    assert from_settings({**INSIDE, "preset": "imagenet", "input_range": [0, 1]}).scale == 1 / 255


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"input_layout": "NHWC"}, "`input_layout` goes with `in_model: true`"),
        ({"in_model": False, "input_type": "uint8"}, "`input_type` goes with `in_model: true`"),
        ({**INSIDE, "input_type": "int8"}, "`input_type: int8` is not known"),
        ({**INSIDE, "input_range": [1, 0]}, r"`input_range: \[1, 0\]` is no range"),
        ({**INSIDE, "input_range": [0]}, "is no range"),
        ({**INSIDE, "input_range": [0, float("inf")]}, "is no range"),
        ({**INSIDE, "input_range": [False, True]}, "is no range"),
        ({**INSIDE, "input_range": [0, 1], "scale": 1}, "contradict each other"),
        ({**INSIDE, "input_shape": [1, 3, 8]}, "is no shape"),
        ({**INSIDE, "input_shape": [2, 3, 8, 8]}, "is no shape"),
        ({**INSIDE, "input_shape": [1, 3, 8, 8]}, "needs `resize`"),
        ({**INSIDE, "input_shape": [1, 3, 8, 8], "resize": "crop", "filter": "bicubic"}, "bicubic"),
        ({**INSIDE, "input_colour": "gray"}, "`input_colour: gray` is not known"),
        ({**INSIDE, "input_shapes": [1]}, "unknown key `input_shapes`"),
        ({"swapRB": True}, "`swapRB: true` goes with `in_model: true`"),
        ({"letterbox_value": 114}, "`letterbox_value: 114` goes with `in_model: true`"),
        ({**INSIDE, "swapRB": 1}, "`swapRB: 1` is not true or false"),
        ({**INSIDE, "swapRB": True, "colour": "gray"}, "`swapRB: true` contradicts `colour: gray`"),
        ({**INSIDE, "swapRB": False, "colour": "bgr", "input_colour": "rgb"}, "contradicts the colours"),
        ({**INSIDE, "letterbox_value": 114}, "`letterbox_value: 114` needs `input_range`"),
        ({**INSIDE, "letterbox_value": 114, "input_range": [0, 1]}, "lies outside of `input_range"),
        (
            {**INSIDE, "letterbox_value": 0.5, "input_range": [0, 1], "fill": 9},
            "`letterbox_value: 0.5` contradicts `fill`",
        ),
        ({**INSIDE, "letterbox_value": 1, "input_range": [0, 1], "resize": "crop"}, "`resize: crop`"),
    ],
)
def test_what_makes_no_sense_is_told(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ModelbuildError, match=what) as caught:
        from_settings(settings)
    assert all(problem.where.startswith("preprocess.") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"swapRB": True}, {"colour": "bgr"}),
        ({"swapRB": True, "colour": "rgb"}, {"colour": "rgb", "input_colour": "bgr"}),
        ({"swapRB": True, "input_colour": "bgr"}, {"input_colour": "bgr", "colour": "rgb"}),
        ({"swapRB": False, "colour": "bgr"}, {"colour": "bgr", "input_colour": "bgr"}),
        ({"swapRB": False, "input_colour": "bgr"}, {"colour": "bgr", "input_colour": "bgr"}),
        ({"swapRB": True, "colour": "bgr", "input_colour": "rgb"}, {"colour": "bgr"}),
        ({"swapRB": False, "colour": "gray"}, {"colour": "gray"}),
        ({"swapRB": False}, {}),
        (
            {"letterbox_value": 0.4471, "input_range": [0, 1]},
            {"resize": "letterbox", "fill": 114, "input_range": [0, 1]},
        ),
        (
            {"letterbox_value": -1, "input_range": [-1, 1], "fill": 0, "resize": "letterbox"},
            {"resize": "letterbox", "input_range": [-1, 1]},
        ),
    ],
)
def test_the_names_of_nncase_are_taken(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    found = from_settings({**INSIDE, **theirs})
    assert found == from_settings({**INSIDE, **ours})
    assert found.colour != "bgr" or swaps(found) is bool(theirs.get("swapRB"))
    assert not {"swapRB", "letterbox_value"} & set(to_json(found))


def test_the_example_of_the_docs() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/preprocessing.md").read_text(encoding="utf-8")
    (example,) = [part.partition("```")[0] for part in text.split("```yaml") if "swapRB: true" in part]
    p = from_settings(yaml.safe_load(example)["inputs"]["image"]["preprocess"])
    assert (p.resize, p.fill, p.scale, swaps(p)) == ("letterbox", 114, 1 / 255, True)

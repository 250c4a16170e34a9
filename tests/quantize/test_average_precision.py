"""Mean average precision: as pycocotools 2.0 finds it on the same boxes, and by hand where it is simple."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.average_precision import AveragePrecision
from modelbuild.quantize.found_boxes import found_of

Box = dict[str, Any]


def drawn(seed: int) -> list[tuple[list[Box], list[Box]]]:
    """(there, found) of 30 pictures with three classes, crowds, boxes found twice and nowhere."""
    draw = np.random.default_rng(seed)
    pictures = []
    for _ in range(30):
        there: list[Box] = []
        found: list[Box] = []
        for number in range(3):
            for _ in range(draw.integers(0, 6)):
                (x, y), (w, h) = draw.uniform(0, 80, 2), draw.uniform(5, 40, 2)
                crowd = bool(draw.random() < 0.15)
                there.append({"box": [x, y, x + w, y + h], "class": number, "crowd": crowd})
                for _ in range(draw.integers(0, 3)):
                    off = draw.normal(0, 3, 4)
                    score = float(np.round(draw.random(), 2))
                    box = [x + off[0], y + off[1], x + w + abs(off[2]) + 3, y + h + abs(off[3]) + 3]
                    found.append({"box": box, "score": score, "class": number})
            for _ in range(draw.integers(0, 4)):
                (x, y), (w, h) = draw.uniform(0, 80, 2), draw.uniform(5, 40, 2)
                score = float(np.round(draw.random(), 2))
                found.append({"box": [x, y, x + w, y + h], "score": score, "class": number})
        pictures.append((there, found))
    return pictures


def measured(pictures: list[tuple[list[Box], list[Box]]]) -> dict[str, float]:
    average = AveragePrecision()
    for there, found in pictures:
        average.add(found_of(found, "here"), there)
    return average.to_json()


@pytest.mark.parametrize(
    ("seed", "whole", "half"),  # stats[0] and stats[1] of COCOeval, "bbox"
    [
        (1, 0.02943264, 0.13177155),
        (2, 0.02990806, 0.15732918),
        (3, 0.02420135, 0.12217305),
        (4, 0.03381482, 0.16157066),
    ],
)
def test_as_coco_measures(seed: int, whole: float, half: float) -> None:
    assert measured(drawn(seed)) == pytest.approx({"map": whole, "map50": half}, abs=1e-8)


def box(left: float, **more: Any) -> Box:
    return {"box": [left, 0.0, left + 10.0, 10.0], "class": 0, **more}


@pytest.mark.parametrize(
    ("there", "found", "whole", "half"),
    [
        ([box(0)], [box(0, score=0.5)], 1.0, 1.0),
        ([box(0)], [], 0.0, 0.0),
        ([], [box(0, score=0.5)], 0.0, 0.0),  # nothing that could be found: no class is measured
        ([box(0)], [box(2.5, score=0.5)], 0.3, 1.0),  # 7.5 of 12.5 in common: from .50 to .60
        ([box(0)], [box(0, score=0.4), box(50, score=0.9)], 0.5, 0.5),  # a wrong one before the right one
        ([box(0)], [box(0, score=0.9), box(0, score=0.8)], 1.0, 1.0),  # twice: the second is wrong, too late
        ([box(0), box(50, crowd=True)], [box(0, score=0.4), box(50.4, score=0.9)], 1.0, 1.0),
        ([box(0), box(50, **{"class": 1})], [box(0, score=0.5)], 0.5, 0.5),
    ],
)
def test_by_hand(there: list[Box], found: list[Box], whole: float, half: float) -> None:
    assert measured([(there, found)]) == pytest.approx({"map": whole, "map50": half})


def test_the_hundred_surest_of_a_picture_count() -> None:
    wrong = [box(50, score=0.9) for _ in range(100)]
    assert measured([([box(0)], [*wrong[:99], box(0, score=0.5)])])["map"] > 0.0
    assert measured([([box(0)], [*wrong, box(0, score=0.5)])])["map"] == 0.0


def test_both_forms_of_what_is_found_are_the_same() -> None:
    boxes = [box(0, score=0.5), box(7, score=0.25, **{"class": 0})]
    arrays = {"boxes": np.array([one["box"] for one in boxes]), "scores": [0.5, 0.25]}
    for form in (boxes, arrays, {**arrays, "classes": np.zeros(2)}):
        found = found_of(form, "here")
        assert found.boxes.tolist() == [one["box"] for one in boxes]
        assert found.scores.tolist() == [0.5, 0.25] and found.classes.tolist() == [0, 0]
    assert len(found_of([], "here").boxes) == 0


def test_torchvisions_word_for_classes() -> None:
    """{"boxes", "scores", "labels"}: without it all boxes would be class 0, and precision 0 of any model."""
    arrays = {"boxes": [[0, 0, 10, 10]], "scores": [0.5], "labels": [3]}
    for form in (arrays, [{"box": [0, 0, 10, 10], "score": 0.5, "label": 3}]):
        found = found_of(form, "here")
        assert found.classes.tolist() == [3]
        average = AveragePrecision()
        average.add(found, [box(0, **{"class": 3})])
        assert average.to_json()["map"] == pytest.approx(1.0)


ITEM = {"box": [0, 0, 1, 1], "score": 1}
ONE = {"boxes": [[0, 0, 1, 1]], "scores": [1]}


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (3, "it is a int"),
        ("boxes", "it is a str"),
        ([[0, 0, 1, 1]], "it is a list"),
        ({"boxes": [[0, 0, 1, 1]], "scores": []}, "1 boxes, 0 scores and 1 classes"),
        ({"boxes": [[0, 0, 1]], "scores": [1]}, "the boxes are [1, 3], not [n, 4]"),
        ({"boxes": [[0, 0], [1, 1]], "scores": [1]}, "the boxes are [2, 2], not [n, 4]"),
        ({"boxes": [0, 0, 1, 1], "scores": [1]}, "the boxes are [4], not [n, 4]"),
        ({"scores": [1]}, "the mapping has no `boxes`"),
        ([{"box": [0, 0, 1, 1]}], "item 0 has no `score`"),
        ({**ONE, "class": [0]}, "a key `class` that means nothing here: did you mean `classes`?"),
        ({**ONE, "masks": 1}, "a key `masks` that means nothing here; it may have boxes, scores, classes"),
        ({**ONE, "labels": [1], "classes": [1]}, "both `classes` and `labels`"),
        ([{**ITEM, "clas": 3}], "item 0 has a key `clas` that means nothing here: did you mean `class`?"),
        ([{**ITEM, "class": 3}, ITEM], "item 1 has no `class`, and others have one"),
        ({**ONE, "classes": [0.5]}, "the class of box 0 is 0.5, not a whole number from 0"),
        ({**ONE, "classes": [-1]}, "the class of box 0 is -1, not a whole number from 0"),
        ({**ONE, "classes": [1 << 30]}, "the class of box 0 is 1.07374e+09"),
        ({**ONE, "classes": ["cat"]}, "classes: could not convert string"),
        ({**ONE, "classes": []}, "1 boxes, 1 scores and 0 classes"),
        ({**ONE, "scores": [10**400]}, "scores: "),
        ([{"box": [0, 0, 1, float("nan")], "score": 1}], "NaN"),
    ],
)
def test_what_is_no_boxes(result: Any, why: str) -> None:
    with pytest.raises(ModelbuildError, match="what the postprocessing returned are no boxes") as caught:
        found_of(result, "evaluation sample 3")
    assert why in str(caught.value) and "evaluation sample 3" in str(caught.value)
    assert caught.value.exit_code == 2

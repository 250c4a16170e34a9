"""The boxes that a postprocessing function of the user's found in one picture, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError, did_you_mean

Real = NDArray[np.float64]
CLASSES_END = 1 << 30  # as of labels
_FORMS = (
    'it is a list of {"box": [left, top, right, bottom], "score": s, "class": c}, or '
    '{"boxes": [n, 4], "scores": [n], "classes": [n]}, in pixels of the model\'s input'
)
# The keys of both forms: boxes, scores, classes; `labels` is what torchvision calls the classes.
_OF_ARRAYS = ("boxes", "scores", ("classes", "labels"))
_OF_ITEMS = ("box", "score", ("class", "label"))
_Keys = tuple[str, str, tuple[str, str]]


@dataclass(frozen=True)
class Found:
    """The boxes that a model found in one picture: corners [n, 4], scores and classes [n]."""

    boxes: Real
    scores: Real
    classes: NDArray[np.int64]


def found_of(result: Any, where: str) -> Found:
    """What a postprocessing function returned, in either form. Raises (exit 2) for anything else, and for a
    key that is neither form's: a misspelt one would make every box one of class 0."""
    if isinstance(result, Mapping):
        given = _columns(result, where)
    elif isinstance(result, list) and all(isinstance(item, Mapping) for item in result):
        given = _of_items(result, where)
    else:
        raise _no_boxes(where, f"it is a {type(result).__name__}")
    boxes = _corners(given[0], where)
    scores = _numbers(given[1], "scores", where).reshape(-1)
    classes = np.zeros(len(boxes)) if given[2] is None else given[2]
    numbers = _numbers(classes, "classes", where).reshape(-1)
    if not len(boxes) == len(scores) == len(numbers):
        raise _no_boxes(where, f"{len(boxes)} boxes, {len(scores)} scores and {len(numbers)} classes")
    wrong = np.flatnonzero((numbers != np.floor(numbers)) | (numbers < 0) | (numbers >= CLASSES_END))
    if len(wrong):
        why = f"the class of box {wrong[0]} is {numbers[wrong[0]]:g}, not a whole number from 0"
        raise _no_boxes(where, why)
    return Found(boxes, scores, numbers.astype(np.int64))


def _columns(given: Mapping[Any, Any], where: str) -> tuple[Any, Any, Any]:
    """Boxes, scores and classes; None for classes that nobody says."""
    return _picked(given, _OF_ARRAYS, "the mapping", where)


def _of_items(items: Sequence[Mapping[Any, Any]], where: str) -> tuple[Any, Any, Any]:
    rows = [_picked(item, _OF_ITEMS, f"item {index}", where) for index, item in enumerate(items)]
    boxes, scores, classes = ([row[column] for row in rows] for column in range(3))
    without = [index for index, value in enumerate(classes) if value is None]
    if without and len(without) < len(classes):
        raise _no_boxes(where, f"item {without[0]} has no `class`, and others have one")
    return boxes, scores, None if without else classes


def _picked(given: Mapping[Any, Any], keys: _Keys, what: str, where: str) -> tuple[Any, Any, Any]:
    first, second, (name, other) = keys
    known = (first, second, name, other)
    unknown = [key for key in given if key not in known]
    if unknown:
        likely = did_you_mean(str(unknown[0]), known)
        more = f": {likely}" if likely else f"; it may have {', '.join(known[:3])}"
        raise _no_boxes(where, f"{what} has a key `{unknown[0]}` that means nothing here{more}")
    if name in given and other in given:
        raise _no_boxes(where, f"{what} has both `{name}` and `{other}`, which say the same")
    lacking = [key for key in (first, second) if given.get(key) is None]
    if lacking:
        raise _no_boxes(where, f"{what} has no `{lacking[0]}`")
    return given[first], given[second], given.get(name, given.get(other))


def _corners(values: Any, where: str) -> Real:
    """[n, 4]; more axes in front are put together."""
    found = _numbers(values, "boxes", where)
    if found.size and (found.ndim < 2 or found.shape[-1] != 4):
        raise _no_boxes(where, f"the boxes are {list(found.shape)}, not [n, 4]")
    return found.reshape(-1, 4)


def _numbers(values: Any, what: str, where: str) -> Real:
    try:
        found = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _no_boxes(where, f"{what}: {error}") from error
    if not np.isfinite(found).all():
        raise _no_boxes(where, f"{what}: it holds NaN or infinity")
    return found


def _no_boxes(where: str, why: str) -> ModelbuildError:
    what = "what the postprocessing returned are no boxes"
    return ModelbuildError(
        what, where=where, why=why, advice=f"`map` is measured on what it returns: {_FORMS}"
    )

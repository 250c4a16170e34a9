"""Boxes around the things in a picture: as labels files write them, and where they lie in a model's input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from modelbuild.errors import ModelbuildError
from modelbuild.samples import images
from modelbuild.samples.preprocess import Preprocess, scaled_size

# {"box": [left, top, right, bottom], "class": number, "crowd": true}; the last only of boxes that are neither
# right nor wrong to find (COCO's `iscrowd`)
Box = dict[str, Any]
Size = tuple[int, int]  # height, width
_KEYS = frozenset({"box", "class", "crowd"})
_ORIENTATION, _TURNED = 274, frozenset({5, 6, 7, 8})  # EXIF: values that exchange height and width


def box_of(value: Any, where: str) -> Box:
    """A box of a labels file, checked. Raises (exit 2) for what is none."""
    if not isinstance(value, Mapping) or not isinstance(value.get("box"), list):
        raise ModelbuildError(
            f"{_shown(value)} is not a box",
            where=where,
            advice='write {"box": [left, top, right, bottom], "class": 0}, in pixels of the picture',
        )
    unknown = sorted(set(value) - _KEYS)
    if unknown:
        raise ModelbuildError(f"a box has no key `{unknown[0]}`", where=where, why="it has box, class, crowd")
    corners = numbers_of(value["box"], where)
    if len(corners) != 4 or corners[2] < corners[0] or corners[3] < corners[1]:
        raise ModelbuildError(
            f"{_shown(value['box'])} are not the corners of a box",
            where=where,
            why="they are left, top, right and bottom, right and bottom not the smaller ones",
        )
    number, crowd = value.get("class", 0), value.get("crowd", False)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 30:
        raise ModelbuildError(f"the class {_shown(number)} is not a whole number from 0", where=where)
    if not isinstance(crowd, bool):
        raise ModelbuildError(f"`crowd` is {_shown(crowd)}, neither true nor false", where=where)
    return {"box": corners, "class": number, **({"crowd": True} if crowd else {})}


def numbers_of(values: Sequence[Any], where: str) -> list[float]:
    """A list of finite numbers as floats. Raises (exit 2) for anything else in it."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise ModelbuildError(f"{_shown(value)} is not a number", where=where)
    return [float(value) for value in values]


def _is_finite(value: float) -> bool:
    """Whether a float holds it: JSON has whole numbers of any length."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def is_coco(data: Any) -> bool:
    """Whether an object of JSON is a file of COCO's form."""
    return isinstance(data, Mapping) and {"images", "annotations"} <= data.keys()


def from_coco(data: Mapping[str, Any], where: str) -> list[tuple[str, str, list[Box]]]:
    """(where, file name, boxes) of each picture of a file in COCO's form (`instances_val2017.json`). Classes
    are numbered from 0, in the order of the categories' ids, as models put them out."""
    numbers = {number: index for index, number in enumerate(sorted(_ids(data, "categories", where)))}
    boxes: dict[int, list[Box]] = {number: [] for number in _ids(data, "images", where)}
    for index, entry in enumerate(_entries(data, "annotations", where)):
        at = f"{where}[annotations][{index}]"
        category, picture = (_whole(entry, key, at) for key in ("category_id", "image_id"))
        if category not in numbers or picture not in boxes:
            lacking = "categories" if category not in numbers else "images"
            raise ModelbuildError(f"the entry is of none of the file's `{lacking}`", where=at)
        given = entry.get("bbox")
        corners = numbers_of(given, at) if isinstance(given, list) else []
        if len(corners) != 4 or corners[2] < 0 or corners[3] < 0:
            raise ModelbuildError(f"the `bbox` {_shown(given)} is not left, top, width, height", where=at)
        left, top, width, height = corners
        crowd = {"crowd": True} if entry.get("iscrowd") == 1 else {}
        box = {"box": [left, top, left + width, top + height], "class": numbers[category], **crowd}
        boxes[picture].append(box)
    rows = []
    for index, entry in enumerate(_entries(data, "images", where)):
        name, at = entry.get("file_name"), f"{where}[images][{index}]"
        if not isinstance(name, str):
            raise ModelbuildError("a picture has no `file_name`", where=at)
        rows.append((at, PurePosixPath(name).as_posix(), boxes[_whole(entry, "id", at)]))
    return rows


def _entries(data: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    entries = data.get(key)
    if not isinstance(entries, list) or any(not isinstance(entry, Mapping) for entry in entries):
        raise ModelbuildError(f"`{key}` is not a list of objects", where=where)
    return entries


def _ids(data: Mapping[str, Any], key: str, where: str) -> list[int]:
    found = [_whole(entry, "id", f"{where}[{key}]") for entry in _entries(data, key, where)]
    if len(set(found)) < len(found):
        raise ModelbuildError(f"two of the `{key}` have one id", where=where)
    return found


def _whole(entry: Mapping[str, Any], key: str, where: str) -> int:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ModelbuildError(f"`{key}` is {_shown(value)}, not a whole number", where=where)
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def picture_size(path: Path) -> Size:
    """Height and width of a picture, upright as its EXIF says, from its header alone."""
    try:
        with Image.open(path, formats=images.FORMATS) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except OSError as error:
        raise ModelbuildError("cannot read the picture", where=str(path), why=str(error)) from error
    return (width, height) if turned else (height, width)


def placed(boxes: Sequence[Box], size: Size, p: Preprocess, wanted: Size) -> list[Box]:
    """The boxes of a picture of `size` in pixels of the input of the size `wanted` that `p` makes of it."""
    if size == wanted:
        return list(boxes)
    rows, columns = scaled_size(p, size, wanted)
    if p.resize == "crop":
        top, left = -(abs(wanted[0] - rows) // 2), -(abs(wanted[1] - columns) // 2)
    else:
        top, left = abs(wanted[0] - rows) // 2, abs(wanted[1] - columns) // 2
    down, across = rows / size[0], columns / size[1]
    moved = []
    for box in boxes:
        x0, y0, x1, y1 = box["box"]
        corners = [x0 * across + left, y0 * down + top, x1 * across + left, y1 * down + top]
        moved.append({**box, "box": corners})
    return moved

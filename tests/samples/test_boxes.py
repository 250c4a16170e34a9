"""Boxes and numbers as labels: our form and COCO's, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from modelbuild.errors import ModelbuildError
from modelbuild.samples.boxes import picture_size
from modelbuild.samples.labels import BOXES, CLASSES, NUMBERS, kind_of, read_labels

BOX = {"box": [1, 2, 3, 4], "class": 5}
READ = {"box": [1.0, 2.0, 3.0, 4.0], "class": 5}
COCO: dict[str, Any] = {
    "info": {},
    "images": [
        {"id": 9, "file_name": "b.png"},
        {"id": 4, "file_name": "a.png"},
        {"id": 5, "file_name": "z.png"},
    ],
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 3, "name": "car"}],
    "annotations": [
        {"image_id": 4, "category_id": 90, "bbox": [10, 20, 5, 6], "iscrowd": 0},
        {"image_id": 4, "category_id": 3, "bbox": [0.5, 0, 1, 2], "iscrowd": 1},
        {"image_id": 5, "category_id": 3, "bbox": [0, 0, 1, 2]},
    ],
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [tmp_path / "d" / name for name in ("a.png", "b.png")]


def read(tmp_path: Path, files: list[Path], data: Any) -> Any:
    path = tmp_path / "labels.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return read_labels(path, files)


def test_lists_of_boxes(tmp_path: Path, files: list[Path]) -> None:
    crowd = {"box": [0, 0, 1, 1], "crowd": True}
    labels = read(tmp_path, files, {"d/b.png": [], "d/a.png": [BOX, crowd]})
    assert labels == [[READ, {"box": [0.0, 0.0, 1.0, 1.0], "class": 0, "crowd": True}], []]
    assert kind_of(labels) == BOXES == kind_of([[], []])
    assert read(tmp_path, files, [[BOX], []]) == [[READ], []]


def test_lists_of_numbers(tmp_path: Path, files: list[Path]) -> None:
    labels = read(tmp_path, files, {"d/a.png": [0.5, 1], "d/b.png": [2, 3]})
    assert labels == [[0.5, 1.0], [2.0, 3.0]] and kind_of(labels) == NUMBERS
    assert kind_of([1, 2]) == CLASSES


def test_the_form_of_coco(tmp_path: Path, files: list[Path]) -> None:
    first, second = read(tmp_path, files, COCO)
    assert first == [
        {"box": [10.0, 20.0, 15.0, 26.0], "class": 1},
        {"box": [0.5, 0.0, 1.5, 2.0], "class": 0, "crowd": True},
    ]
    assert second == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"d/a.png": [BOX], "d/b.png": 3}, "of different kinds"),
        ({"d/a.png": [BOX], "d/b.png": [1.0]}, "of different kinds"),
        ({"d/a.png": [], "d/b.png": 3}, "of different kinds"),
        ({"d/a.png": [{"box": [3, 0, 1, 1]}], "d/b.png": []}, "not the corners of a box"),
        ({"d/a.png": [{"box": [3, 0, 1]}], "d/b.png": []}, "not the corners of a box"),
        ({"d/a.png": [{"box": "all"}], "d/b.png": []}, "is not a box"),
        ({"d/a.png": [{"bbox": [1, 2, 3, 4]}], "d/b.png": []}, "is not a box"),
        ({"d/a.png": [{**BOX, "score": 1}], "d/b.png": []}, "no key `score`"),
        ({"d/a.png": [{**BOX, "class": -1}], "d/b.png": []}, "the class -1 is not"),
        ({"d/a.png": [{**BOX, "class": True}], "d/b.png": []}, "the class True is not"),
        ({"d/a.png": [{**BOX, "crowd": 1}], "d/b.png": []}, "neither true nor false"),
        ({"d/a.png": [1, "x"], "d/b.png": [1]}, "'x' is not a number"),
        ('{"d/a.png": [1, NaN], "d/b.png": [1]}', "nan is not a number"),
        ({"d/a.png": [BOX]}, "no label for"),
        ({**COCO, "images": COCO["images"][1:]}, "no label for"),
        ({**COCO, "categories": COCO["categories"][1:]}, "is of none of the file's `categories`"),
        ({**COCO, "images": COCO["images"][:2]}, "is of none of the file's `images`"),
        ({**COCO, "images": [*COCO["images"], COCO["images"][0]]}, "two of the `images` have one id"),
        ({**COCO, "annotations": 3}, "`annotations` is not a list of objects"),
        ({**COCO, "annotations": [{**COCO["annotations"][0], "bbox": [1, 2]}]}, "is not left, top, width"),
        ({**COCO, "annotations": [{**COCO["annotations"][0], "bbox": None}]}, "is not left, top, width"),
        ({**COCO, "annotations": [{"category_id": 3}]}, "`image_id` is None"),
        ({**COCO, "images": [{"id": 1}]}, "is of none of the file's `images`"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, files: list[Path], data: Any, message: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        read(tmp_path, files, data)
    assert message in str(caught.value) and "labels.json" in str(caught.value)
    assert caught.value.exit_code == 2


def test_two_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    files = [tmp_path / "one/a.png", tmp_path / "two/a.png"]
    images = [{"id": 1, "file_name": "one/a.png"}, {"id": 2, "file_name": "two/a.png"}]
    assert read(tmp_path, files, {**COCO, "images": images, "annotations": []}) == [[], []]
    with pytest.raises(ModelbuildError, match="names two files of the set"):
        read(tmp_path, files, {**COCO, "images": [{"id": 1, "file_name": "a.png"}], "annotations": []})


def test_a_picture_is_upright_as_its_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    image.save(tmp_path / "a.png")
    exif = image.getexif()
    exif[274] = 6
    image.save(tmp_path / "b.jpg", exif=exif)
    assert picture_size(tmp_path / "a.png") == (4, 8) and picture_size(tmp_path / "b.jpg") == (8, 4)
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(ModelbuildError, match="cannot read the picture"):
        picture_size(tmp_path / "c.png")

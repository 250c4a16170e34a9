"""Labels in every form, and every way in which they fail to match a set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.samples.labels import read_labels


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [tmp_path / "d" / name for name in ("a b.png", "b.png", "c.png")]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("l.txt", "# classes\n\nd/b.png 1\r\nd/a b.png 0\n  d/c.png\t2  \n"),
        ("l.csv", 'Path,Label\nd/b.png,1\n"d/a b.png",0\nd/c.png,2\n'),
        ("l.csv", "d/c.png,2\nd/b.png,1\nd/a b.png,0"),
        ("l.csv", "\ufeffpath,label\r\nd/c.png,2\r\nd/b.png,1\r\nd/a b.png,0\r\n"),
        ("l.json", json.dumps({"d/b.png": 1, "d/a b.png": 0, "./d/c.png": 2})),
        ("l.json", "[0, 1, 2]"),
    ],
)
def test_every_form_gives_the_labels_in_the_order_of_the_files(
    tmp_path: Path, files: list[Path], name: str, text: str
) -> None:
    assert read_labels(write(tmp_path / name, text), files) == [0, 1, 2]


def test_paths_may_be_relative_to_the_base(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "lists").mkdir()
    labels = write(tmp_path / "lists" / "l.txt", "d/a b.png 4\nd/b.png 5\nd/c.png 6\n")
    assert read_labels(labels, files, tmp_path) == [4, 5, 6]
    with pytest.raises(ModelbuildError, match="not in the sample set"):
        read_labels(labels, files)


def test_a_folder_a_class(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("cat/1.png", "cat/2.png", "Zebra/1.png", "dog/1.png")]
    assert read_labels("folders", files) == [1, 1, 0, 2]
    with pytest.raises(ModelbuildError, match="two folders are called cat"):
        read_labels("folders", [*files, tmp_path / "more" / "cat" / "3.png"])


@pytest.mark.parametrize(
    ("name", "text", "where", "message"),
    [
        ("l.txt", "d/a b.png 0\nd/b.png 1\n", "l.txt", "no label for"),
        ("l.txt", "d/b.png 1\n", "l.txt", "and for 1 more"),
        ("l.txt", "d/a b.png 0\nd/x.png 1\n", "l.txt:2", "d/x.png is not in the sample set"),
        ("l.txt", "d/b.png 0\nd/c.png 1\nd/b.png 0\n", "l.txt:3", "second label"),
        ("l.txt", "d/b.png cat\n", "l.txt:1", "'cat' is not a class number"),
        ("l.txt", "d/b.png -1\n", "l.txt:1", "not a class number"),
        ("l.txt", "d/b.png 99999999999999\n", "l.txt:1", "not a class number"),
        ("l.txt", "d/b.png\n", "l.txt:1", "is not `path label`"),
        ("l.csv", "path,label\nd/b.png,1,2\n", "l.csv:2", "3 columns"),
        ("l.csv", "path,label\nd/b.png,\n", "l.csv:2", "not a class number"),
        ("l.json", "[0, 1]", "l.json", "2 labels for 3 samples"),
        ("l.json", '[0, 1, "x"]', "l.json[2]", "not a class number"),
        ("l.json", "[0, 1, true]", "l.json[2]", "not a class number"),
        ("l.json", '{"d/b.png": 1, "d/b.png": 1}', "l.json", "second label"),
        ("l.json", "3", "l.json", "neither an object nor a list"),
        ("l.json", "[0, ", "l.json", "not readable as JSON"),
        ("l.json", "[" * 100_000, "l.json", "not readable as JSON"),
        ("l.json", "{}", "l.json", "no label for"),
        ("l.txt", "", "l.txt", "no label for"),
        ("l.txt", "version https://git-lfs.github.com/spec/v1\n", "l.txt", "Git LFS pointer"),
    ],
)
def test_what_does_not_match_names_file_and_line(
    tmp_path: Path, files: list[Path], name: str, text: str, where: str, message: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        read_labels(write(tmp_path / name, text), files)
    (problem,) = caught.value.problems
    assert message in problem.what and problem.where.startswith(str(tmp_path / where))
    assert caught.value.exit_code == 2


def test_files_that_are_no_text(tmp_path: Path, files: list[Path]) -> None:
    (tmp_path / "l.txt").write_bytes(b"d/b.png \xff\xfe\n")
    with pytest.raises(ModelbuildError, match="the labels are not text"):
        read_labels(tmp_path / "l.txt", files)
    with pytest.raises(ModelbuildError, match="cannot read the labels"):
        read_labels(tmp_path / "missing.txt", files)


def test_the_shared_lists_of_images(shared_data: Path) -> None:
    folder = shared_data / "images"
    files = sorted((folder / "eval").iterdir())
    labels = read_labels(folder / "eval.txt", files)
    assert len(labels) == 400 and labels[0] == 2


@pytest.mark.parametrize("label", ["[1" + "0" * 400 + "]", '[{"box": [0, 0, 1, 1' + "0" * 400 + "]}]"])
def test_a_number_that_no_float_holds_is_told(tmp_path: Path, label: str) -> None:
    (tmp_path / "l.json").write_text(f"[{label}]", encoding="utf-8")
    with pytest.raises(ModelbuildError, match="is not a number") as caught:
        read_labels(tmp_path / "l.json", [tmp_path / "a.png"])
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["[" * 600 + "]" * 600, '{"a.png": ' + "[" * 600 + "]" * 600 + "}"])
def test_labels_that_are_nested_deep_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "l.json").write_text(text, encoding="utf-8")
    with pytest.raises(ModelbuildError, match="nested too deep"):
        read_labels(tmp_path / "l.json", [tmp_path / "a.png"])

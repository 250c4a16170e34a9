"""`run`: what came out, in words."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modelbuild.artifacts.running import RunResult
from modelbuild.cli.run import _text
from tests.cli.conftest import Command
from tests.cli.exported_model import SHAPE, numbers


def test_one_sample_is_ranked(small: Path, command: Command) -> None:
    said = command(small, "run", "small@nef", "--input", "data/0.npy", "--level", "float")
    assert said.code == 0, said.err
    with_numbers = command(small, "run", "small@nef", "--input", "data/0.npy", "--level", "float", "--json")
    (summary,) = with_numbers.json["outputs"]
    first, second, third = said.lines
    assert first.startswith("float form, ") and first.endswith(" ms on this machine")
    assert second == f"scores [1, 5] float32: {summary['min']:.6g} to {summary['max']:.6g}"
    ranked = [float(entry.split("] ")[1]) for entry in third.split("largest: ")[1].split(", ")]
    assert len(ranked) == 5 and ranked == sorted(ranked, reverse=True)
    assert ranked[0] == float(f"{summary['max']:.6g}")


def test_several_samples_are_counted(small: Path, command: Command) -> None:
    said = command(small, "run", "small@nef", "--input", "integers")
    assert said.lines[0].startswith("fixed form, 8 samples, ")
    assert said.lines[1].startswith("scores [8, 1, 5] float32: ") and len(said.lines) == 2


@pytest.mark.parametrize("level", ["float", "fixed", "hardware"])
def test_the_form_is_named(small: Path, command: Command, level: str) -> None:
    said = command(small, "run", "small@nef", "--input", "data/1.npy", "--level", level)
    assert said.code == 0 and said.lines[0].startswith(f"{level} form, ")


def test_a_model_of_the_manifest_is_told_from_a_file(small: Path, command: Command) -> None:
    said = command(small, "run", "small", "--input", "data/1.npy")
    assert said.code == 2 and "there is no file small" in said.err
    assert "do:  name small@nef or small@mpk or small@old" in said.err
    assert "small is not there" not in said.err


def test_a_batch_that_no_picture_feeds_is_mended_by_convert(tmp_path: Path, command: Command) -> None:
    layer = 'layer {{ name: "{0}" type: "{1}" top: "{0}" {2} }}\n'
    net = layer.format("data", "Input", "input_param { shape: { dim: 64 dim: 1 dim: 8 dim: 8 } }")
    net += layer.format("y", "ReLU", 'bottom: "data"')
    (tmp_path / "net.prototxt").write_text(net, encoding="utf-8")
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x00")
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    said = command(tmp_path, "run", "net.prototxt", "--weights", "net.caffemodel", "--input", "x.png")
    assert said.code == 2
    assert (
        "if the model takes it, run `modelbuild convert net.prototxt --weights net.caffemodel -o OUT.onnx "
        "--input NAME=1,1,8,8` and name OUT.onnx"
    ) in said.err


def shown(values: np.ndarray) -> str:
    """The line of the largest values."""
    return _text(RunResult({"y": values}, 1.0, 1, "fixed")).splitlines()[-1]


def test_the_five_largest_first_and_of_equals_the_lower_index() -> None:
    values = np.array([[0.5, 2.0, -1.0, 2.0, 0.25, 0.125, 7.0]], np.float32)
    assert shown(values) == "  largest: [6] 7, [1] 2, [3] 2, [0] 0.5, [4] 0.25"


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (np.array([-128, 5, -3], np.int8), "  largest: [1] 5, [2] -3, [0] -128"),
        (np.array([0, 5, 3], np.uint8), "  largest: [1] 5, [2] 3, [0] 0"),
    ],
)
def test_raw_integers_are_ranked_as_numbers(values: np.ndarray, line: str) -> None:
    assert shown(values) == line


def test_a_single_number_is_not_ranked() -> None:
    text = _text(RunResult({"y": np.array([3.0], np.float32)}, 12.34, 1, "hardware"))
    assert text.splitlines() == ["hardware form, 12.3 ms on this machine", "y [1] float32: 3 to 3"]


def test_it_says_where_the_outputs_are(folder: Path, command: Command) -> None:
    np.save(folder / "x.npy", numbers(*SHAPE))
    said = command(folder, "run", "net.onnx", "--input", "x.npy", "-o", "y.npz")
    assert said.lines[-1] == "wrote y.npz: the outputs under their names"
    assert list(np.load(folder / "y.npz")) == ["y"]


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("run net.onnx", "add --input [NAME=]FILE"),
        ("run net.onnx --input z=x.npy", "write --input x=FILE"),
        ("run net.onnx --input x.npy --raw", "leave --raw out, or name a .fixed.onnx"),
        ("run net.onnx --input x.npy --level fixed", "leave --level out, or name MODEL@TARGET"),
        ("run net.onnx --input x.npy --no-tail", "leave --no-tail out"),
        ("run net.onnx --input x.npy --model 3", "leave --model out"),
        ("run net.onnx --input x.npy --postprocess none.py:f", "correct the path before the colon"),
        ("run net.onnx --input x.npy --preprocess 'q={mean: 1}'", "write --preprocess 'x={...}'"),
        ("run net.onnx --input x.npy -o none/y.npz", "make it, or name another file"),
        ("compare net.onnx other.onnx --input x.npy", "compare a model with another form of itself"),
        ("compare net.onnx --input x.npy", "name a second file, or MODEL@TARGET"),
        ("compare net.onnx net.onnx --input x.npy --levels float,fixed", "leave --levels out"),
        ("compare net.onnx net.onnx --input x.npy --model 1", "leave it out"),
    ],
)
def test_every_refusal_says_what_to_do(folder: Path, command: Command, words: str, advice: str) -> None:
    np.save(folder / "x.npy", numbers(*SHAPE))
    if "other.onnx" in words:
        cut = ("--cut-outputs", "relu,conv")
        assert command(folder, "convert", "net.onnx", "-o", "other.onnx", *cut).code == 0
    said = command(folder, *shlex.split(words))
    assert said.code == 2 and f"  do:  {advice}" in said.err, said.err


def test_a_slip_in_the_name_of_a_sample_set(small: Path, command: Command) -> None:
    said = command(small, "run", "small@nef", "--input", "intergers")
    assert said.code == 2 and "do:  did you mean `integers`?" in said.err
    said = command(small, "run", "small@nef", "--input", "qqq")
    assert "there is no file and no sample set `qqq`" in said.err and "or a sample set: " in said.err

"""`diff`: exit codes, text and JSON."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from modelbuild.artifacts.differing import diff
from tests.cli.conftest import Command

NEF, OLD, MPK = "dist/all-nef/models_720.sim.nef", "dist/all-old/models_520.sim.nef", "dist/all-mpk"


def test_exit_codes(folder: Path, command: Command) -> None:
    same = command(folder, "diff", "net.onnx", "net.onnx")
    assert (same.code, same.lines[-1][-20:]) == (0, "onnx, the same bytes")
    model = onnx.load(str(folder / "net.onnx"))
    model.producer_name = "another"
    onnx.save(model, str(folder / "other.onnx"))
    other = command(folder, "diff", "net.onnx", "other.onnx")
    assert other.code == 1 and "different" in other.lines[0]
    assert any(line.split()[:1] == ["producer"] and "another" in line for line in other.lines)
    found = command(folder, "diff", "net.onnx", "other.onnx", "--json")
    assert found.code == 1 and found.json == diff(folder / "net.onnx", folder / "other.onnx")
    (folder / "x.txt").write_text("nothing")
    wrong = command(folder, "diff", "net.onnx", "x.txt")
    assert wrong.code == 2 and wrong.out == ""
    assert "x.txt is no kind of file that modelbuild knows" in wrong.err and "compare" not in wrong.err
    missing = command(folder, "diff", "net.onnx", "gone.onnx")
    assert missing.code == 2 and "gone.onnx is not there" in missing.err


def test_own_packages_of_two_chips(small: Path, command: Command) -> None:
    said = command(small, "diff", NEF, OLD, "--json")
    assert said.code == 1
    told = {item["key"]: (item["a"], item["b"]) for item in said.json["metadata"]}
    assert told["chip"] == ("kl720", "kl520")
    (cycles,) = (item for item in said.json["timing"] if item["what"] == "cycles")
    run = command(small, "inspect", NEF, "--json").json["models"][0]["program"]
    assert cycles["a"] > 0 and cycles["b"] > 0 and run["layers"] == 6
    (model,) = said.json["models"]
    assert {layer["name"] for layer in model["layers"]["changed"]}
    weights = {item["name"] for item in said.json["weights"]}
    assert any(name.startswith("model 32768/") and name.count("/") == 1 for name in weights)


def test_weights_that_are_apart(folder: Path, command: Command) -> None:
    said = command(folder, "diff", "net.onnx", "net.onnx", "--weights", "x.h5")
    assert said.code == 2 and "has its weights inside" in said.err
    said = command(folder, "diff", "a", "b", *["--weights", "x"] * 3)
    assert said.code == 2 and "--weights is given 3 times" in said.err


def test_caffe_with_its_weights(shared_data: Path, command: Command) -> None:
    folder = shared_data / "models/caffe/lenet"
    if not folder.is_dir():
        pytest.skip("no Caffe model")
    words = ("diff", "deploy.prototxt", "deploy.prototxt", "--weights", "mnist_lenet.caffemodel")
    said = command(folder, *words, "--json")
    assert said.code == 0 and said.json["weights"] and all(item["equal"] for item in said.json["weights"])


def test_long_lists_are_cut_unless_verbose(small: Path, command: Command) -> None:
    short = command(small, "diff", NEF, OLD)
    assert len(short.lines) < len(command(small, "diff", NEF, OLD, "-v").lines) or "more (-v" not in short.out

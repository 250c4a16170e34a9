"""What `modelbuild convert` refuses, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.cli.exported_model import SHAPE, ops, save


def test_open_sizes_are_told_all_at_once_and_can_be_said(folder: Path, command: Command) -> None:
    save(folder / "open.onnx", ["n", 3, "h", 8])
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx")
    assert said.code == 2 and "--input x=1,3,<?>,8" in said.err
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx", "--input", "x=1,3,9,8")
    assert said.code == 0 and "  input x [1, 3, 9, 8] float32" in said.lines
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx", "--input", "y=1,3,9,8")
    assert said.code == 2 and "`x`" in said.err
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx", "--input", "x=1,3,9")
    assert said.code == 2 and "out.onnx" not in said.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("net.onnx", "-o", "net.onnx"), "is the file that is read"),
        (("./net.onnx", "-o", "sub/../net.onnx"), "is the file that is read"),
        (("net.onnx", "-o", "out.tflite"), "is no name for what is written"),
        (("net.onnx", "-o", "out.fixed.onnx"), "is no name for what is written"),
        (("net.onnx", "-o", "none/out.onnx"), "there is no folder"),
        (("net.onnx", "-o", "other.onnx"), "that modelbuild has not written"),
        (("net.onnx", "-o", "dir.onnx"), "is a folder"),
        (("net.onnx", "-o", "out.onnx", "--weights", "w.caffemodel"), "keeps its weights in the source file"),
        (("gone.onnx", "-o", "out.onnx"), "there is no such file"),
        (("text.onnx", "-o", "out.onnx"), "this is not an ONNX file"),
        (("net.fixed.onnx", "-o", "out.onnx"), "imported and quantized already"),
        (("net.prototxt", "-o", "out.onnx"), "in a file of their own"),
        (("net.onnx", "-o", "out.onnx", "--rename", "x"), "is not OLD=NEW"),
        (("net.onnx", "-o", "out.onnx", "--rename", "r="), "is not OLD=NEW"),
        (("net.onnx", "-o", "out.onnx", "--chip", "kl99"), "kl99"),
        (("net.onnx", "-o", "out.onnx", "--edition", "v0.15.5"), "--chip kl720 --edition v0.15.5"),
        (("net.onnx", "-o", "out.onnx", "--chip", "kl520", "--edition", "v9"), "v0.15.5"),
        (("net.onnx", "-o", "out.onnx", "--skip", "fold_constants"), "cannot be left out"),
        (("net.onnx", "-o", "out.onnx", "--skip", "fold_padd"), "did you mean `fold_pad`?"),
        (("net.onnx", "-o", "out.onnx", "--skip", "gemm_to_conv"), "no pass `gemm_to_conv` runs here"),
        (("net.onnx", "-o", "out.onnx", "--only-import", "--skip", "fold_pad"), "contradict"),
        (("net.onnx", "-o", "out.onnx", "--input", "x=1,3,8,8", "--input", "x=1,3,9,9"), "two shapes"),
        (("net.onnx", "-o", "out.onnx", "--input", "q=1,3,8,8"), "--input q: the model has no input"),
        (("net.onnx", "-o", "out.onnx", "--input", "x=1,3,7,8"), "do:  write --input x=1,3,8,8, or"),
        (("model.pb", "-o", "out.onnx"), "tf2onnx.convert --graphdef model.pb"),
        (("saved", "-o", "out.onnx"), "tf2onnx.convert --saved-model saved"),
        (("model.pth", "-o", "out.onnx"), "torch.onnx.export(model, "),
    ],
)
def test_what_is_refused(folder: Path, command: Command, words: tuple[str, ...], what: str) -> None:
    (folder / "sub").mkdir()
    (folder / "dir.onnx").mkdir()
    (folder / "saved").mkdir()
    for name in (
        "text.onnx",
        "net.fixed.onnx",
        "net.prototxt",
        "model.pb",
        "model.pth",
        "saved/saved_model.pb",
    ):
        (folder / name).write_text("no model at all", encoding="utf-8")
    save(folder / "other.onnx", SHAPE)
    before = (folder / "net.onnx").read_bytes(), (folder / "other.onnx").read_bytes()
    said = command(folder, "convert", *words)
    assert said.code == 2 and what in said.err, said.err
    assert not (folder / "out.onnx").exists()
    assert ((folder / "net.onnx").read_bytes(), (folder / "other.onnx").read_bytes()) == before


def test_force_replaces_what_others_have_written(folder: Path, command: Command) -> None:
    save(folder / "other.onnx", SHAPE)
    assert command(folder, "convert", "net.onnx", "-o", "other.onnx", "--force").code == 0
    assert ops(folder / "other.onnx") == ["Conv", "Relu", "Softmax"]
    assert command(folder, "convert", "net.onnx", "-o", "net.onnx", "--force").code == 2

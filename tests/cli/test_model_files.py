"""Model files whose names promise another format than they hold, on every verb that takes one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from tests.cli.exported_model import SHAPE, numbers, save

VERBS = {
    "convert": ("-o", "out.onnx"),
    "evaluate": ("--chip", "kl720"),
    "run": ("--input", "x.npy"),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["net.tflite", "net.h5", "net.prototxt", "net.bin", "net.pth", "net"])
def test_an_onnx_file_by_another_name(folder: Path, command: Command, verb: str, name: str) -> None:
    (folder / "net.onnx").rename(folder / name)
    np.save(folder / "x.npy", numbers(*SHAPE))
    said = command(folder, verb, name, *VERBS[verb])
    assert said.code == 2, said.out
    assert f"{name} holds a model in onnx, but its name does not say so" in said.err
    assert "do:  name it net.onnx" in said.err


@pytest.mark.parametrize(
    ("content", "right"), [(b"\x1c\0\0\0TFL3" + bytes(64), "net.tflite"), (b"\x89HDF\r\n\x1a\n", "net.h5")]
)
def test_other_formats_called_onnx(folder: Path, command: Command, content: bytes, right: str) -> None:
    (folder / "net.onnx").write_bytes(content)
    for verb, words in VERBS.items():
        said = command(folder, verb, "net.onnx", *words)
        assert said.code == 2 and f"do:  name it {right}" in said.err, (verb, said.err)


def test_what_is_no_model_is_told_how_to_become_one(folder: Path, command: Command) -> None:
    for name, advice in (
        ("net.pb", "tf2onnx.convert"),
        ("net.caffemodel", "net.prototxt --weights net.caff"),
    ):
        (folder / name).write_bytes(b"\x0a\x03net")
        for verb, words in VERBS.items():
            said = command(folder, verb, name, *words)
            assert said.code == 2 and advice in said.err, (verb, said.err)
    (folder / "net.xyz").write_bytes(b"no model")
    said = command(folder, "run", "net.xyz", "--input", "x.npy")
    assert said.code == 2 and "net.xyz is no kind of file that modelbuild knows" in said.err
    for name, form in (("net.nef", "NEF"), ("net.kmodel", "kmodel"), ("net.tar.gz", "MPK")):
        (folder / name).write_bytes(b"half of it")
        for words in (["run", name, "--input", "x.npy"], ["inspect", name]):
            said = command(folder, *words)
            assert said.code == 2 and f"{name} is no {form} file, or only a part of one" in said.err


def test_run_says_how_open_sizes_are_fixed(folder: Path, command: Command) -> None:
    save(folder / "open.onnx", ["n", 3, "h", 8])
    said = command(folder, "run", "open.onnx", "--input", "x.npy")
    advice = "do:  fix it: `modelbuild convert open.onnx -o OUT.onnx --input x=1,3,<h>,8`, and name OUT.onnx"
    assert said.code == 2 and advice in said.err, said.err

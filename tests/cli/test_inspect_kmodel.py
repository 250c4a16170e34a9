"""`inspect --disassemble`: the tree and a listing, or the object with `disassembly`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command
from tests.formats import kmodel_sources as sources


def test_disassemble(tmp_path: Path, command: Command) -> None:
    (tmp_path / "net.kmodel").write_bytes(sources.version5())
    said = command(tmp_path, "inspect", "net.kmodel", "--disassemble")
    assert said.code == 0, said.err
    tree, _, code = said.out.partition("disassembly:\n")
    assert tree.startswith("format: kmodel\n") and "kpu_conv2d" not in tree
    assert "tensor.quantize" in code and "kpu_conv2d" in code
    said = command(tmp_path, "inspect", "net.kmodel", "--disassemble", "--json")
    assert said.json["disassembly"]["shown"] == ["1.9.0"]
    assert "disassembly" not in command(tmp_path, "inspect", "net.kmodel", "--json").json


def test_other_files_are_refused(tmp_path: Path, command: Command) -> None:
    (tmp_path / "net.onnx").write_bytes(b"no model")
    said = command(tmp_path, "inspect", "net.onnx", "--disassemble")
    assert said.code == 2 and "only a kmodel can be disassembled" in said.err

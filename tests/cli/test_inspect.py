"""`modelbuild inspect`: what it exits with."""

from __future__ import annotations

from pathlib import Path

import onnx

from tests.cli.conftest import Command
from tests.project.small_project import write_model


def test_weights_that_are_not_there(tmp_path: Path, command: Command) -> None:
    write_model(tmp_path / "net.onnx", external=True)
    whole = command(tmp_path, "inspect", "net.onnx", "--json")
    assert (whole.code, whole.json["checks"][0]["ok"]) == (0, True)
    (tmp_path / "weights.bin").unlink()
    cut = command(tmp_path, "inspect", "net.onnx", "--json")
    assert (cut.code, cut.json["checks"][0]["ok"]) == (1, False)
    assert cut.json["models"] == [
        whole.json["models"][0]
        | {"external_files": [{"name": "weights.bin", "size": None, "why": "it is not there"}]}
    ]
    said = command(tmp_path, "inspect", "net.onnx")
    assert said.code == 1 and "weights.bin: it is not there" in said.out


def test_what_is_not_ok_is_the_last_line(small: Path, tmp_path: Path, command: Command) -> None:
    data = bytearray((small / "dist/all-nef/models_720.sim.nef").read_bytes())
    whole = command(small, "inspect", "dist/all-nef/models_720.sim.nef")
    assert whole.code == 0 and "not ok" not in whole.out
    data[len(data) // 2] ^= 1
    (tmp_path / "a.nef").write_bytes(bytes(data))
    said = command(tmp_path, "inspect", "a.nef")
    assert said.code == 1 and said.lines[-1].startswith("not ok: ")
    assert "checksums (" in said.lines[-1] and "file" in said.lines[-1]
    page = command(tmp_path, "inspect", "a.nef", "--html", "a.html")
    assert page.code == 1 and said.lines[-1] in (tmp_path / "a.html").read_text().replace("&#34;", '"')


def test_weights_that_cannot_be_there(tmp_path: Path, command: Command) -> None:
    write_model(tmp_path / "net.onnx")
    model = onnx.load(str(tmp_path / "net.onnx"))
    name = model.graph.initializer[0].name
    model.graph.initializer[0].dims[0] = -4
    onnx.save(model, str(tmp_path / "net.onnx"))
    said = command(tmp_path, "inspect", "net.onnx")
    assert said.code == 1 and f"{name}: no shape is [-4" in said.out
    assert said.lines[-1] == "not ok: 1 of 1 checks (weights have the bytes that their shapes ask for)"
    assert "checksums: none" in said.lines

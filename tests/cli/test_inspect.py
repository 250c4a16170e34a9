"""`modelbuild inspect`: what it exits with."""

from __future__ import annotations

from pathlib import Path

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

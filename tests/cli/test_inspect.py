"""`modelbuild inspect`: what it exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

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


def test_quiet_shows_what_is_not_ok_alone(small: Path, tmp_path: Path, command: Command) -> None:
    data = bytearray((small / "dist/all-nef/models_720.sim.nef").read_bytes())
    whole = command(small, "inspect", "-q", "dist/all-nef/models_720.sim.nef")
    assert (whole.code, whole.out) == (0, "")
    data[len(data) // 2] ^= 1
    (tmp_path / "a.nef").write_bytes(bytes(data))
    said = command(tmp_path, "inspect", "a.nef", "-q")
    sums = command(tmp_path, "inspect", "a.nef", "--json").json["checksums"]
    bad = [item["what"] for item in sums if not item["ok"]]
    assert said.code == 1 and said.lines[0] == "checksums:" and said.lines[-1].startswith("not ok: 4 of 5")
    assert [line.split("  ")[1] for line in said.lines[1:-1]] == ["what", *bad]


def test_nodes_that_are_asked_for_are_shown_when_quiet(tmp_path: Path, command: Command) -> None:
    write_model(tmp_path / "net.onnx")
    said = command(tmp_path, "inspect", "-q", "--nodes", "net.onnx")
    assert said.code == 0 and said.lines[0].startswith("node list:") and len(said.lines) > 2


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", ""),
        ("inspect", "a.keras", "--weights", " "),
        ("diff", "a", ""),
        ("nef", "combine", "", "-o", "b"),
        ("nef", "extract", ""),
    ],
)
def test_a_file_without_a_name(words: tuple[str, ...], tmp_path: Path, command: Command) -> None:
    said = command(tmp_path, *words)
    assert (said.code, said.err) == (
        2,
        "error: a FILE is empty\n  why: it was given without a name\n  do:  name a file\n",
    )


def test_names_that_are_no_utf_8(tmp_path: Path) -> None:
    """In messages each byte is shown; JSON stays JSON, and gives the name back."""
    name = os.fsencode(tmp_path) + b"/\xff\xe9.nef"
    words = [sys.executable, "-m", "modelbuild", "inspect", name]
    said = subprocess.run(words, capture_output=True, check=False)
    assert said.returncode == 2 and b"\\xff\\xe9.nef is not there" in said.stderr
    told = subprocess.run([*words, "--json"], capture_output=True, check=False)
    (problem,) = json.loads(told.stdout)["error"]["problems"]
    assert os.fsencode(problem["what"]).startswith(b"\xff\xe9.nef is not there")


def test_who_reads_no_more_of_an_error_sees_no_traceback(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "modelbuild", "inspect", "--json", str(tmp_path / "a")]
    said = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert said.returncode == 141 and b"Traceback" not in said.stderr

"""`check`: findings, nodes a unit, ranges of inputs, and the exit code."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command, edit


def test_nothing_wrong(small: Path, command: Command) -> None:
    said = command(small, "check", "small@nef")
    assert said.code == 0
    assert said.lines == ["small@nef: 6 npu, 1 fused", "no errors"]
    data = command(small, "check", "small@nef", "--json").json
    assert data["ok"] is True and data["findings"] == []
    assert sorted(data["units"]["small@nef"].values()) == ["fused", *["npu"] * 6]


def test_the_range_that_preprocessing_makes(copied: Path, command: Command) -> None:
    edit(
        copied, "source: small.onnx", "source: small.onnx, inputs: {image: {preprocess: {std: [1, 255, 2]}}}"
    )
    said = command(copied, "check", "small@old")
    assert "small: preprocessing makes image 0 to 255, 0 to 1, 0 to 127.5" in said.lines
    ranges = command(copied, "check", "small@old", "--json").json["ranges"]
    assert ranges == {"small": {"image": [[0.0, 255.0], [0.0, 1.0], [0.0, 127.5]]}}


def test_a_warning_fails_nothing_and_an_error_does(copied: Path, command: Command) -> None:
    (copied / "small.onnx").write_bytes(b"broken")
    said = command(copied, "check")
    assert said.code == 2 and said.lines[-1] == "1 error"
    first = said.lines[0]
    assert "error MB100: " in first and "not an ONNX file" in first
    data = command(copied, "check", "--json").json
    assert data["ok"] is False
    (finding,) = data["findings"]
    assert (finding["severity"], finding["code"], finding["model"]) == ("error", "MB100", "small")


def test_with_q_errors_alone(copied: Path, command: Command) -> None:
    assert command(copied, "check", "-q").out == ""
    (copied / "small.onnx").write_bytes(b"broken")
    said = command(copied, "check", "-q")
    assert "not an ONNX file" in said.out and "1 error" not in said.out

"""`check`: findings, nodes a unit, ranges of inputs, and the exit code."""

from __future__ import annotations

from pathlib import Path

import onnx

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


def test_a_selector_takes_the_ranges_of_others_away(copied: Path, command: Command) -> None:
    first = "small: {source: small.onnx"
    other = "other: {source: small.onnx, inputs: {image: {preprocess: {std: 128}}}}"
    edit(copied, first, f"{other}\n  {first}, inputs: {{image: {{preprocess: {{std: 255}}}}}}")
    said = command(copied, "check", "small@old")
    assert said.code == 0, said.out + said.err
    assert [line for line in said.lines if "preprocessing makes" in line] == [
        "small: preprocessing makes image 0 to 1"
    ]


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


def test_nodes_of_which_the_same_is_found_are_told_once(copied: Path, command: Command) -> None:
    model = onnx.load(copied / "small.onnx")
    end = model.graph.output[0].name
    for name in ("first", "second", "third"):
        model.graph.node.append(onnx.helper.make_node("Sin", [end], [f"{name}_out"], name=name))
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(f"{name}_out", onnx.TensorProto.FLOAT, None)
        )
    onnx.save(model, copied / "small.onnx")
    words = ("check", "small@nef")
    data = command(copied, *words, "--json").json
    assert [finding["node"] for finding in data["findings"]] == ["first", "second", "third"]
    told = [line for line in command(copied, *words).lines if "Sin" in line]
    assert len(told) == 1 and "`first`, `second`, `third` (3 nodes)" in told[0]
    assert len([line for line in command(copied, *words, "-v").lines if "MB101" in line]) == 3

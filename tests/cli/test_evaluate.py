"""`evaluate`: speed in words, and the layers as a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from modelbuild.cli.evaluate import _text
from tests.cli.conftest import Command

FOUND: dict[str, Any] = {
    "model": "net",
    "chip": "kl720",
    "fps": 123.456,
    "confidence": "guess",
    "total_ms": 8.1,
    "time_ms": 6.0,
    "cpu_time_ms": 2.1,
    "macs": 12_340_000,
    "cycles": 4200,
    "cpu_nodes": [{"op": "Softmax", "name": "last", "reason": "not on the NPU", "time_ms": 2.1}],
    "unsupported": [{"op": "Det", "name": "d", "reason": "no unit of kl720 runs Det"}],
    "layers": [
        {"name": "stem", "unit": "npu", "macs": 99, "cycles": 7, "time_ms": 0.01234567, "bound": "compute"}
    ],
}


def test_what_is_said_of_one_model() -> None:
    lines = _text(FOUND, layers=False).splitlines()
    assert lines == [
        "net on kl720: 123.5 fps, confidence guess",
        "  8.1 ms: NPU 6 ms, CPU 2.1 ms",
        "  12.34 million MACs, 4200 cycles",
        "  on the CPU: Softmax last: not on the NPU, 2.1 ms",
        "  nothing runs Det d: no unit of kl720 runs Det; the time is without it",
    ]
    assert _text(FOUND, layers=True).splitlines()[-1].split() == [
        *("stem", "npu", "99", "7", "0.01235", "compute")
    ]


def test_what_is_not_known_is_not_a_number() -> None:
    unknown = {**FOUND, "fps": None, "total_ms": None, "cpu_time_ms": None}
    text = _text(unknown, layers=False)
    assert "net on kl720: not available fps" in text
    assert "  not available ms: NPU 6 ms, CPU not available ms" in text


def test_a_selection_has_a_paragraph_each(small: Path, command: Command) -> None:
    said = command(small, "evaluate")
    paragraphs = said.out.strip().split("\n\n")
    assert [text.split(":")[0] for text in paragraphs] == [
        "small on kl720",
        "small on modalix",
        "small on kl520",
    ]
    one = command(small, "evaluate", "small@old", "--json").json
    assert one["chip"] == "kl520" and one["model"] == "small"
    listed = command(small, "evaluate", "--json").json["models"]
    assert [item["chip"] for item in listed] == ["kl720", "modalix", "kl520"] and one in listed


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("small.onnx",), "which chip?"),
        (("small@nef", "--clock", "1e6"), "go with --chip"),
        (("a.onnx", "b.onnx", "--chip", "kl720"), "--chip takes one model file"),
        (("small.onnx", "--chip", "kl720", "--input", "image=1,x"), "`image=1,x` is not a shape"),
    ],
)
def test_wrong_words(small: Path, command: Command, words: tuple[str, ...], says: str) -> None:
    said = command(small, "evaluate", *words)
    assert said.code == 2 and says in said.err and said.out == ""


def test_open_inputs_are_told_at_once_with_the_option_that_closes_them(
    copied: Path, command: Command
) -> None:
    path = copied / "open.onnx"
    kind = onnx.TensorProto.FLOAT
    ports: dict[str, list[str | int | None]] = {"a": ["batch", 3, 8, 8], "b": [1, 3, "rows", 8]}
    node = onnx.helper.make_node("Add", ["a", "b"], ["c"])
    graph = onnx.helper.make_graph(
        [node],
        "open",
        [onnx.helper.make_tensor_value_info(name, kind, shape) for name, shape in ports.items()],
        [onnx.helper.make_tensor_value_info("c", kind, None)],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)
    said = command(copied, "evaluate", "open.onnx", "--chip", "kl720")
    assert said.code == 2 and "`a`: [batch, 3, 8, 8], `b`: [1, 3, rows, 8]" in said.err
    assert "do:  say them: --input a=1,3,8,8 --input b=1,3,<?>,8" in said.err
    assert "models.yaml" not in said.err
    words = ["--input", "a=1,3,8,8", "--input", "b=1,3,8,8"]
    assert command(copied, "evaluate", "open.onnx", "--chip", "kl720", *words).code == 0


def test_another_edition_of_the_operator_table(tmp_path: Path, command: Command) -> None:
    weight = onnx.numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.float32), "w")
    ports = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in (("x", [1, 3, 27, 27]), ("y", [1, 4, 9, 9]))
    ]
    nodes = [onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="c", strides=[3, 3], pads=[1] * 4)]
    graph = onnx.helper.make_graph(nodes, "net", ports[:1], ports[1:], [weight])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "net.onnx")
    words = ("evaluate", "net.onnx", "--chip", "kl520")
    assert command(tmp_path, *words, "--json").json["unsupported"] == []
    (node,) = command(tmp_path, *words, "--edition", "v0.15.5", "--json").json["unsupported"]
    assert node["name"] == "c" and "stride 3 is not 1 or 2 or 4" in node["reason"]
    text = command(tmp_path, *words, "--edition", "v0.15.5")
    assert text.code == 0 and "  nothing runs Conv c: stride 3 is not 1 or 2 or 4 on kl520" in text.out
    said = command(tmp_path, *words, "--edition", "v9")
    assert said.code == 2 and "kl520 has no edition `v9`" in said.err
    said = command(tmp_path, "evaluate", "net", "--edition", "v9")
    assert said.code == 2 and "go with --chip" in said.err

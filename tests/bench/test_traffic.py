"""The bench of traffic: what a plan moves, beside what it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from bench import traffic


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Two convolutions with a residual between them."""
    weights = {name: np.zeros((8, 8, 3, 3), np.float32) for name in ("v", "w")}
    nodes = [
        helper.make_node("Conv", ["x", "v"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["a", "w"], ["b"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 16, 16]) for name in "xy"]
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    made = helper.make_graph(nodes, "small", ports[:1], ports[1:], held)
    opsets = [helper.make_opsetid("", 17)]
    save(helper.make_model(made, opset_imports=opsets, ir_version=8), tmp_path / "small.onnx")
    return tmp_path


def rows(text: str) -> list[list[str]]:
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(("most", "code"), [("1.6", 0), ("0.1", 1)])
def test_the_table(zoo: Path, most: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    written = zoo / "table.md"
    words = ["--zoo", str(zoo), "--chips", "kl720", "--default", most, "--output", str(written)]
    assert traffic.main(words) == code
    text = capsys.readouterr().out
    assert written.read_text(encoding="utf-8") == text
    found = rows(text)
    assert tuple(found[0]) == traffic.HEAD
    assert found[2][:7] == ["small", "0.01", "1.00", "0.57", "1.00", "1.00", "maps"]
    assert 0 < float(found[2][8]) <= 1


def test_a_summary_has_a_row_for_each_chip(zoo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert traffic.main(["--zoo", str(zoo), "--summary", "--chips", "kl520", "modalix"]) == 0
    text = capsys.readouterr().out
    head, _, kl520, modalix = rows(text)
    assert tuple(head) == traffic.SUMMARY
    assert kl520[:8] == ["kl520", "512", "1", "1", "1.00", "1.00", "1.00", "0.57"]
    assert modalix[:4] == ["modalix", "35,840", "1", "1"]
    assert "predicted to take longer in 0 of all" in text


def made(**fields: object) -> traffic.Measured:
    given = {"least": 100, "of_groups": 100, "default": 100, "deep": 100, "bound": 100, "allows": "maps"}
    return traffic.Measured(**{**given, "actions": (1, 1), "cycles": (100, 100), **fields})  # type: ignore[arg-type]


def test_what_is_too_much() -> None:
    assert not made(default=160, deep=125).fails(1.6, 1.25)
    assert made(default=161).fails(1.6, 1.25) and made(deep=126).fails(1.6, 1.25)
    assert not made(deep=126, allows="").fails(1.6, 1.25)
    assert made(cycles=(100, 101)).fails(1.6, 1.25) and not made(cycles=(100, 99)).fails(1.6, 1.25)


def test_the_summary_has_the_largest_ratios() -> None:
    found = [
        made(deep=120, default=300, cycles=(100, 50)),
        made(deep=400, default=900, allows="", of_groups=1000),
    ]
    assert traffic._summary(found) == ("2", "1", "1.20", "4.00", "3.00", "3.00", "0.50 to 1.00")


def test_nothing_measured_is_an_error(zoo: Path) -> None:
    assert traffic.main(["--zoo", str(zoo), "--chips", "kl720", "--names", "none"]) == 1

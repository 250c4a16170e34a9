"""The bench of memory: a row for each model, and an error where a plan is larger than allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from bench import memory_plan
from modelbuild.chips.load import load_recipe
from modelbuild.npu.planning.allocate import Lifetime
from modelbuild.npu.rates import limits_of


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Two branches of 64 bytes a tensor, joined; and a file that is no model."""
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("HardSwish", ["b"], ["c"]),
        helper.make_node("Add", ["a", "c"], ["d"]),
        helper.make_node("Sigmoid", ["d"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 4, 4]) for name in "xy"]
    made = helper.make_graph(nodes, "small", ports[:1], ports[1:])
    file = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(file, tmp_path / "small.onnx")
    (tmp_path / "wrong.onnx").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(("most", "code"), [("1.02", 0), ("0.99", 1)])
def test_the_table(models: Path, most: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    written = models / "table.md"
    words = ["--models", str(models), "--chips", "kl730", "modalix", "--most", most, "--output", str(written)]
    assert memory_plan.main(words) == code
    text = capsys.readouterr().out
    assert written.read_text(encoding="utf-8") == text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert tuple(rows[0]) == memory_plan.HEAD
    assert rows[2:] == [
        ["small, all", "1", "64", "64", "1.000", "64", "1.000", "64", "1.000", "1.500", "1.000", "0", "1.000"]
    ]
    assert "wrong does not compile for kl730, modalix: " in text


def test_nothing_measured_is_an_error(models: Path) -> None:
    assert memory_plan.main(["--models", str(models), "--names", "wrong"]) == 1


def test_first_fit_takes_the_lowest_place() -> None:
    buffers = [Lifetime(32, 0, 1), Lifetime(16, 0, 3), Lifetime(16, 2, 3), Lifetime(32, 3, 4)]
    assert memory_plan.first_fit(buffers) == 80
    assert memory_plan.first_fit([]) == 0


@pytest.mark.parametrize("chip", ["kl520", "kl730"])
def test_a_real_model_that_no_greedy_order_fits(chip: str, shared_data: Path) -> None:
    recipe = load_recipe(chip)
    model = memory_plan.compiled(shared_data / "models/onnx/ppocr_cls_v2.onnx", recipe)
    found = memory_plan.measured(model, limits_of(recipe.hardware))
    assert (found.bound, found.ours, found.first_fit) == (83152, 83152, 121344)

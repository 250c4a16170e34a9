"""The bench of traffic: what a plan moves, beside what it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from bench import traffic
from modelbuild.npu.planning.cutting import Limits
from modelbuild.npu.planning.grouping import bundles
from modelbuild.npu.planning.views import share
from tests.npu.small_models import Maker


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


@pytest.mark.parametrize(("most", "code"), [("1.6", 0), ("0.1", 1)])
def test_the_table(zoo: Path, most: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    written = zoo / "table.md"
    words = ["--zoo", str(zoo), "--chips", "kl720", "--default", most, "--output", str(written)]
    assert traffic.main(words) == code
    text = capsys.readouterr().out
    assert written.read_text(encoding="utf-8") == text
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert tuple(rows[0]) == traffic.HEAD
    assert rows[2][:7] == ["small", "0.01", "1.00", "0.57", "1.00", "1.00", "maps"]


def test_nothing_measured_is_an_error(zoo: Path) -> None:
    assert traffic.main(["--zoo", str(zoo), "--chips", "kl720", "--names", "none"]) == 1


def test_a_certificate_and_a_bound() -> None:
    maker = Maker(x=(1, 4, 32, 16))
    maker.conv("a", "x", 32, 3, 1, 1)
    maker.conv("b", "a", 32, 3, 1, 1)
    maker.conv("y", "b", 2, 3, 1, 1)
    model = maker.model("y")
    groups = bundles(model, share(model))
    found = [
        (traffic.certificate(model, groups, limits), traffic.unavoidable(model, groups, limits))
        for limits in (Limits(1 << 16, tile_bytes=1024), Limits(22_000, tile_bytes=1024), Limits(8_000))
    ]
    assert found == [("maps", 0), ("rows", 0), ("", 32 * (32 * 9 + 9) - 8_000)]

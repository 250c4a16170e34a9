"""The bench of evaluate's time: a row for each network, and an error where one takes longer than allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from bench import evaluate_time
from bench.measure import Run


@pytest.mark.parametrize(("most", "code"), [("1000", 0), ("0.001", 1)])
def test_the_table(tmp_path: Path, most: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4, 4, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Sigmoid", ["x"], ["y"])], "small", ports[:1], ports[1:])
    opset = [helper.make_opsetid("", 17)]
    save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "small.onnx")
    words = ["--models", str(tmp_path), "--chips", "kl720", "--runs", "1", "--most", most]
    assert evaluate_time.main([*words, "--output", str(tmp_path / "table.md")]) == code
    text = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == text
    (row,) = [line for line in text.splitlines() if line.startswith("| small")]
    assert row.endswith(f"| {float(most):.1f} |")
    assert ("small takes too long" in text) == bool(code)


def test_medians_of_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([(9.0, 0.5), (2.0, 0.9), (3.0, 0.7), (1.0, 2.5), (1.5, 2.1), (9.0, 0.1)])
    monkeypatch.setattr(evaluate_time, "_evaluate", lambda *_: Run(*_spread(next(times))))
    (tmp_path / "net.onnx").write_bytes(b"")
    assert evaluate_time.main(["--models", str(tmp_path), "--chips", "kl520", "kl720", "--runs", "3"]) == 1
    text = capsys.readouterr().out
    assert "| net | 3.00 (0.70) | 1.50 (2.10) | 2.0 |" in text and "median of 3, tiling default" in text
    assert "net takes too long" in text


def _spread(times: tuple[float, float]) -> tuple[float, float, float]:
    """The wall's, a peak of memory, the processor's."""
    return times[0], 1.0, times[1]

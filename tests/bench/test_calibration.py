"""The bench of calibration: samples as many as asked for, what is beyond a bound, what a change runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from bench import calibration
from bench.calibration import Line
from bench.measure import Command, Run
from bench.quantizers import measured

DECLARED = """\
models:
  small:
    file: small.onnx
    input: {name: x, shape: [1, 3, 4, 4], preprocess: {}}
    calibration: [{files: few/*.npy}]
    evaluation: [{files: more/*.npy}]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.Generator(np.random.PCG64(5))
    for name, count in (("few", 3), ("more", 4)):
        (folder / name).mkdir()
        for index in range(count):
            np.save(folder / name / f"{index}.npy", draw.normal(size=(1, 3, 4, 4)).astype(np.float32))
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 4, 4])],
        [numpy_helper.from_array(draw.normal(size=(2, 3, 1, 1)).astype(np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, folder / "small.onnx")
    (folder / "models.yaml").write_text(DECLARED, encoding="utf-8")
    return folder


def test_tables_of_ours_alone(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "OURS", {"ours": ({}, "nobody")})
    monkeypatch.setattr(calibration, "CHANGES", {"mse": {"range": {"method": "mse"}}})
    monkeypatch.setattr(calibration, "MOST_SECONDS", 1e9)
    monkeypatch.setattr(calibration, "MOST_MB", 1e9)
    words = ["--declaration", str(data / "models.yaml"), "--models", str(data), "--network", "small"]
    words += ["--samples", "9", "--runs", "1", "--no-peers"]
    assert calibration.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    ours = next(row for row in rows if row[0] == "ours")
    assert ours[1] == "9" and float(ours[2]) > 0 and float(ours[3]) > 30 and ours[4] == ""
    change = next(row for row in rows if row[0] == "mse")
    assert change[1] == "quantize"
    assert 0 < float(change[2]) < float(change[3])


def test_what_is_beyond_a_bound_is_said() -> None:
    ours = "modelbuild, min-max"
    lines = [
        Line("onnxruntime MinMax", 64, Run(2.0, 900)),
        Line(ours, 64, Run(3.0, 300), 1.5),
        Line(ours, 512, Run(31.0, 401), 1.55),
    ]
    assert calibration._beyond(lines) == [
        f"{ours}, 512 samples: 401 MB of 400",
        f"{ours}, 512 samples: 1.34 times the memory of few samples",
        f"{ours}, 512 samples: 1.55 times onnxruntime MinMax, of 1.5",
    ]
    assert calibration._beyond(lines[:2]) == []


def test_a_network_that_is_not_declared(data: Path) -> None:
    words = ["--declaration", str(data / "models.yaml"), "--models", str(data), "--network", "large"]
    assert calibration.main(words) == 2


def test_memory_is_that_of_the_largest_action_whichever_came_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's peak begins anew with each action: at the end the kernel knows of the last one."""
    events = [
        {"event": "action_started", "stage": "observe"},
        {"event": "action_finished", "stage": "observe", "peak_bytes": 300 << 20},
        {"event": "action_finished", "stage": "apply", "peak_bytes": 100 << 20},
        {"event": "action_finished", "stage": "check", "peak_bytes": None},
    ]
    (tmp_path / "events").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
    assert measured.stage_peaks(tmp_path) == {"observe": 300.0, "apply": 100.0}

    def ran(command: Command) -> Run:
        (command.folder / "events").write_text("\n".join(map(json.dumps, events)), encoding="utf-8")
        return Run(1.5, 100.0)

    monkeypatch.setattr(measured, "run", ran)
    assert measured.build(tmp_path, "apply") == Run(1.5, 300.0)

"""What is measured of a built model: its time is that of one inference, whatever a run takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild.graph import onnx_io
from modelbuild.project.project import open_project
from modelbuild.project.sweeping import sweep
from tests.graph.small import graph, numbers
from tests.project.small_project import write_manifest

TEXT = """\
samples: {some: {files: "data/*.npy"}}
models: {a: {source: a.onnx, calibration: some}}
targets: {cam: {chip: kl720}}
"""


@pytest.mark.parametrize("own", [1, 2])
def test_an_inference_is_of_the_models_own_batch(tmp_path: Path, own: int) -> None:
    shape = (own, 2, 8, 8)
    onnx_io.export(graph([("Conv", "x w", "y")], {"w": numbers(4, 2, 3, 3)}, x=shape), tmp_path / "a.onnx")
    (tmp_path / "data").mkdir()
    for seed in range(2):
        np.save(tmp_path / "data" / f"{seed}.npy", numbers(*shape, seed=seed))
    write_manifest(tmp_path, TEXT)
    report = sweep(open_project(tmp_path), "a@cam", [f"compile.batch={own},{4 * own}"])
    found = {row.settings["compile.batch"]: row.measured for row in report.rows if row.number}
    single, four = found[str(own)], found[str(4 * own)]
    assert single is not None and four is not None
    assert single.time_ms == pytest.approx(single.cycles / 700e6 * 1000)
    assert four.time_ms == pytest.approx(four.cycles / 4 / 700e6 * 1000)
    for row in (single, four):
        assert row.evaluated_ms == pytest.approx(row.time_ms, rel=0.05)


def test_the_time_of_a_kmodel_is_that_of_its_operations(tmp_path: Path) -> None:
    """Those of the KPU by its cycles, and those of the CPU, as they were compiled."""
    shape = (1, 2, 8, 8)
    conv = ("Conv", "x w", "y", {"pads": [1, 1, 1, 1]})
    onnx_io.export(graph([conv], {"w": numbers(4, 2, 3, 3)}, x=shape), tmp_path / "a.onnx")
    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "0.npy", numbers(*shape))
    write_manifest(tmp_path, TEXT.replace("kl720", "k210"))
    report = sweep(open_project(tmp_path), "a@cam", ["compile.sram_bytes=65536"])
    (found,) = (row.measured for row in report.rows if row.number)
    assert found is not None and found.cycles is not None and found.evaluated_ms is not None
    conversions = (2 * 64 + 4 * 64) * 6 / 200e6 * 1000  # to bytes and back, 6 operations a cell
    assert found.time_ms == pytest.approx(found.cycles / 400e6 * 1000 + conversions)
    assert found.time_ms == pytest.approx(found.evaluated_ms)

"""The vendor's tools as a judge: what is handed over, and what is told where they refuse or are not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from bench.judges import nncase as vendor
from tests.judges import nncase


@pytest.fixture
def fresh() -> Iterator[None]:
    """The environment is looked for again."""
    vendor.environment.cache_clear()
    yield
    vendor.environment.cache_clear()


def model(path: Path, operator: str = "Sub") -> Path:
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 4, 4]) for name in "ab"]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 4, 4])
    graph = helper.make_graph([helper.make_node(operator, ["a", "b"], ["y"])], "g", inputs, [output])
    opset = helper.make_opsetid("", 11)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=6), path)
    return path


def test_it_compiles_and_runs(tmp_path: Path) -> None:
    data = nncase.compile_onnx(model(tmp_path / "m.onnx"), "cpu")
    assert data[:4] == b"LDMK"
    one, other = np.random.default_rng(1).normal(size=(2, 1, 3, 4, 4)).astype(np.float32)
    (found,) = nncase.run_kmodel(data, [one, other])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, one - other)


def test_options_and_samples_reach_it(tmp_path: Path) -> None:
    path = model(tmp_path / "m.onnx")
    pair = [np.full((1, 3, 4, 4), 200, np.uint8)] * 2
    options = {"preprocess": True, "input_type": "uint8", "input_shape": [1, 3, 4, 4], "input_range": [0, 1]}
    options |= {"calibrate_method": "kld_m2", "input_layout": "NCHW"}
    data = nncase.compile_onnx(path, "k210", options, [pair, pair])
    (found,) = nncase.run_kmodel(data, pair)
    np.testing.assert_array_equal(found, np.zeros((1, 3, 4, 4)))
    with pytest.raises(nncase.JudgeError, match="no attribute 'calibration'"):
        nncase.compile_onnx(path, "k210", {"calibration": 3})


def test_a_refusal_a_crash_and_a_hang_are_told(tmp_path: Path) -> None:
    with pytest.raises(nncase.JudgeError, match="Mish") as refused:
        nncase.compile_onnx(model(tmp_path / "m.onnx", "Mish"), "cpu")
    assert refused.value.code == 1
    data = nncase.compile_onnx(model(tmp_path / "m.onnx"), "cpu")
    with pytest.raises(nncase.JudgeError, match="terminate called") as crashed:
        nncase.run_kmodel(data[:100], [])
    assert crashed.value.code == -6
    with pytest.raises(nncase.JudgeError, match="did not end") as stopped:
        nncase.run_kmodel(data, [], seconds=0.01)
    assert stopped.value.code is None


@pytest.mark.usefixtures("fresh")
def test_without_an_old_python_the_test_is_skipped_or_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(nncase, "REQUIRED", False)
    with pytest.raises(pytest.skip.Exception, match=r"no Python of 3\.10, 3\.9, 3\.8, 3\.7"):
        nncase.judge()
    monkeypatch.setattr(nncase, "REQUIRED", True)
    with pytest.raises(pytest.fail.Exception, match="is required here"):
        nncase.judge()


@pytest.mark.usefixtures("fresh")
def test_an_installation_that_fails_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if vendor._old_python()[0] is None:
        pytest.skip("no Python that could install it")
    monkeypatch.setattr(vendor, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(vendor, "VERSION", "1.9.0.20000101")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setattr(nncase, "REQUIRED", False)
    with pytest.raises(pytest.skip.Exception, match=r"(?s)pip install` ended with 1.*20000101"):
        nncase.judge()
    assert not list(tmp_path.rglob("ready"))

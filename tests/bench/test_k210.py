"""The bench of kmodels: its figures counted by hand, scores, criteria, and the command on a small network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, load, numpy_helper, save

from bench import k210
from bench.kpu import vendor
from bench.kpu.figures import Figures, figures
from bench.kpu.inside import variants
from bench.kpu.networks import forms, prepare
from bench.kpu.ours import made
from bench.kpu.report import Line, shortfalls
from bench.kpu.scores import Score, score
from bench.kpu.vendor import Built
from bench.quantizers import declared
from modelbuild.formats.kmodel.kpu_registers import map_bytes
from tests.judges import nncase

DECLARED = """\
models:
  small:
    file: small.onnx
    input: {name: x, shape: [1, 3, 16, 16], preprocess: {}}
    calibration: [{files: samples/*.npy, count: 6}]
    evaluation: [{files: samples/*.npy}]
"""
LAYER = 16 * 16 * 8 * 27  # multiply-accumulate operations


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution, a mean over its map and a softmax."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "samples").mkdir()
    draw = np.random.Generator(np.random.PCG64(3))
    for index in range(9):
        np.save(folder / f"samples/{index}.npy", draw.normal(size=(1, 3, 16, 16)).astype(np.float32))
    weights = draw.normal(size=(8, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["m"]),
        helper.make_node("Reshape", ["m", "flat"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 8])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.array([1, 8]), "flat")],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6),
        folder / "small.onnx",
    )
    (folder / "networks.yaml").write_text(DECLARED, encoding="utf-8")
    return folder


def built(db: float, seconds: float = 1.0) -> Built:
    return Built(b"", "", seconds, seconds, Score(db, (db,)), 0.0, ())


def line(
    ours: float = 30, theirs: float = 20, size: int = 1000, cpu_macs: int = 0, seconds: float = 1
) -> Line:
    figure = Figures(100_000, 1, 2, 0, 300, 400)
    return Line(
        "net",
        1000,
        built(ours, seconds),
        replace(figure, size=size, cpu_macs=cpu_macs),
        built(theirs),
        replace(figure, cpu_macs=10),
    )


def test_criteria() -> None:
    assert shortfalls([line(), line(20, 20)]) == []
    assert shortfalls([line(22, 20), line(21.9, 20), line(20, 20)]) == [
        "SNR: better by 2 dB on 1 of 3 networks, not on half"
    ]
    wrong = line(19.5, 20, 105_001, 11, 5.01)
    assert shortfalls([line(), wrong]) == [
        "net: SNR: 19.50 dB, nncase has 20.00",
        "net: MACs on the KPU: 98.90 %, nncase has 99.00 %",
        "net: size: 105,001 bytes, at most 105,000 are wanted",
        "net: compile time: 5.01 s, at most 5.00 are wanted",
    ]
    assert shortfalls([line(size=105_000, cpu_macs=10, seconds=5)]) == []
    few = line(size=2148)
    small = replace(few, their_figures=replace(few.their_figures, size=100))
    assert shortfalls([small]) == []
    assert len(shortfalls([replace(small, our_figures=replace(small.our_figures, size=2149))])) == 1


def test_a_short_compilation_may_take_three_seconds() -> None:
    quick = replace(line(seconds=3), theirs=built(20, 0.1))
    assert shortfalls([quick]) == []
    assert len(shortfalls([replace(quick, ours=built(30, 3.01))])) == 1


def test_scores_are_pooled() -> None:
    wanted = [[np.array([3.0]), np.array([30.0])], [np.array([4.0]), np.array([40.0])]]
    found = [[np.array([3.5]), np.array([30.0])], [np.array([4.0]), np.array([[45.0]])]]
    expected = score(wanted, found)
    assert expected.pooled_db == pytest.approx(10 * np.log10((25 + 2500) / (0.25 + 25)))
    assert expected.outputs_db == pytest.approx((20.0, 20.0))
    with pytest.raises(ValueError, match="not finite"):
        score([[np.zeros(1)]], [[np.array([np.nan])]])


def test_figures_are_counted_from_the_bytes(data: Path, tmp_path: Path) -> None:
    network = prepare("small", declared.read(data / "networks.yaml").models["small"], [data], tmp_path)
    assert (len(network.calibration), len(network.evaluation)) == (6, 3)
    found = made(network.model, network.calibration)
    shown = figures(found.compiled.kmodel, network.evaluation[:1])
    assert (shown.size, shown.kpu_nodes, shown.cpu_macs) == (len(found.compiled.kmodel), 1, 0)
    assert shown.cpu_nodes == sum(step.module == 0 for step in found.compiled.executed)
    # Both maps have rows of 16; where the second lies behind the first is the compiler's choice.
    assert (
        shown.ram_bytes == found.compiled.memory.sizes.kpu_ram == map_bytes(16, 16, 3) + map_bytes(16, 16, 8)
    )
    sizes = found.compiled.memory.sizes
    assert shown.main_bytes == sizes.input + sizes.output + sizes.working
    own = nncase.compile_onnx(network.model, "cpu")
    assert figures(own, network.evaluation[:1]).cpu_macs == LAYER


def test_inner_tensors_are_shown_in_groups(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = prepare("small", declared.read(data / "networks.yaml").models["small"], [data], tmp_path)
    model = made(network.model, network.calibration).fixed
    inner = [name for each in model.operators for name in each.outputs if not model.tensors[name].floating]
    (whole,) = variants(model)
    assert list(whole.outputs) == inner and len(whole.operators) < len(model.operators)
    monkeypatch.setattr("bench.kpu.inside.ROOM", 1)
    assert [one.outputs for one in variants(model)] == [(name,) for name in inner]


def test_the_model_is_brought_in_as_users_do(data: Path, tmp_path: Path) -> None:
    network = prepare("small", declared.read(data / "networks.yaml").models["small"], [data], tmp_path)
    found = forms(network, tmp_path / "forms")
    assert list(found) == ["as published", "folded by onnxruntime", "our normal form"]
    shape = load(found["as published"]).graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 3, 16, 16]


def test_the_command(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nncase.judge()
    words = ["--declaration", str(data / "networks.yaml"), "--models", str(data)]
    code = k210.main([*words, "--output", str(tmp_path / "table.md")])
    text = capsys.readouterr().out
    assert (tmp_path / "table.md").read_text(encoding="utf-8") == text
    ours, theirs = [row.split(" | ") for row in text.splitlines() if row.startswith("| small")]
    assert (ours[1], theirs[1]) == ("modelbuild", "nncase")
    assert float(ours[2]) > 20 and float(theirs[2]) > 20
    assert ours[9] == theirs[9] == "100.00" and ours[7] == "1"
    assert theirs[-1].partition(",")[0] in vendor.METHODS and "as published" in theirs[-1]
    assert code == (1 if "fails:" in text else 0)
    assert k210.main([*words, "--only", "other"]) == 2

"""The bench of accuracy: same inputs to all, one metric, peers that fail told and left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, load, numpy_helper, save
from PIL import Image

from bench import accuracy
from bench.quantizers import declared, environments, prepared, report, scores, tools
from bench.quantizers.kept import Kept
from bench.quantizers.measured import Measured
from bench.quantizers.scores import Score
from modelbuild.errors import ModelbuildError

# Gives the float model with its weights off by a part in a hundred, or falls over.
DRIVER = """\
import onnx
from onnx import numpy_helper
from bench.quantizers.drivers import common

def quantize(job):
    model = onnx.load(job["model"])
    assert [x.shape for x in common.samples(job)] == [(1, 3, 4, 4)] * 3
    if "crash" in job["settings"]:
        raise ValueError(job["settings"]["crash"])
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor) * (1 + job["settings"]["error"])
        tensor.CopyFrom(numpy_helper.from_array(values.astype("float32"), tensor.name))
    onnx.save(model, job["output"])

common.main(["numpy"], quantize)
"""
DECLARED = """\
models:
  small:
    file: nets/small.onnx
    input: {name: x, shape: [1, 3, 4, 4], preprocess: {preset: unit}}
    calibration: [{files: pictures/*.png, count: 3}]
    evaluation: [{files: pictures/*.png, labels: labels.txt}]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "pictures").mkdir()
    (folder / "nets").mkdir()
    draw = np.random.Generator(np.random.PCG64(5))
    base = draw.integers(0, 248, (4, 4, 3))
    for index in range(9):
        pixels = base + draw.integers(0, 9, (4, 4, 3))  # alike, so that none is outside of what was seen
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"pictures/{index}.png")
    labels = "".join(f"pictures/{index}.png {index % 2}\n" for index in range(9))
    (folder / "labels.txt").write_text(labels, encoding="ascii")
    weights = draw.normal(size=(2, 3, 4, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node("Flatten", ["c"], ["y"])],
        "small",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 4, 4]),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, weights.shape),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=3)
    save(model, folder / "nets/small.onnx")
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    (folder / "models.yaml").write_text(DECLARED, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Iterator[tuple[int, str]]:
    """The exit code and the text of one run with three peers and one of our chips."""

    def interpreter(scratch: Path, name: str) -> Path:
        if name == "absent":
            raise RuntimeError("not installed: no such package")
        return Path(sys.executable)

    def peer(name: str, environment: str, **settings: object) -> tools.Peer:
        return tools.Peer(name, tools.ASYMMETRIC, environment, data / "driver.py", settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environments, "interpreter", interpreter)
        patch.setattr(tools, "ENVIRONMENTS", {"here": (), "absent": ()})
        patch.setattr(
            tools,
            "PEERS",
            (
                peer("rough", "here", error=0.1),
                peer("fine", "here", error=-0.001),
                peer("broken", "here", crash="not | today"),
                peer("missing", "absent"),
            ),
        )
        patch.setattr(tools, "OURS", (tools.Ours("ours", tools.ASYMMETRIC, "modalix"),))
        words = ["--declaration", str(data / "models.yaml"), "--models", str(data / "none")]
        words += [
            "--models",
            str(data),
            "--output",
            str(data / "table.md"),
            "--scratch",
            str(data / "scratch"),
            "--results",
            str(data / "results"),
        ]
        code = accuracy.main(words)
        text = (data / "table.md").read_text(encoding="utf-8")
        patch.setattr(accuracy, "_line", refused)  # a second run measures nothing but what failed
        again = accuracy.main(words)
    assert again == code
    yield code, text


def refused(tool: tools.Peer | tools.Ours, *_: object) -> Measured:
    assert tool.name in ("broken", "missing"), f"{tool.name} was kept"
    return Measured(tool, reason="told again")


def cells(text: str, name: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    assert len(lines) == 1
    return [cell.strip() for cell in lines[0].strip("|").split("|")]


def test_a_peer_is_scored_against_the_float_model(run: tuple[int, str]) -> None:
    # an output that is 10 % too large is 20 dB above its error, whatever the values
    assert cells(run[1], "rough")[1:6] == ["asymmetric", "20.00", "20.00", "", "+0.00"]
    assert cells(run[1], r"**fine**")[1:4] == ["asymmetric", "60.00", "60.00"]
    assert float(cells(run[1], "rough")[7]) > 20  # MB: the driver's process was measured


def test_calibration_and_evaluation_do_not_overlap(run: tuple[int, str]) -> None:
    assert "3 calibration and 6 evaluation samples, float top-1 " in run[1]


def test_what_fails_is_told_and_the_run_goes_on(run: tuple[int, str]) -> None:
    assert cells(run[1], "broken")[2:4] == ["ValueError: not / today", ""]
    assert cells(run[1], "missing")[2] == "not installed: no such package"


def test_ours_is_put_beside_the_best_peer(run: tuple[int, str]) -> None:
    code, text = run
    _, scheme, snr, _, ahead, _, seconds, peak = cells(text, "ours")
    assert scheme == "asymmetric"
    assert 20 < float(snr) < 55
    assert float(ahead) == pytest.approx(float(snr) - 60, abs=0.011)
    assert float(seconds) >= 0
    assert float(peak) > 30
    assert code == 1
    assert text.endswith("below the best peer, or without a score: small: ours (asymmetric)\n")


def test_the_next_run_takes_what_was_measured(run: tuple[int, str], data: Path) -> None:
    again = (data / "table.md").read_text(encoding="utf-8")
    for name in ("rough", r"**fine**", "ours"):
        assert cells(again, name) == cells(run[1], name)
    assert cells(again, "broken")[2] == "told again"
    assert len(list((data / "results").iterdir())) == 4  # of three tools and of the float model


def test_what_a_line_depends_on_is_in_its_name(data: Path, tmp_path: Path) -> None:
    network = declared.read(data / "models.yaml").models["small"]
    chip = tools.Ours("ours", tools.ASYMMETRIC, "modalix")
    kept = Kept(tmp_path, network, [data], None)
    kept.keep(Measured(chip, Score(20.0, 21.0, None), 1.5, 100.0))
    assert kept.line(chip) == Measured(chip, Score(20.0, 21.0, None), 1.5, 100.0)
    assert Kept(tmp_path, network, [data], 4).line(chip) is None
    assert kept.line(tools.Ours("ours", tools.ASYMMETRIC, "modalix", {"weights": "int16"})) is None
    assert Kept(None, network, [data], None).line(chip) is None
    kept.keep(Measured(tools.OURS[0], reason="it fell over"))
    assert kept.line(tools.OURS[0]) is None
    assert kept.samples == (3, 6)


def test_nothing_is_left_in_the_scratch_folder(run: tuple[int, str], data: Path) -> None:
    assert list((data / "scratch").iterdir()) == []


def line(name: str, scheme: str, snr: float | None, ours: bool = False) -> Measured:
    tool: tools.Peer | tools.Ours
    if ours:
        tool = tools.Ours(name, scheme, "kl720")
    else:
        tool = tools.Peer(name, scheme, "ort", Path("driver.py"), {})
    return Measured(tool, None if snr is None else Score(snr, snr + 1, 0.5), reason="why")


def test_the_best_is_that_of_the_same_scheme() -> None:
    lines = [line("a", "int16", 60), line("b", "symmetric", 30), line("c", "symmetric", None)]
    mine = [line("me", "symmetric", 29, ours=True), line("me", "int16", 61.5, ours=True)]
    found = report.rendered("net", (2, 4), Score(200, 200, 0.75), [*lines, *mine])
    assert found[3] == "2 calibration and 4 evaluation samples, float top-1 75.0%."
    assert found[7:] == [  # in the order of the schemes
        "| **b** | symmetric | 30.00 | 31.00 |  | -25.00 |  |  |",
        "| c | symmetric | why |  |  |  |  |  |",
        "| me | symmetric | 29.00 | 30.00 | -1.00 | -25.00 |  |  |",
        "| **a** | int16 | 60.00 | 61.00 |  | -25.00 |  |  |",
        "| me | int16 | 61.50 | 62.50 | +1.50 | -25.00 |  |  |",
    ]
    assert report.behind([*lines, *mine]) == ["me (symmetric)"]
    assert report.behind([line("me", "int4", None, ours=True)]) == ["me (int4)"]
    assert report.behind([line("me", "int4", 3, ours=True)]) == []


def test_the_snr_is_the_mean_over_outputs(tmp_path: Path) -> None:
    for name in ("float", "found"):
        (tmp_path / name).mkdir()
    ones = np.ones((2, 2), np.float32)
    for index, error in enumerate((0.0, 0.1)):
        np.savez(tmp_path / f"float/{index}", ones, 1000 * ones)
        np.savez(tmp_path / f"found/{index}", ones + error, 1000 * ones + 100)
    found = scores.score(tmp_path / "float", tmp_path / "found", None)
    assert found.snr_db == pytest.approx((23.0103 + 20) / 2, abs=1e-3)
    assert found.snr_db_mean == pytest.approx(((200 + 20) / 2 + 20) / 2, abs=1e-3)
    assert found.top1 is None
    np.savez(tmp_path / "found/1", ones, np.full(4, np.nan))
    with pytest.raises(ValueError, match=r"output 1 .* not finite"):
        scores.score(tmp_path / "float", tmp_path / "found", None)
    np.savez(tmp_path / "found/1", ones)
    with pytest.raises(ValueError, match="1 outputs instead of 2"):
        scores.score(tmp_path / "float", tmp_path / "found", None)


def test_all_tools_get_a_model_of_fixed_shapes(data: Path, tmp_path: Path) -> None:
    network = declared.read(data / "models.yaml").models["small"]
    given = prepared.prepare("small", network, [data], tmp_path, 4)
    model = load(given.model)
    assert [value.name for value in model.graph.input] == ["x"]
    assert [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 4, 4]
    assert [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim] == [1, 2]
    assert model.opset_import[0].version == prepared.OPSET
    assert len(list(given.evaluation.iterdir())) == 4
    first = np.load(given.calibration / "0000.npy")
    pixels = np.asarray(Image.open(data / "pictures/1.png"), np.float32)
    assert np.allclose(first[0], pixels.transpose(2, 0, 1) / 255, atol=1e-6)
    assert given.labels == [0, 1, 1, 0]  # 0, 3, 5 and 8, of 0 2 3 5 6 8


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {a: {fille: x}}", "fille"),
        ("models: [", "cannot be used"),
        (DECLARED.replace("pictures/", "nowhere/"), "nowhere/.* is in none of the folders"),
        (DECLARED.replace("small.onnx", "large.onnx"), "large.onnx is in none of the folders"),
    ],
)
def test_a_declaration_that_cannot_be_used(data: Path, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ModelbuildError, match=said):
        networks = declared.read(tmp_path / "wrong.yaml").models
        prepared.prepare("small", networks["small"], [data], tmp_path / "work", None)


def test_the_networks_of_the_table_are_there(shared_data: Path) -> None:
    folders = [shared_data, accuracy.ROOT]
    for name, network in declared.read(declared.DEFAULT).models.items():
        assert declared.locate(network.file, folders).suffix == ".onnx", name
        calibration = declared.gather(network.calibration, folders)
        evaluation = declared.gather(network.evaluation, folders, None, set(calibration.files))
        assert len(calibration.files) == 64, name
        assert len(evaluation.files) >= 40, name
        assert not set(calibration.files) & set(evaluation.files), name
        assert evaluation.labels is None or len(evaluation.labels) == len(evaluation.files), name


def test_drivers_and_environments_of_the_table_are_there() -> None:
    for peer in tools.PEERS:
        assert peer.driver.is_file()
        assert peer.environment in tools.ENVIRONMENTS
    names = [(tool.name, tool.scheme) for tool in (*tools.PEERS, *tools.OURS)]
    assert len(set(names)) == len(names)
    assert {tool.scheme for tool in (*tools.PEERS, *tools.OURS)} == set(tools.SCHEMES)

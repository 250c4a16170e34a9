"""`modelbuild convert`: what is written and what is said."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.cli.conftest import Command
from tests.cli.exported_model import SHAPE, numbers, ops, ran


def test_it_writes_a_clean_model_that_equals_the_source(folder: Path, command: Command) -> None:
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx")
    assert (said.code, said.err) == (0, "")
    assert ops(folder / "out.onnx") == ["Conv", "Relu", "Softmax"]
    x = numbers(*SHAPE)
    np.testing.assert_allclose(ran(folder / "out.onnx", x)["y"], ran(folder / "net.onnx", x)["y"], atol=1e-5)
    model = onnx.load(str(folder / "out.onnx"))
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 17
    origins = [json.loads(entry.value) for node in model.graph.node for entry in node.metadata_props]
    assert list(map(sorted, origins)) == [["conv", "norm"], ["relu"], ["soft"]]


def test_it_says_what_each_step_did(folder: Path, command: Command) -> None:
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx")
    assert said.lines[0] == "net.onnx: onnx, test"
    assert said.lines[1].startswith("import: 5 -> 5 nodes, differs by 0 of the range from the file")
    assert said.lines[2].startswith("normalise: 5 -> 3 nodes, differs by ")
    assert "fold_batch_normalization 1" in said.out and "remove_no_ops 1" in said.out
    assert "import: operator set 13 converted to 17" in said.lines
    assert "  input x [1, 3, 8, 8] float32" in said.lines and "  output y [1, 4, 6, 6] float32" in said.lines
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx", "-q").out == ""


def test_the_json_object(folder: Path, command: Command) -> None:
    found = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--chip", "kl720", "--json").json
    data = (folder / "out.onnx").read_bytes()
    assert found["ok"] is True and found["post"] is None
    assert found["model"]["sha256"] == hashlib.sha256(data).hexdigest()
    assert found["model"]["size"] == len(data)
    assert [step["name"] for step in found["steps"]] == ["import", "normalise", "lower"]
    assert all(step["difference"]["outputs"][0]["error"] < 1e-4 for step in found["steps"])
    assert sum(found["units"].values()) == len(ops(folder / "out.onnx"))
    assert found["source"]["format"] == "onnx"


def test_the_same_bytes_every_time(folder: Path, command: Command) -> None:
    for name in ("a.onnx", "b.onnx"):
        assert command(folder, "convert", "net.onnx", "-o", name).code == 0
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()
    assert command(folder, "convert", "net.onnx", "-o", "a.onnx").code == 0  # its own file is replaced


def test_only_import_runs_no_pass(folder: Path, command: Command) -> None:
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--only-import")
    assert said.code == 0 and "normalise" not in said.out
    assert "BatchNormalization" in ops(folder / "out.onnx")
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--only-import", "--chip", "kl720")
    assert said.code == 2 and "contradict" in said.err


def test_paranoid_gives_the_same_model(folder: Path, command: Command) -> None:
    for name, words in (("a.onnx", ()), ("b.onnx", ("--paranoid",))):
        assert command(folder, "convert", "net.onnx", "-o", name, "--chip", "kl520", *words).code == 0
    assert (folder / "a.onnx").read_bytes() == (folder / "b.onnx").read_bytes()
    said = command(folder, "convert", "net.onnx", "-o", "b.onnx", "--paranoid")
    assert re.search(r"fold_batch_normalization 1 \([0-9.e-]+\)", said.out), said.out
    assert re.search(r"held against the graph before it: \w+ differs most, by [0-9.e-]+ of the", said.out)
    found = command(folder, "convert", "net.onnx", "-o", "b.onnx", "--paranoid", "--json").json
    assert all(one["error"] < 1e-4 for one in found["steps"][1]["passes"])
    found = command(folder, "convert", "net.onnx", "-o", "b.onnx", "--json").json
    assert {one["error"] for one in found["steps"][1]["passes"]} == {None}


def test_a_pass_can_be_left_out(folder: Path, command: Command) -> None:
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--skip", "fold_batch_normalization")
    assert said.code == 0 and "fold_batch_normalization" not in said.out
    assert ops(folder / "out.onnx") == ["Conv", "Conv", "Relu", "Softmax"]


def test_an_edition_of_the_operator_table(folder: Path, command: Command) -> None:
    words = ("convert", "net.onnx", "-o", "out.onnx", "--chip", "kl720", "--json")
    newest = command(folder, *words).json["units"]
    older = command(folder, *words, "--edition", "v0.15.5").json["units"]
    assert older.get("cpu", 0) >= newest.get("cpu", 0) and sum(older.values()) == sum(newest.values())


def test_python_has_the_same_result(folder: Path) -> None:
    from modelbuild import api

    found = api.convert(folder / "net.onnx", folder / "out.onnx", edits=[{"rename": {"x": "image"}}])
    assert json.dumps(found.to_json()) and [port["name"] for port in found.model.inputs] == ["image"]
    with pytest.raises(api.ModelbuildError, match="unknown key"):
        api.convert(folder / "net.onnx", folder / "out.onnx", edits=[{"renam": {}}])


def test_real_models(shared_data: Path, command: Command, tmp_path: Path) -> None:
    source = shared_data / "models/onnx/ultraface_rfb_320.onnx"
    said = command(
        tmp_path, "convert", str(source), "-o", "out.onnx", "--chip", "kl720", "--tail", "auto", "--json"
    )
    found = said.json
    assert set(found["units"]) <= {"npu", "fused"} and found["post"] is not None
    x = numbers(1, 3, 240, 320)
    middle = ran(tmp_path / "out.onnx", x)
    session = onnxruntime.InferenceSession(str(tmp_path / "out_post.onnx"))
    names = [output.name for output in session.get_outputs()]
    expected = ran(source, x)
    for name, value in zip(names, session.run(None, middle), strict=True):
        np.testing.assert_allclose(value, expected[name], atol=1e-4)


SOURCES = {
    "tflite/mlperf_resnet8_float.tflite": None,
    "tflite/mlperf_kws_dscnn_int8.tflite": None,
    "keras/mlperf_resnet8_cifar10.h5": None,
    "caffe/lenet/deploy.prototxt": "caffe/lenet/mnist_lenet.caffemodel",
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_format(shared_data: Path, command: Command, tmp_path: Path, name: str) -> None:
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    models, weights = shared_data / "models", SOURCES[name]
    words = ["convert", str(models / name), "-o", "out.onnx"]
    words += [] if weights is None else ["--weights", str(models / weights)]
    for chip in ((), ("--chip", "kl720")):
        said = command(tmp_path, *words, *chip)
        assert said.code == 0, said.err
        why = f"not measured against the file: there is no {Path(name).parts[0]} runtime here"
        assert why in said.lines[1]
    onnx.checker.check_model(onnx.load(str(tmp_path / "out.onnx")), full_check=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "out.onnx"))
    [given] = session.get_inputs()
    x = np.zeros(given.shape, {"tensor(float)": np.float32, "tensor(int8)": np.int8}[given.type])
    assert all(np.isfinite(value).all() for value in session.run(None, {given.name: x}))
    said = command(tmp_path, *words, "--cut-outputs", "no_such_layer")
    assert said.code == 2 and "no_such_layer" in said.err


def test_run_takes_the_sources_layout(shared_data: Path, command: Command, tmp_path: Path) -> None:
    source = str(shared_data / "models/tflite/mlperf_resnet8_float.tflite")
    np.save(tmp_path / "x.npy", numbers(1, 32, 32, 3))
    said = command(tmp_path, "run", source, "--input", "x.npy")
    assert said.code == 2 and "the input has shape [1, 3, 32, 32]" in said.err
    assert command(tmp_path, "run", source, "--input", "x.npy", "--source-layout").code == 0
    said = command(tmp_path, "run", source, "--input", "x.npy", "--weights", "x.h5")
    assert said.code == 2 and "keeps its weights in the source file" in said.err
    assert command(tmp_path, "convert", source, "-o", "plain.onnx").code == 0
    said = command(tmp_path, "compare", source, "plain.onnx", "--input", "x.npy", "--weights", "x.h5")
    assert said.code == 2 and "neither file is one" in said.err

"""`modelbuild convert`: what is written, what is said, and what is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.cli.conftest import Command

SHAPE = [1, 3, 8, 8]


def numbers(*shape: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def save(path: Path, shape: list[Any], opset: int = 13) -> onnx.ModelProto:
    """Conv, BatchNormalization, Relu, and Softmax over the channels, as an exporter leaves them."""
    parameters = {key: np.abs(numbers(4, seed=i)) + 0.1 for i, key in enumerate(("s", "b", "m", "v"))}
    constants = {"w": numbers(4, 3, 3, 3), **parameters}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", kernel_shape=[3, 3]),
        helper.make_node("BatchNormalization", ["c", "s", "b", "m", "v"], ["n"], name="norm"),
        helper.make_node("Identity", ["n"], ["i"], name="same"),
        helper.make_node("Relu", ["i"], ["r"], name="relu"),
        helper.make_node("Softmax", ["r"], ["y"], name="soft", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=7, producer_name="test")
    onnx.save(model, str(path))
    return model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(tmp_path / "net.onnx", SHAPE)
    return tmp_path


def ran(path: Path, x: Any) -> dict[str, Any]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: x}), strict=True))


def ops(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


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


def test_edits_as_options(folder: Path, command: Command) -> None:
    words = ("--cut-outputs", "relu", "--rename", "x=image", "--rename", "r=scores")
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx", *words).code == 0
    assert ops(folder / "out.onnx") == ["Conv", "Relu"]
    assert list(ran(folder / "out.onnx", numbers(*SHAPE))) == ["scores"]
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx", "--remove-type", "Relu").code == 0
    assert ops(folder / "out.onnx") == ["Conv", "Softmax"]
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx", "--cut-inputs", "r").code == 0
    assert ops(folder / "out.onnx") == ["Softmax"]


@pytest.mark.parametrize("text", ["- cut: {outputs: [r]}\n", "edit:\n  - cut: {outputs: [relu]}\n"])
def test_edits_in_a_file(folder: Path, command: Command, text: str) -> None:
    (folder / "edits.yaml").write_text(text, encoding="utf-8")
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--edit", "edits.yaml", "--rename", "r=z")
    assert said.code == 0, said.err
    assert list(ran(folder / "out.onnx", numbers(*SHAPE))) == ["z"]
    assert said.lines[1] == "import: 5 -> 5 nodes, differs by 0 of the range from the file"
    assert said.lines[2].startswith("edit: 5 -> ") and said.lines[2].endswith(" nodes")


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("- cutt: {outputs: [r]}\n", "edits.yaml:1:3", "unknown key `cutt`"),
        ("- cut: {outputs: [s]}\n", "net.onnx", "no tensor and no node `s`"),
        ("[cut", "edits.yaml:", "not valid YAML"),
        ("other: 5\n", "edits.yaml:1:1", "`other` is no edit"),
        ("\xff", "edits.yaml", "not UTF-8"),
    ],
)
def test_wrong_edits_say_where(folder: Path, command: Command, text: str, where: str, what: str) -> None:
    (folder / "edits.yaml").write_bytes(text.encode("latin-1"))
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--edit", "edits.yaml")
    assert said.code == 2 and where in said.err and what in said.err
    assert not (folder / "out.onnx").exists()


def test_what_cannot_be_imported_can_be_cut_off(folder: Path, command: Command) -> None:
    model = onnx.load(str(folder / "net.onnx"))
    model.graph.node.append(helper.make_node("NonZero", ["y"], ["places"], name="where"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("places", TensorProto.INT64, None))
    onnx.save(model, str(folder / "net.onnx"))
    assert command(folder, "convert", "net.onnx", "-o", "out.onnx").code == 2
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--cut-outputs", "soft")
    assert said.code == 0, said.err
    assert said.lines[1].startswith("import, edit: 6 -> 5 nodes, not measured against the file")
    assert ops(folder / "out.onnx") == ["Conv", "Relu", "Softmax"]


def test_the_tail_becomes_a_model_of_its_own(folder: Path, command: Command) -> None:
    save(folder / "net.onnx", SHAPE)
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--chip", "kl520", "--tail", "auto")
    assert said.code == 0, said.err
    assert ops(folder / "out_post.onnx") == ["Softmax"]
    x = numbers(*SHAPE)
    [(name, middle)] = ran(folder / "out.onnx", x).items()
    session = onnxruntime.InferenceSession(str(folder / "out_post.onnx"))
    [y] = session.run(None, {name: middle})
    np.testing.assert_allclose(y, ran(folder / "net.onnx", x)["y"], atol=1e-5)
    said = command(folder, "convert", "net.onnx", "-o", "out.onnx", "--tail", "auto")
    assert said.code == 2 and "needs a chip" in said.err


def test_open_sizes_are_told_all_at_once_and_can_be_said(folder: Path, command: Command) -> None:
    save(folder / "open.onnx", ["n", 3, "h", 8])
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx")
    assert said.code == 2 and "--input x=1,3,<?>,8" in said.err
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx", "--input", "x=1,3,9,8")
    assert said.code == 0 and "  input x [1, 3, 9, 8] float32" in said.lines
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx", "--input", "y=1,3,9,8")
    assert said.code == 2 and "`x`" in said.err
    said = command(folder, "convert", "open.onnx", "-o", "out.onnx", "--input", "x=1,3,9")
    assert said.code == 2 and "out.onnx" not in said.err


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("net.onnx", "-o", "net.onnx"), "is the file that is read"),
        (("./net.onnx", "-o", "sub/../net.onnx"), "is the file that is read"),
        (("net.onnx", "-o", "out.tflite"), "is no name for what is written"),
        (("net.onnx", "-o", "out.fixed.onnx"), "is no name for what is written"),
        (("net.onnx", "-o", "none/out.onnx"), "there is no folder"),
        (("net.onnx", "-o", "other.onnx"), "that modelbuild has not written"),
        (("net.onnx", "-o", "dir.onnx"), "is a folder"),
        (("net.onnx", "-o", "out.onnx", "--weights", "w.caffemodel"), "keeps its weights in the source file"),
        (("gone.onnx", "-o", "out.onnx"), "there is no such file"),
        (("text.onnx", "-o", "out.onnx"), "this is not an ONNX file"),
        (("net.fixed.onnx", "-o", "out.onnx"), "imported and quantized already"),
        (("net.prototxt", "-o", "out.onnx"), "in a file of their own"),
        (("net.onnx", "-o", "out.onnx", "--rename", "x"), "is not OLD=NEW"),
        (("net.onnx", "-o", "out.onnx", "--rename", "r="), "is not OLD=NEW"),
        (("net.onnx", "-o", "out.onnx", "--chip", "kl99"), "kl99"),
        (("model.pb", "-o", "out.onnx"), "tf2onnx.convert --graphdef model.pb"),
        (("saved", "-o", "out.onnx"), "tf2onnx.convert --saved-model saved"),
        (("model.pth", "-o", "out.onnx"), "torch.onnx.export(model, "),
    ],
)
def test_what_is_refused(folder: Path, command: Command, words: tuple[str, ...], what: str) -> None:
    (folder / "sub").mkdir()
    (folder / "dir.onnx").mkdir()
    (folder / "saved").mkdir()
    for name in (
        "text.onnx",
        "net.fixed.onnx",
        "net.prototxt",
        "model.pb",
        "model.pth",
        "saved/saved_model.pb",
    ):
        (folder / name).write_text("no model at all", encoding="utf-8")
    save(folder / "other.onnx", SHAPE)
    before = (folder / "net.onnx").read_bytes(), (folder / "other.onnx").read_bytes()
    said = command(folder, "convert", *words)
    assert said.code == 2 and what in said.err, said.err
    assert not (folder / "out.onnx").exists()
    assert ((folder / "net.onnx").read_bytes(), (folder / "other.onnx").read_bytes()) == before


def test_force_replaces_what_others_have_written(folder: Path, command: Command) -> None:
    save(folder / "other.onnx", SHAPE)
    assert command(folder, "convert", "net.onnx", "-o", "other.onnx", "--force").code == 0
    assert ops(folder / "other.onnx") == ["Conv", "Relu", "Softmax"]
    assert command(folder, "convert", "net.onnx", "-o", "net.onnx", "--force").code == 2


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
        assert "not measured against the file" in said.lines[1]
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

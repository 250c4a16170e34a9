"""`inspect`: the documented object for every kind, and the error for what cannot be read."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from modelbuild import importers
from modelbuild.arithmetic.fixed_model import FixedModel, QuantizedTensor
from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.kinds import Kind
from modelbuild.artifacts.tree import render
from modelbuild.errors import ModelbuildError
from modelbuild.quantize import fixed_onnx
from tests.arithmetic.dice import one
from tests.artifacts.test_kinds import CONTENTS

ALWAYS = {"format", "version", "size", "silicon", "checksums", "models"}


def written(tmp_path: Path, data: bytes, name: str = "file") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def stable(described: dict[str, Any]) -> dict[str, Any]:
    """The object as JSON would carry it, with what is always there checked."""
    assert set(described) >= ALWAYS
    for item in described["checksums"]:
        assert set(item) == {"what", "stored", "computed", "ok"}
    for entry in described["models"]:
        assert set(entry) >= {"id", "name", "version", "inputs", "outputs"}
    loaded: dict[str, Any] = json.loads(json.dumps(described, allow_nan=False))
    assert loaded == described
    return loaded


def reshape_model() -> FixedModel:
    tensors = [
        QuantizedTensor("x", (1, 8), 8, True, 0.5, 3),
        QuantizedTensor("y", (1, 2, 4), 8, True, 0.5, 3),
    ]
    return one("reshape", tensors, {"shape": (1, 2, 4)})


def test_the_vendor_nef(shared_data: Path) -> None:
    path = shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef"
    found = stable(inspect(path))
    assert (found["format"], found["chip"], found["silicon"]) == ("nef", "kl520", True)
    assert found["size"] == 1076584
    assert all(item["ok"] for item in found["checksums"]) and len(found["checksums"]) == 6
    assert [(m["id"], m["version"], m["weight_bytes"]) for m in found["models"]] == [
        (32, "b08d", 696832),
        (5, "6226", 338384),
    ]
    assert found["models"][1]["outputs"][1]["shape"] == [1, 10, 1, 1]
    assert found["models"][0]["inputs"][0]["layout"] == "4W4C8B"
    text = render(found)
    assert "id 32, name model_032_ce4b16" in text
    assert "\n  file                0x7b52761c  0x7b52761c  yes\n" in text


def test_our_own_packages_are_not_for_silicon(tmp_path: Path) -> None:
    """These hold programs that are none, so the tree says so and still shows the container."""
    found = stable(inspect(written(tmp_path, CONTENTS[Kind.NEF])))
    assert (found["format"], found["chip"], found["silicon"]) == ("nef", "kl720", False)
    assert found["toolchain_version"] == "modelbuild/9.9.9"
    assert "malformed program" in found["models"][0]["program"]["unreadable"]
    found = stable(inspect(written(tmp_path, CONTENTS[Kind.MPK])))
    assert (found["format"], found["silicon"], found["source"]) == ("mpk", False, "digits.onnx")
    assert len(found["checks"]) > 20 and all(check["ok"] for check in found["checks"])
    assert [layer["cycles"] for layer in found["models"][0]["layers"]] == [100, 7]
    assert [plugin["processor"] for plugin in found["plugins"]] == ["EV74", "MLA", "A65", *["EV74"] * 3]
    assert {member["name"]: member["size"] for member in found["members"]}["digits_host.sim.bin"] == 9
    assert ["code.r0.c0", "200", "yes", "code"] in [line.split() for line in render(found).splitlines()]


@pytest.mark.parametrize(
    ("name", "macs", "parameters"),
    [("squeezenet1.1", 349151936, 1235496), ("mobilenetv2", 300774272, 3487818), ("mnist-8", 786560, 5998)],
)
def test_real_onnx_models(name: str, macs: int, parameters: int, shared_data: Path) -> None:
    found = stable(inspect(shared_data / f"models/onnx/{name}.onnx"))
    assert (found["format"], found["silicon"]) == ("onnx", None)
    assert (found["models"][0]["macs"], found["models"][0]["parameters"]) == (macs, parameters)


def test_a_dynamic_model_shows_its_symbols(shared_data: Path) -> None:
    found = stable(inspect(shared_data / "models/onnx/yunet_n_dynamic.onnx"))
    assert found["models"][0]["inputs"] == [
        {"name": "input", "shape": ["batch", 3, "height", "width"], "dtype": "float32"}
    ]
    assert found["models"][0]["macs"] is None
    assert found["models"][0]["operators"]["Conv"] == 59
    assert found["opset"] == {"ai.onnx": 11}


def test_a_fixed_model_shows_its_arithmetic(tmp_path: Path) -> None:
    fixed = dataclasses.replace(reshape_model(), metadata={"labels": "[]"})
    data = fixed_onnx.to_bytes(fixed)
    found = stable(inspect(written(tmp_path, data)))
    assert (found["format"], found["arithmetic"], found["chip"]) == (
        "fixed_onnx",
        "multiplier_shift@1",
        "test",
    )
    assert found["metadata"] == {"labels": "[]"}
    assert found["models"][0]["operators"] == {"reshape": 1}
    assert found["models"][0]["inputs"] == [
        {"name": "x", "shape": [1, 8], "dtype": "int8", "scale": 0.5, "zero_point": 3}
    ]
    altered = inspect(written(tmp_path, data.replace(b"reshape", b"reshave")))
    assert [check["ok"] for check in altered["checks"]] == [False, True]


@pytest.mark.parametrize(
    "name", ["v3_face_detect", "v4_mobilenet_025", "v5_small_k210", "v7_face_detection_320"]
)
def test_kmodels(name: str, shared_data: Path) -> None:
    found = stable(inspect(shared_data / f"artifacts/kmodel/{name}.kmodel"))
    assert found["format"] == "kmodel"
    assert found["version"][0] == name[1]


def test_tflite_models(shared_data: Path) -> None:
    for path in sorted((shared_data / "models/tflite").glob("*.tflite")):
        found = stable(inspect(path))
        assert found["models"][0]["inputs"] and found["models"][0]["nodes"] > 5
    found = inspect(shared_data / "models/tflite/mlperf_resnet8_int8.tflite")
    assert found["models"][0]["outputs"] == [
        {
            "name": "Identity_int8",
            "shape": [1, 10],
            "dtype": "int8",
            "signature": [None, 10],
            "scale": 1 / 256,
            "zero_point": -128,
        }
    ]
    assert found["models"][0]["operators"]["CONV_2D"] == 9


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Kind.EMPTY, "is empty"),
        (Kind.LFS_POINTER, "Git LFS pointer"),
        (Kind.UNKNOWN, "no kind of file"),
        (Kind.GZIP, "no complete tar"),
        (Kind.HDF5, "holds a model in hdf5, but its name does not say so"),
    ],
)
def test_what_cannot_be_read_is_named(kind: Kind, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, CONTENTS[kind])
    with pytest.raises(ModelbuildError, match=message) as caught:
        inspect(path)
    problem = caught.value.problems[0]
    assert (caught.value.exit_code, problem.where) == (2, str(path))
    assert problem.advice


def test_a_truncated_model_is_named_as_such(tmp_path: Path) -> None:
    path = written(tmp_path, CONTENTS[Kind.ONNX][:-20], "half.onnx")
    with pytest.raises(ModelbuildError, match=r"half.onnx is no complete ONNX model") as caught:
        inspect(path)
    assert caught.value.problems[0].where == str(path)


def test_damage_is_located_in_the_file(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    path = written(tmp_path, data[: len(data) // 2], "half.nef")
    with pytest.raises(ModelbuildError) as caught:
        inspect(path)
    assert str(path) in caught.value.problems[0].where


def test_altered_files_give_an_object_or_our_error(tmp_path: Path, shared_data: Path) -> None:
    dice = random.Random(7)
    sources = [CONTENTS[kind] for kind in (Kind.ONNX, Kind.FIXED_ONNX, Kind.MPK, Kind.NEF, Kind.ELF)]
    sources.append(fixed_onnx.to_bytes(reshape_model()))
    sources.append((shared_data / "artifacts/kmodel/v5_small_k210.kmodel").read_bytes())
    sources.append((shared_data / "models/tflite/mlperf_resnet8_int8.tflite").read_bytes()[:20_000])
    for number in range(400):
        data = bytearray(sources[number % len(sources)])
        for _ in range(dice.randint(1, 5)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path = written(tmp_path, bytes(data[: dice.choice([len(data), dice.randrange(len(data))])]))
        try:
            described = inspect(path)
        except ModelbuildError as error:
            assert error.exit_code == 2
        else:
            json.dumps(described)
            assert render(described)


def test_the_nodes_that_edits_name(tmp_path: Path) -> None:
    """Also of a model that no import takes, and of nodes that the file gives no name."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b c"], name="act/1"),
        helper.make_node("Conv", ["b c", "w"], ["d"]),
        helper.make_node("NonZero", ["d"], ["y"], name="tail"),
    ]
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1, 1, 1, 1], [1.0])
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, None)],
        [weight],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    found = stable(inspect(path, nodes=True))["models"][0]["node_list"]
    assert found[:3] == [
        {"name": "Conv", "op": "Conv", "reads": ["x"], "makes": ["a"], "shape": [1, 1, 2, 3]},
        {"name": "act/1", "op": "Relu", "reads": ["a"], "makes": ["b c"], "shape": [1, 1, 2, 3]},
        {"name": "Conv_1", "op": "Conv", "reads": ["b c"], "makes": ["d"], "shape": [1, 1, 2, 3]},
    ]
    assert "  act/1   Relu     a      b c    1x1x2x3" in render(inspect(path, nodes=True))
    assert "node_list" not in inspect(path)["models"][0]
    for name in ("a", "b c", "d", "Conv_1"):
        assert importers.load(path, edits=[{"cut": {"outputs": [name]}}]).outputs


def test_the_nodes_of_a_fixed_point_model_and_of_no_model(tmp_path: Path) -> None:
    fixed_onnx.write(reshape_model(), tmp_path / "m.fixed.onnx")
    [node] = inspect(tmp_path / "m.fixed.onnx", nodes=True)["models"][0]["node_list"]
    assert (node["op"], node["reads"], node["makes"], node["shape"]) == ("reshape", ["x"], ["y"], [1, 2, 4])


@pytest.mark.parametrize("name", ["tflite/mlperf_vww_96_float.tflite", "caffe/lenet/deploy.prototxt"])
def test_the_nodes_of_real_models(shared_data: Path, name: str) -> None:
    path = shared_data / "models" / name
    weights = path.parent / "mnist_lenet.caffemodel" if name.endswith("prototxt") else None
    entry = inspect(path, weights, nodes=True)["models"][0]
    assert len(entry["node_list"]) == entry["nodes"]
    listed = {tensor for node in entry["node_list"] for tensor in node["makes"]}
    assert {port["name"] for port in entry["outputs"]} <= listed


def test_a_package_lists_no_nodes(shared_data: Path) -> None:
    with pytest.raises(ModelbuildError, match="the kind nef has no nodes"):
        inspect(shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef", nodes=True)


def test_an_output_without_a_shape_is_no_single_number(tmp_path: Path) -> None:
    """Here it is an input, too, and ONNX infers nothing behind one; then the number is not known."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 5])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "x")],
        [helper.make_tensor("w", TensorProto.FLOAT, [4, 2, 1, 1], [0.0] * 8)],
    )
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    assert inspect(path)["models"][0]["macs"] is None

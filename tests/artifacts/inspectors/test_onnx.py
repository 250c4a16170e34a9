"""ONNX as `inspect` shows it: operators, quantization, data in other files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.tree import render

OPSETS = {"": 17, "com.microsoft": 1, "own": 3}


def shown(tmp_path: Path, nodes: list[Any], weights: Any = (), **more: Any) -> dict[str, Any]:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(weights),
    )
    imports = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    model = helper.make_model(graph, opset_imports=imports, ir_version=9, doc_string="made", **more)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    found = inspect(tmp_path / "m.onnx")
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def array(name: str, value: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def test_operators_that_nobody_knows_are_told(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Reluu", ["a"], ["b"]),
        helper.make_node("Magic", ["b"], ["c"], domain="com.microsoft"),
        helper.make_node("Twice", ["c"], ["d"], domain="own"),
        helper.make_node("Gelu", ["d"], ["e"]),
        helper.make_node("Else", ["e"], ["y"], domain="other"),
    ]
    twice = helper.make_function(
        "own",
        "Twice",
        ["p"],
        ["q"],
        [helper.make_node("Add", ["p", "p"], ["q"])],
        [helper.make_opsetid("", 17)],
    )
    found = shown(tmp_path, nodes, functions=[twice])
    (model,) = found["models"]
    assert {(item["domain"], item["op"]): item["why"] for item in model["unknown_operators"]} == {
        ("ai.onnx", "Gelu"): "not in operator set 17",
        ("ai.onnx", "Reluu"): "no operator of ONNX",
        ("com.microsoft", "Magic"): "ONNX defines no operators of this domain",
        ("other", "Else"): "the model imports no operator set of this domain",
    }
    assert model["domains"] == {"ai.onnx": 3, "com.microsoft": 1, "other": 1, "own": 1}
    assert found["functions"] == ["own.Twice"]
    assert (found["ir_version"], found["description"]) == (9, "made")


def test_integers_multiply_as_the_floats_that_they_stand_for(tmp_path: Path) -> None:
    scale, zero = array("s", np.float32(0.5)), array("z", np.uint8(3))
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], ["c"]),
        helper.make_node("DequantizeLinear", ["c", "s", "z"], ["y"]),
    ]
    found = shown(tmp_path, nodes, [scale, zero, array("w", np.zeros((4, 2, 3, 3), np.uint8))])
    (model,) = found["models"]
    assert model["macs"] == 4 * 6 * 6 * 2 * 9
    assert model["quantization"] == {
        "form": "qdq, qoperator",
        "quantize": 1,
        "dequantize": 1,
        "operators": {"QLinearConv": 1},
        "zero_point_types": {"uint8": 2},
        "per_channel": 0,
    }
    assert model["parameter_types"] == {"float32": 1, "uint8": 73} and model["initializers"] == 3
    assert shown(tmp_path, [helper.make_node("Relu", ["x"], ["y"])])["models"][0]["quantization"] is None


def test_a_quantized_model_per_channel(shared_data: Path) -> None:
    (model,) = inspect(shared_data / "models/onnx/tf2_mobilenet_v2_int8_qdq.onnx")["models"]
    assert (model["quantization"]["form"], model["quantization"]["per_channel"]) == ("qdq", 106)
    assert model["macs"] == 300775552


def test_data_in_other_files(tmp_path: Path) -> None:
    weights = [array(name, np.zeros(4, np.float32)) for name in ("a", "b", "c")]
    for tensor, place in zip(weights, ("w.bin", "gone.bin", "../up.bin"), strict=True):
        onnx.external_data_helper.set_external_data(tensor, place, 0, 16)
        tensor.ClearField("raw_data")
    (tmp_path / "w.bin").write_bytes(bytes(16))
    found = shown(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], weights)
    (model,) = found["models"]
    assert model["external_data"] == ["../up.bin", "gone.bin", "w.bin"]
    assert model["external_files"] == [
        {"name": "../up.bin", "size": None, "why": "it lies outside of the model's folder"},
        {"name": "gone.bin", "size": None, "why": "it is not there"},
        {"name": "w.bin", "size": 16, "why": None},
    ]

    assert found["checks"] == [
        {
            "what": "the files with weights are there",
            "ok": False,
            "why": "../up.bin: it lies outside of the model's folder; gone.bin: it is not there",
        },
        {"what": "weights have the bytes that their shapes ask for", "ok": True, "why": None},
    ]
    assert model["parameters"] == 12  # as the shapes say
    (tmp_path / "w.bin").unlink()
    (tmp_path / "w.bin").mkdir()
    (tmp_path / "gone.bin").symlink_to("nowhere")
    (model,) = inspect(tmp_path / "m.onnx")["models"]
    assert [file["why"] for file in model["external_files"][1:]] == [
        "it is a link to what is not there",
        "it is a folder",
    ]
    (tmp_path / "w.bin").rmdir()
    os.mkfifo(tmp_path / "w.bin")
    (model,) = inspect(tmp_path / "m.onnx")["models"]
    assert model["external_files"][2] == {"name": "w.bin", "size": None, "why": "it is a FIFO"}


def test_a_scalar_and_a_value_of_unknown_rank(tmp_path: Path) -> None:
    scalar = helper.make_tensor_value_info("s", TensorProto.FLOAT, [])
    several = helper.make_tensor_sequence_value_info("q", TensorProto.FLOAT, None)
    graph = helper.make_graph(
        [helper.make_node("SplitToSequence", ["u"], ["q"])],
        "net",
        [scalar, helper.make_tensor_value_info("u", TensorProto.FLOAT, None)],
        [several],
    )
    (tmp_path / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    found = inspect(tmp_path / "m.onnx")
    (model,) = found["models"]
    assert [(one["name"], one["shape"], one["dtype"]) for one in (*model["inputs"], *model["outputs"])] == [
        ("s", [], "float32"),
        ("u", None, "float32"),
        ("q", None, "sequence"),
    ]
    assert found["checks"] == []
    text = render(found)
    assert "s     scalar" in text and "u     unknown rank" in text


def test_nodes_in_branches(shared_data: Path) -> None:
    (model,) = inspect(shared_data / "models/onnx/silero_vad_16k_op15.onnx")["models"]
    assert (model["nodes"], model["subgraph_nodes"], model["domains"]) == (121, 229, {"ai.onnx": 350})
    assert model["unknown_operators"] == []


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Protobuf gives bytes for them."""
    node = helper.make_node("Relu", ["x"], ["y"], name="n", domain="dom")
    shown(tmp_path, [node, helper.make_node("Relu", ["x"], ["z"])])
    data = (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "m.onnx").write_bytes(data.replace(b"dom", b"d\xffm").replace(b"Relu", b"R\xfflu", 1))
    found = inspect(tmp_path / "m.onnx")
    assert json.loads(json.dumps(found)) == found
    assert found["models"][0]["domains"] == {"ai.onnx": 1, "d\ufffdm": 1}


def test_a_size_whose_name_is_no_text_is_shown_as_well_as_may_be(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["x"], ["y"], name="relu")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([node], "net", ports[:1], ports[1:]), ir_version=8)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString().replace(b"batch", b"b\xb6tch"))
    (found,) = inspect(tmp_path / "m.onnx", nodes=True)["models"]
    assert found["inputs"][0]["shape"] == found["node_list"][0]["shape"] == ["b\ufffdtch", 3]
    json.dumps(found)

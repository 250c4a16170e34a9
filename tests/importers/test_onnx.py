"""ONNX import: what is read, and one clear message for everything that is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import onnx_io
from modelbuild.importers.source import source_of

FLOAT, HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def model(
    nodes: list[onnx.NodeProto], constants: dict[str, Any] | None = None, kind: int = FLOAT, opset: int = 13
) -> ModelProto:
    """x [1, 4] -> y, with the constants as initializers."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    ports = [helper.make_tensor_value_info(name, kind, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def saved(folder: Path, proto: ModelProto) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def relu() -> ModelProto:
    return model([helper.make_node("Relu", ["x"], ["y"], name="act")])


def message(path: Path, **arguments: Any) -> str:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(path, **arguments)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)
    return " ".join(str(caught.value).split())


def test_source_facts_travel_with_the_graph(tmp_path: Path) -> None:
    proto = relu()
    proto.producer_name, proto.producer_version = "pytorch", "2.5"
    graph = importers.load(saved(tmp_path, proto))
    onnx_io.write(graph, tmp_path / "copy.onnx")
    assert source_of(onnx_io.read(tmp_path / "copy.onnx")) == {
        "format": "onnx", "producer": "pytorch 2.5", "opset": 13, "ir_version": 8, "nodes": 1,
        "comparable": True, "notes": ["operator set 13 converted to 17"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"", "empty"),
        (b"PK\x03\x04rest", "ZIP archive.*torch.onnx.export"),
        (b"garbage, garbage", "not an ONNX file"),
        (b"\x08\x08", "truncated or damaged"),
    ],
)
def test_what_lies_there_instead_of_a_model_is_named(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "m.onnx").write_bytes(data)
    assert _matches(words, message(tmp_path / "m.onnx"))


def test_missing_file_folder_and_truncation(tmp_path: Path) -> None:
    assert "there is no such file" in message(tmp_path / "none.onnx")
    (tmp_path / "folder.onnx").mkdir()
    assert "is a folder" in message(tmp_path / "folder.onnx")
    path = saved(tmp_path, relu())
    path.write_bytes(path.read_bytes()[:-5])
    assert "truncated or damaged" in message(path)


def test_a_file_format_of_the_future_is_named(tmp_path: Path) -> None:
    proto = relu()
    proto.ir_version = 99
    assert "the model file has IR version 99" in message(saved(tmp_path, proto))


def test_other_suffixes_say_how_to_export(tmp_path: Path) -> None:
    for suffix, word in ((".pt", "torch.onnx.export"), (".pb", "tf2onnx"), (".xyz", "convert the model")):
        assert word in message(tmp_path / f"m{suffix}")


def test_open_shapes_are_named_with_the_line_to_write(tmp_path: Path) -> None:
    proto = relu()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    path = saved(tmp_path, proto)
    assert _matches(
        r"input `x` .* dimension 0 \(`batch`\).*inputs: \{x: \{shape: \[1, 4\]\}\}", message(path)
    )
    assert importers.load(path, {"x": (3, 4)}).shapes["y"] == (3, 4)
    proto.graph.input[0].type.tensor_type.ClearField("shape")
    assert "input `x` has no shape" in message(saved(tmp_path, proto))


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"x": (1, 4), "z": (1,)}, "inputs.z: the model has no input `z`"),
        ({"x": (4,)}, r"inputs.x: .* has 1 dimensions; the model has 2.*own is \[batch, 4\]"),
        ({"x": (0, 4)}, "inputs.x: .* must be positive"),
        ({"x": (2, 5)}, r"inputs.x: .*\[2, 5\].* whose dimension 1 is 4.*own is \[batch, 4\].*: \[2, 4\]`"),
    ],
)
def test_shapes_that_the_model_does_not_take(
    tmp_path: Path, shapes: dict[str, tuple[int, ...]], words: str
) -> None:
    proto = relu()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "batch"
    with pytest.raises(ModelbuildError) as caught:
        importers.load(saved(tmp_path, proto), shapes)
    assert caught.value.exit_code == 2
    assert _matches(words, " ".join(str(caught.value).split()))


def test_a_fixed_batch_stays(tmp_path: Path) -> None:
    with pytest.raises(ModelbuildError, match="whose dimension 0 is 1") as caught:
        importers.load(saved(tmp_path, relu()), {"x": (2, 4)})
    assert "export the model for the other size" in str(caught.value)


@pytest.mark.parametrize(
    ("op", "domain", "words"),
    [
        ("Loop", "", "Loop `n` is not supported.*fixed sequence"),
        ("SequenceEmpty", "", "SequenceEmpty `n` is not supported"),
        ("FusedConv", "com.microsoft", "FusedConv `n` belongs to the operator domain `com.microsoft`"),
        ("QuantizeLinear", "", "QuantizeLinear `n` is not supported.*it has 1 inputs"),
        ("MatMulInteger", "", "MatMulInteger `n` is not supported.*its scale is found while it runs"),
        ("RandomNormal", "", "changes from run to run"),
        ("Nonsense", "", "Nonsense `n`"),
    ],
)
def test_unsupported_operators_are_refused_by_name(tmp_path: Path, op: str, domain: str, words: str) -> None:
    proto = model([helper.make_node(op, ["x"], ["y"], "n", domain=domain)])
    assert _matches(words, message(saved(tmp_path, proto)))


def test_refused_tails_can_be_cut_off(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"], "act"), helper.make_node("NonZero", ["a"], ["i"], "nz")]
    nodes.append(helper.make_node("SequenceConstruct", ["i"], ["y"], "tail"))
    path = saved(tmp_path, model(nodes))
    assert "`tail` is not supported" in message(path)
    graph = importers.load(path, edits=[{"cut": {"outputs": ["act"]}}])
    assert graph.outputs == ["a"]
    assert importers.check(path, graph) is None
    assert "did you mean `act`" in message(path, edits=[{"cut": {"outputs": ["akt"]}}])


def test_string_tensors_are_refused(tmp_path: Path) -> None:
    proto = model([helper.make_node("Add", ["x", "s"], ["y"])])
    proto.graph.initializer.append(helper.make_tensor("s", TensorProto.STRING, [1], [b"text"]))
    assert "the tensor `s` holds string" in message(saved(tmp_path, proto))


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_become_float32_and_say_so(tmp_path: Path, dtype: Any) -> None:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [helper.make_node("Mul", ["x", "w"], ["a"]), helper.make_node("Cast", ["a"], ["y"], to=kind)]
    path = saved(tmp_path, model(nodes, {"w": np.arange(4, dtype=dtype)}, kind))
    graph = importers.load(path)
    assert {str(graph.dtypes[name]) for name in ("x", "w", "y")} == {"float32"}
    notes = source_of(graph)["notes"]
    assert any("1 " + str(np.dtype(dtype)) in note for note in notes)
    assert any("`x` is float32 here" in note for note in notes)
    assert importers.check(path, graph) is None


def test_a_double_too_large_for_float32_is_refused(tmp_path: Path) -> None:
    proto = model([helper.make_node("Mul", ["x", "w"], ["y"])], {"w": np.array([1e200])}, TensorProto.DOUBLE)
    assert "`w` has values too large" in message(saved(tmp_path, proto))


def test_the_import_is_held_against_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, model([helper.make_node("Mul", ["x", "w"], ["y"])], {"w": np.float32(2)}))
    graph = importers.load(path)
    found = importers.check(path, graph)
    assert found is not None and found.worst.error == 0
    graph.constants["w"] = np.float32(3)
    with pytest.raises(ModelbuildError, match="the import changed the model") as caught:
        importers.check(path, graph)
    assert caught.value.exit_code == 1


def test_shared_models_that_are_refused(shared_data: Path) -> None:
    models = shared_data / "models/onnx"
    assert "If `/model/decoder/If` is not supported" in message(models / "silero_vad_16k_op15.onnx")
    assert "0 (`batch`), 2 (`height`), 3 (`width`)" in message(models / "yunet_n_dynamic.onnx")


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None

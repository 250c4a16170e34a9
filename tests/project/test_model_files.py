"""Errors of imports without a manifest: what is a matter of open sizes, and what is not."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from modelbuild import importers
from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError
from modelbuild.project.model_files import check_suffix, explained
from modelbuild.project.pack_manifest import PackRequest, text_of
from tests.artifacts.test_kinds import CONTENTS


def error_of(folder: Path, op: str, name: str, sizes: list[str | int]) -> ModelbuildError:
    ports = [helper.make_tensor_value_info(port, TensorProto.FLOAT, sizes) for port in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], name=name)], "net", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / "m.onnx"))
    with pytest.raises(ModelbuildError) as caught:
        importers.load(folder / "m.onnx")
    return caught.value


def test_open_sizes_are_told_as_options(tmp_path: Path) -> None:
    found = explained(error_of(tmp_path, "Relu", "act", ["n", 3, "h", 8]), tmp_path / "m.onnx", {})
    assert found.problems[0].advice == "say them: --input x=1,3,<?>,8"


@pytest.mark.parametrize(
    ("op", "sizes"), [("Relu", [1, 0]), ("SequenceConstruct", ["n", 4]), ("RandomUniformLike", [1, 4])]
)
def test_what_else_is_wrong_stays(tmp_path: Path, op: str, sizes: list[str | int]) -> None:
    """Whatever words its names put into the message."""
    error = error_of(tmp_path, op, "has no fixed size", sizes)
    assert explained(error, tmp_path / "m.onnx", {}) is error


def test_a_fixed_point_model_of_ours_is_no_source(tmp_path: Path) -> None:
    path = tmp_path / "net.fixed.onnx"
    path.write_bytes(CONTENTS[Kind.FIXED_ONNX])
    with pytest.raises(
        ModelbuildError, match=r"net\.fixed\.onnx is a fixed-point model of modelbuild"
    ) as caught:
        check_suffix(path)
    assert "`source: net.fixed.onnx`" in caught.value.problems[0].advice


def test_pack_proposes_no_size_but_the_batch(tmp_path: Path) -> None:
    ports = [helper.make_tensor_value_info(port, TensorProto.FLOAT, ["n", 3, "h", 8]) for port in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(ModelbuildError) as caught:
        text_of(PackRequest("m.onnx", "k210", tmp_path, ["*.png"]))
    assert caught.value.problems[0].advice == "say them: --shape x=1,3,<?>,8"

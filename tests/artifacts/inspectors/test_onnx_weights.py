"""The constants of ONNX: all of them counted, none that cannot be there; MACs, or why there are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.inspectors.onnx_weights import constants
from tests.artifacts.inspectors.test_onnx import array, shown

RULE = "weights have the bytes that their shapes ask for"


def constant(name: str, value: Any) -> Any:
    return helper.make_node("Constant", [], [name], value=array(name, value))


def branch(*nodes: Any, weights: Any = ()) -> Any:
    value = helper.make_tensor_value_info("o", TensorProto.FLOAT, None)
    return helper.make_graph(list(nodes), "branch", [], [value], list(weights))


def rule(found: dict[str, Any]) -> dict[str, Any]:
    (told,) = (check for check in found["checks"] if check["what"] == RULE)
    return told


def test_constants_are_counted_in_both_and_in_branches(tmp_path: Path) -> None:
    inner = branch(constant("o", np.zeros(5, np.float32)), weights=[array("i", np.zeros(7, np.int64))])
    outer = branch(
        helper.make_node("If", ["c"], ["o"], then_branch=inner, else_branch=branch()),
        helper.make_node("Constant", [], ["ints"], value_ints=[1, 2, 3]),
    )
    nodes = [
        constant("k", np.zeros((2, 2), np.float32)),
        helper.make_node("Constant", [], ["f"], value_float=1.0),
        helper.make_node("If", ["c"], ["y"], then_branch=outer, else_branch=branch()),
    ]
    found = shown(tmp_path, nodes, [array("c", np.array(True))])
    (model,) = found["models"]
    assert model["parameter_types"] == {"bool": 1, "float32": 4 + 1 + 5, "int64": 7 + 3}
    assert model["parameters"] == sum(model["parameter_types"].values())
    assert rule(found)["ok"]


def test_those_of_functions_are_counted_once(tmp_path: Path) -> None:
    body = [constant("k", np.zeros(6, np.float32)), helper.make_node("Add", ["p", "k"], ["q"])]
    twice = helper.make_function("own", "Twice", ["p"], ["q"], body, [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain="own")]
    assert shown(tmp_path, nodes, functions=[twice])["models"][0]["parameters"] == 6


def test_real_models_agree(shared_data: Path) -> None:
    for name, count in (
        ("ppocr_cls_v2", 133633),
        ("ultraface_rfb_320", 307683),
        ("silero_vad_16k_op15", 309795),
    ):
        (model,) = inspect(shared_data / f"models/onnx/{name}.onnx")["models"]
        assert model["parameters"] == sum(model["parameter_types"].values()) == count


def tensor(dims: list[int], data: bytes, kind: int = TensorProto.FLOAT) -> TensorProto:
    return TensorProto(name="w", dims=dims, data_type=kind, raw_data=data)


@pytest.mark.parametrize(
    ("weight", "why"),
    [
        (tensor([-4, 3, 3, 3], b"1234"), "w: no shape is [-4, 3, 3, 3]"),
        (tensor([1 << 40, 1 << 40], b"1234"), f"w: of the shape [{1 << 40}, {1 << 40}] it has 4 bytes"),
        (tensor([2], b"1234"), "w: of the shape [2] it has 4 bytes"),
        (tensor([3], b"12", TensorProto.INT4), None),
        (tensor([5], b"12", TensorProto.INT4), "w: of the shape [5] it has 2 bytes"),
        (tensor([9], b"1", 99), "w: of the shape [9] it has 1 bytes"),
        (tensor([8], b"1", 99), None),
        (TensorProto(name="w", dims=[2], data_type=1, float_data=[1]), "w: of the shape [2] it has 1 values"),
        (TensorProto(name="w", dims=[2], data_type=TensorProto.INT8, int32_data=[1, 2]), None),
        (TensorProto(name="w", dims=[2], data_type=TensorProto.COMPLEX64, float_data=[1.0] * 4), None),
        (TensorProto(name="w", dims=[2], data_type=TensorProto.STRING, string_data=[b"a", b"b"]), None),
        (TensorProto(name="w", dims=[0, 1 << 40], data_type=TensorProto.FLOAT), None),
    ],
)  # fmt: skip
def test_bytes_that_the_shape_asks_for(weight: TensorProto, why: str | None, tmp_path: Path) -> None:
    found = shown(tmp_path, [helper.make_node("Conv", ["x", "w"], ["y"])], [weight])
    assert rule(found) == {"what": RULE, "ok": why is None, "why": why}
    (model,) = found["models"]
    assert 0 <= model["parameters"] < 20 and (why is None or model["parameters"] == 0)
    assert model["macs"] is None or 0 <= model["macs"] < 1 << 53


def test_many_wrong_ones_are_named_in_part(tmp_path: Path) -> None:
    weights = [tensor([2], b"") for _ in range(300)]
    for place, weight in enumerate(weights):
        weight.name = f"w{place}"
    why = rule(shown(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], weights))["why"]
    assert why.endswith("; and 296 more") and why.count("it has 0 bytes") == 4


def test_weights_beside_the_model(tmp_path: Path) -> None:
    def beside(name: str, dims: list[int], **told: int) -> TensorProto:
        made = TensorProto(
            name=name, dims=dims, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
        )
        made.external_data.add(key="location", value="w.bin")
        for key, value in told.items():
            made.external_data.add(key=key, value=str(value))
        return made

    (tmp_path / "w.bin").write_bytes(bytes(16))
    weights = [
        beside("right", [2], offset=8, length=8),
        beside("short", [2], offset=0, length=4),
        beside("behind", [3], offset=8),
        beside("huge", [1 << 50, 1 << 50]),
    ]
    found = shown(tmp_path, [helper.make_node("Relu", ["x"], ["y"])], weights)
    assert rule(found)["why"] == (
        "short: of the shape [2] it has 4 bytes; behind: of the shape [3] its file ends after 8 bytes of it; "
        "huge: of the shape [1125899906842624, 1125899906842624] its file ends after 16 bytes of it"
    )
    assert found["models"][0]["parameters"] == 2


def test_an_open_batch_counts_as_one(shared_data: Path) -> None:
    """As TFLite has it for the same network."""
    (model,) = inspect(shared_data / "models/onnx/mlperf_resnet8.onnx")["models"]
    assert (model["macs"], model["macs_why"]) == (12501632, None)
    assert not isinstance(model["inputs"][0]["shape"][0], int)
    (model,) = inspect(shared_data / "models/onnx/yunet_n_dynamic.onnx")["models"]
    assert model["macs"] is None and model["macs_why"].startswith("the shapes at Conv ")


def test_shapes_that_are_no_network_have_no_macs(tmp_path: Path) -> None:
    weight = numpy_helper.from_array(np.zeros((4, 2, 3, 3), np.float32), "w")
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 1 << 40, 1 << 40])
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "net",
        [value],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    (told,) = inspect(tmp_path / "m.onnx")["models"]
    assert (told["macs"], told["macs_why"]) == (None, "the shapes are larger than any that can run")
    assert [one.numbers for one in constants(model, {})] == [72]

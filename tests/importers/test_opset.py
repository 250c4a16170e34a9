"""Older and newer operator sets give what onnxruntime gives on the file itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild import importers
from modelbuild.errors import ModelbuildError
from modelbuild.graph import guard
from modelbuild.graph.normalise import normalise

CASES: list[tuple[int, str, list[Any], dict[str, Any]]] = [
    (8, "Softmax", [], {"axis": 1}),
    (12, "Softmax", [], {"axis": 2}),
    (11, "LogSoftmax", [], {}),
    (7, "Clip", [], {"min": -0.5, "max": 0.5}),
    (8, "Pad", [], {"pads": [0, 0, 1, 0, 0, 0, 0, 2], "value": 1.5}),
    (9, "Slice", [], {"starts": [1, 0], "ends": [3, -1], "axes": [2, 3]}),
    (9, "Slice", [], {"starts": [0, 1], "ends": [1, 2]}),
    (11, "Squeeze", [], {"axes": [0]}),
    (11, "Unsqueeze", [], {"axes": [0, 2]}),
    (11, "ReduceSum", [], {"axes": [1], "keepdims": 0}),
    (7, "Upsample", [], {"scales": [1.0, 1.0, 2.0, 3.0], "mode": "nearest"}),
    (9, "Upsample", [np.float32([1, 1, 2, 2])], {"mode": "linear"}),
    (10, "Resize", [np.float32([1, 1, 2, 2])], {"mode": "nearest"}),
    (10, "Resize", [np.float32([1, 1, 0.5, 0.5])], {"mode": "nearest"}),
    (11, "Resize", [np.zeros(0, np.float32), np.float32([1, 1, 2, 2])], {"mode": "linear"}),
    (
        11,
        "Resize",
        [np.zeros(0, np.float32), np.zeros(0, np.float32), np.array([1, 2, 7, 9])],
        {"mode": "nearest"},
    ),
    (8, "Dropout", [], {"ratio": 0.3}),
    (18, "ReduceMean", [np.array([2, 3])], {"keepdims": 1}),
    (18, "ReduceL2", [np.array([-1])], {}),
    (18, "ReduceMax", [], {}),
    (18, "Pad", [np.array([1, 2]), np.float32(0.5), np.array([3])], {"mode": "constant"}),
    (18, "Resize", [None, np.float32([2, 2])], {"axes": [2, 3], "mode": "nearest"}),
    (19, "Resize", [None, None, np.array([8, 9])], {"axes": [2, 3], "mode": "linear"}),
    (18, "Mish", [], {}),
    (20, "Gelu", [], {}),
    (20, "Gelu", [], {"approximate": "tanh"}),
    (19, "AveragePool", [], {"kernel_shape": [2, 2], "dilations": [1, 1]}),
    (22, "Elu", [], {}),
]


def saved(folder: Path, opset: int, op: str, inputs: list[Any], attributes: dict[str, Any]) -> Path:
    names = ["" if value is None else f"i{i}" for i, value in enumerate(inputs)]
    given = zip(names, inputs, strict=True)
    constants = [numpy_helper.from_array(np.asarray(v), name) for name, v in given if v is not None]
    node = helper.make_node(op, ["x", *names], ["y"], "n", **attributes)
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


@pytest.mark.parametrize(
    ("opset", "op", "inputs", "attributes"), CASES, ids=[f"{c[1]}-{c[0]}" for c in CASES]
)
def test_same_values(
    tmp_path: Path, opset: int, op: str, inputs: list[Any], attributes: dict[str, Any]
) -> None:
    path = saved(tmp_path, opset, op, inputs, attributes)
    graph = importers.load(path)
    assert graph.opset == 17
    assert importers.check(path, graph) is not None
    guard.check(path, normalise(graph)[0])


@pytest.mark.parametrize("count", [2, 3])
def test_split_by_a_number_of_outputs(tmp_path: Path, count: int) -> None:
    node = helper.make_node("Split", ["x"], [f"y{i}" for i in range(count)], axis=1, num_outputs=count)
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])]
    made = [helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, None) for i in range(count)]
    model = helper.make_model(
        helper.make_graph([node], "g", ports, made), opset_imports=[helper.make_opsetid("", 18)]
    )
    model.ir_version = 8
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    importers.check(path, importers.load(path))


@pytest.mark.parametrize(
    ("opset", "op", "inputs", "attributes", "words"),
    [
        (6, "Relu", [], {}, "operator set 6"),
        (onnx.defs.onnx_opset_version() + 1, "Relu", [], {}, "modelbuild reads 7 to"),
        (
            18,
            "Resize",
            [None, np.float32([1, 1, 0.5, 0.5])],
            {"antialias": 1},
            "Resize `n` has `antialias = 1`",
        ),
        (19, "Pad", [np.array([0, 0, 9, 0, 0, 0, 0, 0])], {"mode": "wrap"}, "Pad `n` wraps [9, 0]"),
        (
            19,
            "AveragePool",
            [],
            {"kernel_shape": [2, 2], "dilations": [2, 2]},
            "AveragePool `n` has `dilations",
        ),
        (18, "BitwiseNot", [], {}, "BitwiseNot `n`"),
    ],
)
def test_what_has_no_form_in_the_working_set_is_refused(
    tmp_path: Path, opset: int, op: str, inputs: list[Any], attributes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ModelbuildError) as caught:
        importers.load(saved(tmp_path, opset, op, inputs, attributes))
    assert caught.value.exit_code == 2
    assert words in str(caught.value)

"""TFLite as `inspect` shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.inspectors.tflite_macs import MACS, Reading
from modelbuild.errors import ModelbuildError
from tests.importers.tflite.builder import TFLite


def model(shared_data: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = inspect(shared_data / f"models/tflite/{name}.tflite")["models"][0]
    return found


@pytest.mark.parametrize(
    ("name", "macs", "parameters", "quantization"),
    [
        ("mlperf_resnet8_float", 12501632, 77708, None),
        ("mlperf_resnet8_int8", 12501632, 77708, ("integer", 17, 20, 18, {"int32": 10, "int8": 27})),
        ("mlperf_kws_dscnn_int8", 2656768, 22606, ("integer", 14, 20, 18, {"int32": 10, "int8": 24})),
        ("yolov5n_fp16", 2234060800, 1884286, ("float16", 0, 120, 0, {"float16": 120})),
    ],
)
def test_real_models(shared_data: Path, name: str, macs: int, parameters: int, quantization: Any) -> None:
    found = model(shared_data, name)
    assert (found["macs"], found["parameters"]) == (macs, parameters)
    assert sum(found["parameter_types"].values()) == parameters
    told = found["quantization"] and tuple(found["quantization"].values())
    if name == "yolov5n_fp16":
        assert told[0] == "float16" and set(told[4]) == {"float16"} and told[2] > 100
    else:
        assert told == quantization
    assert found["unknown_operators"] == [] and found["external_tensors"] == 0


def test_metadata_versions_and_signatures(shared_data: Path) -> None:
    found = inspect(shared_data / "models/tflite/yolov5n_fp16.tflite")
    assert found["metadata"]["min_runtime_version"] == "2.3.0"
    assert found["signatures"] == [
        {"name": "serving_default", "subgraph": 0, "inputs": ["input_1"], "outputs": ["tf_detect"]}
    ]
    assert found["operator_versions"] == {"DEQUANTIZE": [2], "RESIZE_NEAREST_NEIGHBOR": [3]}


def test_operators_that_nobody_knows(shared_data: Path, tmp_path: Path) -> None:
    """The number of an operator made one that there is none of."""
    data = (shared_data / "models/tflite/mlperf_resnet8_float.tflite").read_bytes()
    from modelbuild.formats import flatbuffer

    code = flatbuffer.root(data, "x").tables(1)[0]
    place = code.offset(0)
    assert place is not None
    altered = bytearray(data)
    altered[place] = 32  # CUSTOM
    new = code.offset(3)
    if new is not None:
        altered[new] = 32
    (tmp_path / "m.tflite").write_bytes(bytes(altered))
    (entry,) = inspect(tmp_path / "m.tflite")["models"][0]["unknown_operators"]
    assert entry["op"] == "CUSTOM" and "custom operator" in entry["why"] and entry["count"] >= 1


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "count"),
    [
        ("CONV_2D", [(1, 8, 8, 3), (16, 3, 3, 3)], [(1, 8, 8, 16)], 1024 * 27),
        ("DEPTHWISE_CONV_2D", [(1, 8, 8, 4), (1, 3, 3, 8)], [(1, 8, 8, 8)], 512 * 9),
        ("TRANSPOSE_CONV", [(4,), (5, 2, 2, 3), (1, 4, 4, 3)], [(1, 8, 8, 5)], 48 * 20),
        ("FULLY_CONNECTED", [(2, 10), (7, 10)], [(2, 7)], 140),
        ("BATCH_MATMUL", [(3, 4, 5), (3, 5, 6)], [(3, 4, 6)], 72 * 5),
    ],
)
def test_multiply_accumulates(op: str, inputs: Any, outputs: Any, count: int) -> None:
    assert MACS[op](Reading(inputs, outputs, None)) == count
    with pytest.raises(LookupError):
        MACS[op](Reading([() for _ in inputs], outputs, None))


@pytest.mark.parametrize("count", [65, 60_000])
def test_a_tensor_of_too_many_axes_is_refused(count: int, tmp_path: Path) -> None:
    """The product of their sizes would have more digits than anybody waits for."""
    made = TFLite()
    x, y = made.tensor("x", [2**31 - 1] * count), made.tensor("y", [1])
    made.add("ADD", [x, x], [y])
    (tmp_path / "m.tflite").write_bytes(made.build([x], [y]))
    with pytest.raises(ModelbuildError, match=f"a tensor has {count} axes"):
        inspect(tmp_path / "m.tflite")

"""TFLite as `inspect` shows it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.inspectors.tflite import _lacking, _macs
from modelbuild.artifacts.inspectors.tflite_macs import MACS, Reading
from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer
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


def test_bytes_behind_the_model(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "models/tflite/mlperf_kws_dscnn_int8.tflite").read_bytes()
    whole = {"offset": 0, "size": len(data), "what": "FlatBuffer", "known": True}
    for behind, what, known in ((b"junk!", "unknown", False), (bytes(9), "padding", True)):
        (tmp_path / "m.tflite").write_bytes(data + behind)
        rest = {"offset": len(data), "size": len(behind), "what": what, "known": known}
        assert inspect(tmp_path / "m.tflite")["parts"] == [whole, rest]
    coral = shared_data / "models/tflite/coral_mobilenet_v1_0.25_128_quant.tflite"
    (tmp_path / "m.tflite").write_bytes(coral.read_bytes() + b"junk")
    assert [(part["what"], part["size"], part["known"]) for part in inspect(tmp_path / "m.tflite")["parts"]][
        1:
    ] == [("ZIP of files that go with the model", coral.stat().st_size - 503776, True), ("unknown", 4, False)]
    (tmp_path / "m.tflite").write_bytes(coral.read_bytes()[:-30])
    assert inspect(tmp_path / "m.tflite")["parts"][-1] | {"size": 0} == {
        "offset": 503776,
        "size": 0,
        "what": "ZIP without its end",
        "known": False,
    }
    labelled = inspect(coral)
    assert [(part["offset"], part["what"]) for part in labelled["parts"]] == [
        (0, "FlatBuffer"),
        (503776, "ZIP of files that go with the model"),
    ]
    assert labelled["checks"] == [
        {"what": "constants have the bytes that their shapes ask for", "ok": True, "why": None}
    ]


def test_constants_whose_bytes_cannot_be_those_of_the_shape(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "models/tflite/mlperf_kws_dscnn_int8.tflite").read_bytes()
    table = flatbuffer.root(data, "x").tables(2)[0].tables(0)
    (number, start) = next(
        (table[number].integers(0, "i"), table[number].span(0, 4)[0])
        for number in range(len(table))
        if len(table[number].integers(0, "i")) == 4 and table[number].integers(0, "i")[0] > 1
    )
    altered = bytearray(data)
    altered[start : start + 4] = (-number[0]).to_bytes(4, "little", signed=True)
    (tmp_path / "m.tflite").write_bytes(bytes(altered))
    found = inspect(tmp_path / "m.tflite")
    (check,) = found["checks"]
    assert not check["ok"] and f"no shape is [-{number[0]}, " in check["why"]
    assert 0 < found["models"][0]["parameters"] < 22606


@pytest.mark.parametrize(
    ("shape", "dtype", "stored", "why"),
    [
        ((2, 3), "int8", 6, ""),
        ((2, 3), "int16", 6, "of the shape [2, 3] it has 6 bytes"),
        ((5,), "int4", 3, ""),
        ((5,), "string", 3, ""),
        ((1 << 30, 1 << 30), "string", 3, "no file can hold the shape [1073741824, 1073741824]"),
        ((-1,), "int8", 1, "no shape is [-1]"),
    ],
)
def test_bytes_of_a_shape(shape: tuple[int, ...], dtype: str, stored: int, why: str) -> None:
    assert _lacking(shape, dtype, stored, False) == why
    assert _lacking((4,), "int8", 1, True) == "" and _lacking((4,), "int8", 0, False) == ""


def test_macs_that_are_open_have_a_reason(shared_data: Path) -> None:
    (found,) = inspect(shared_data / "models/tflite/mlperf_resnet8_int8.tflite")["models"]
    assert (found["macs"], found["macs_why"]) == (12501632, None)
    closed, graph = _macs_of((1, 4, 4, 8)), _macs_of(())
    assert closed == (4 * 4 * 8 * 3 * 3 * 3, None) and graph == (None, "the shapes at a CONV_2D are open")
    assert _macs_of((1, 1 << 30, 1 << 30, 8)) == (None, "the shapes are larger than any that can run")


def _macs_of(output: tuple[int, ...]) -> tuple[int | None, str | None]:
    """Of one convolution by 3 x 3 of 3 channels."""

    class Node:
        def integer(self, slot: int, form: str) -> int:
            return 0

        def integers(self, slot: int, form: str) -> tuple[int, ...]:
            return (0, 1) if slot == 1 else (2,)

        def table(self, slot: int) -> None:
            return None

    tensors = [
        SimpleNamespace(shape=shape, signature=shape) for shape in ((1, 4, 4, 3), (8, 3, 3, 3), output)
    ]
    return _macs([Node()], ["CONV_2D"], tensors)  # type: ignore[list-item,arg-type]


@pytest.mark.parametrize("count", [65, 60_000])
def test_a_tensor_of_too_many_axes_is_refused(count: int, tmp_path: Path) -> None:
    """The product of their sizes would have more digits than anybody waits for."""
    made = TFLite()
    x, y = made.tensor("x", [2**31 - 1] * count), made.tensor("y", [1])
    made.add("ADD", [x, x], [y])
    (tmp_path / "m.tflite").write_bytes(made.build([x], [y]))
    with pytest.raises(ModelbuildError, match=f"a tensor has {count} axes"):
        inspect(tmp_path / "m.tflite")

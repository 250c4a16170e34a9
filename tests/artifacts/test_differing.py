"""`diff`: the object for every kind."""

from __future__ import annotations

import dataclasses
import json
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild.artifacts import differing_weights
from modelbuild.artifacts.differing import diff
from modelbuild.artifacts.differing_text import render
from modelbuild.artifacts.differing_weights import Weight
from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mpk, tar
from modelbuild.quantize import fixed_onnx
from modelbuild.report import inspected
from tests.artifacts.test_inspect import reshape_model
from tests.artifacts.test_kinds import CONTENTS
from tests.formats import archive_sources, kmodel_sources, mpk_sources, nef_sources
from tests.formats.archive_sources import files_tarred
from tests.formats.mutations import mutate
from tests.importers.tflite.builder import TFLite

KEYS = {"kind", "equal", "a", "b", "metadata", "models", "weights", "parts", "sizes", "timing"}


def differ(tmp_path: Path, a: bytes, b: bytes, name: str = "file") -> dict[str, Any]:
    for folder, data in (("a", a), ("b", b)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(data)
    found = diff(tmp_path / "a" / name, tmp_path / "b" / name)
    assert set(found) == KEYS
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["equal"] is (a == b)
    assert "\x1b" not in render(found)
    return found


def changed(found: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item for item in found["weights"] if not item["equal"]}


def keys(items: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    return {item["key"]: (item["a"], item["b"]) for item in items}


def convolution(weight: np.ndarray[Any, Any], *, stride: int = 1, name: str = "conv") -> bytes:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name=name, strides=[stride, stride]),
        helper.make_node("Relu", ["a"], ["y"], name="act"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(np.arange(3), "unused")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(deterministic=True)


W = np.ones((3, 2, 3, 3), np.float32)


def test_equal_models(tmp_path: Path) -> None:
    found = differ(tmp_path, convolution(W), convolution(W))
    assert found["metadata"] == [] and found["parts"] == []
    assert [model["change"] for model in found["models"]] == ["same"]
    assert [(item["name"], item["change"], item["snr_db"]) for item in found["weights"]] == [
        ("w", "same", None),
        ("unused", "same", None),
    ]
    assert render(found).endswith("onnx, the same bytes\n")


def test_weights_of_onnx_by_snr(tmp_path: Path) -> None:
    found = differ(tmp_path, convolution(W), convolution(W * np.float32(1.125)))
    (entry,) = changed(found).values()
    assert entry["name"] == "w" and entry["change"] == "changed" and entry["max_abs"] == 0.125
    assert entry["snr_db"] == pytest.approx(20 * np.log10(8))
    assert entry["a"]["shape"] == [3, 2, 3, 3] and entry["a"]["dtype"] == "float32"
    assert "  changed  w    18.1    0.125  3x2x3x3 float32  3x2x3x3 float32" in render(found)


def test_codes_become_numbers_a_piece_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differing_weights, "_CHUNK", 5)
    dice = np.random.default_rng(1)
    a, b = (dice.integers(-128, 128, (3, 4, 2)).astype(np.int8) for _ in range(2))
    scales, zeros = dice.random((1, 4, 1)), dice.integers(-3, 4, (3, 1, 1)).astype(np.float64)
    x, y = (a - zeros) * scales, (b - zeros) * scales
    weights = (Weight(lambda codes=codes: codes, (scales, zeros)) for codes in (a, b))  # type: ignore[misc]
    entry = differing_weights.compare("w", *weights)
    assert entry["snr_db"] == pytest.approx(10 * np.log10((x * x).sum() / ((y - x) ** 2).sum()))
    assert entry["max_abs"] == pytest.approx(np.abs(y - x).max())


def test_weights_that_cannot_be_held_against_each_other(tmp_path: Path) -> None:
    other = changed(differ(tmp_path, convolution(W), convolution(W[:2])))["w"]
    assert (other["snr_db"], other["why"]) == (None, "the shapes differ")
    holes = W.copy()
    holes[0, 0, 0, 0] = np.nan
    assert (
        changed(differ(tmp_path, convolution(W), convolution(holes)))["w"]["why"]
        == "some are infinite, no numbers, or too large to be squared"
    )
    assert changed(differ(tmp_path, convolution(holes), convolution(holes))) == {}
    wide = changed(differ(tmp_path, convolution(W), convolution(W.astype(np.float64))))["w"]
    assert (wide["snr_db"], wide["why"]) == (None, "the same numbers in another form")


def test_nodes_with_their_attributes(tmp_path: Path) -> None:
    found = differ(tmp_path, convolution(W), convolution(W, stride=2))
    (model,) = found["models"]
    assert model["change"] == "changed" and model["layers"]["same"] == 1
    assert model["layers"]["changed"] == [
        {"name": "conv", "differences": [{"key": "attributes.strides", "a": [1, 1], "b": [2, 2]}]}
    ]
    found = differ(tmp_path, convolution(W), convolution(W, name="other\x1b[2J"))
    layers = found["models"][0]["layers"]
    assert [item["name"] for item in layers["removed"]] == ["conv"]
    assert layers["added"] == [{"name": "other\x1b[2J", "op": "Conv"}]
    assert "+  other\\x1b[2J  Conv" in render(found)


def test_external_data_that_is_not_there_is_told(tmp_path: Path) -> None:
    model = onnx.ModelProto.FromString(convolution(W))
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "gone.bin")
    model.graph.initializer[0].ClearField("raw_data")
    data = model.SerializeToString()
    entry = changed(differ(tmp_path, data, convolution(W)))["w"]
    assert entry["a"] is None and "gone.bin" in entry["why"]


def test_codes_of_a_quantized_model_are_the_numbers_that_they_stand_for(tmp_path: Path) -> None:
    def quantized(codes: int, scale: float) -> bytes:
        nodes = [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=0)]
        graph = helper.make_graph(
            nodes,
            "net",
            [],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
            [
                numpy_helper.from_array(np.full((2, 3), codes, np.int8), "q"),
                numpy_helper.from_array(np.full(2, scale, np.float32), "s"),
                numpy_helper.from_array(np.full(2, 2, np.int8), "z"),
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())

    entry = changed(differ(tmp_path, quantized(4, 0.5), quantized(4, 0.25)))["q"]
    assert entry["max_abs"] == 0.5 and entry["snr_db"] == pytest.approx(20 * np.log10(2))
    entry = changed(differ(tmp_path, quantized(3, 0.5), quantized(4, 0.25)))["q"]
    assert entry["why"] == "the same numbers in another form"


def test_scales_that_do_not_fit_the_codes_are_told(tmp_path: Path) -> None:
    def quantized(codes: int, axis: int) -> bytes:
        nodes = [helper.make_node("DequantizeLinear", ["q", "s"], ["y"], axis=axis)]
        output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 3])
        weights = [
            numpy_helper.from_array(np.full((4, 3), codes, np.int8), "q"),
            numpy_helper.from_array(np.full(4, 0.5, np.float32), "s"),
        ]
        graph = helper.make_graph(nodes, "net", [], [output], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())

    assert changed(differ(tmp_path, quantized(1, 0), quantized(2, 0)))["q"]["max_abs"] == 0.5
    entry = changed(differ(tmp_path, quantized(1, 0), quantized(2, 1)))["q"]
    assert (entry["snr_db"], entry["why"]) == (None, "there are not as many scales as the shape wants")


def test_a_float_tflite_against_its_integers(shared_data: Path) -> None:
    folder = shared_data / "models/tflite"
    found = diff(folder / "mlperf_resnet8_float.tflite", folder / "mlperf_resnet8_int8.tflite")
    weights = changed(found)
    assert 35 < weights["model/conv2d_8/Conv2D"]["snr_db"] < 55
    assert weights["model/conv2d_8/Conv2D"]["b"]["dtype"] == "int8"
    assert found["models"][0]["layers"]["same"] == 14


def test_a_constant_of_impossible_sizes_is_bytes(tmp_path: Path) -> None:
    def made(shape: list[int]) -> bytes:
        model = TFLite()
        x, y = model.tensor("x", [4]), model.tensor("y", [4])
        weights = model.constant("w", np.arange(4, dtype=np.int32))
        model.tensors[weights].shape = shape
        model.add("ADD", [x, weights], [y])
        return model.build([x], [y])

    for shape in ([-1, -4], [1 << 16] * 4):
        entry = changed(differ(tmp_path, made([4]), made(shape)))["w"]
        assert entry["a"]["shape"] == [4] and entry["b"]["shape"] is None


def test_fixed_models(tmp_path: Path) -> None:
    one = reshape_model()
    other = dataclasses.replace(
        one, tensors={name: dataclasses.replace(t, scale=0.25) for name, t in one.tensors.items()}
    )
    found = differ(tmp_path, fixed_onnx.to_bytes(one), fixed_onnx.to_bytes(other))
    assert found["kind"] == "fixed_onnx"
    (layer,) = found["models"][0]["layers"]["changed"]
    assert [item["key"] for item in layer["differences"]] == ["makes[y].scale"]
    assert keys(found["models"][0]["differences"])["inputs[x].scale"] == (0.5, 0.25)


def nef(*models: Any) -> bytes:
    return nef_sources.build("720", "flatbuffer", 0x80000000, *models)


def test_nefs(tmp_path: Path) -> None:
    one, other = nef_sources.source(), nef_sources.source(weight=b"\1" * 91)
    found = differ(tmp_path, nef(one), nef(other))
    assert set(changed(found)) == {"model 32768/weight"}
    entry = changed(found)["model 32768/weight"]
    assert entry["snr_db"] is None and entry["a"]["size"] == entry["b"]["size"] == 91
    assert entry["a"]["sha256"] != entry["b"]["sha256"]
    whats = {part["what"] for part in found["parts"]}
    assert "weight of model 32768" in whats and "command of model 32768" not in whats
    assert found["models"][0]["change"] == "same"
    assert "checksums[file].stored" in keys(found["metadata"])


def test_models_of_nefs_are_paired_by_id(tmp_path: Path) -> None:
    models = [nef_sources.source(number) for number in range(3)]
    found = differ(tmp_path, nef(*models[:2]), nef(*models[1:]))
    assert [(model["id"], model["change"]) for model in found["models"]] == [
        (32768, "removed"),
        (32769, "changed"),
        (32770, "added"),
    ]
    assert {item["key"] for item in found["models"][1]["differences"]} <= {
        f"memory.{name}.address" for name in ("input", "output", "working", "command", "weight", "setup")
    } | {f"setup.segments[{name}].address" for name in ("input", "output", "working", "command", "weight")}
    assert "model 32770 model_2: added" in render(found)
    assert {"what": "model 32770 weight bytes", "a": None, "b": 101} in found["sizes"]


def test_a_single_model_with_another_id_is_still_the_one(tmp_path: Path) -> None:
    found = differ(tmp_path, nef(nef_sources.source()), nef(nef_sources.source(id=5)))
    assert keys(found["models"][0]["differences"])["id"] == (32768, 5)


def test_mpks_with_times(tmp_path: Path) -> None:
    one = mpk.build(mpk_sources.source())
    other = mpk.build(mpk_sources.source(layers=(("conv_1", 80), ("view", 0), ("fc", 7))))
    found = differ(tmp_path, one, other)
    times = {item["what"]: (item["a"], item["b"]) for item in found["timing"]}
    assert times["cycles"] == (107, 87) and times["fps"][0] < times["fps"][1]
    (layer,) = found["models"][0]["layers"]["changed"]
    assert layer == {"name": "MLA_0/conv_1", "differences": [{"key": "cycles", "a": 100, "b": 80}]}
    assert changed(found) == {}
    assert "  cycles " in render(found) and "-18.7 %" in render(found)


def test_kmodels(tmp_path: Path) -> None:
    data = bytearray(kmodel_sources.version3())
    registers = data.index(kmodel_sources.registers(3, 4, 16, 16))
    data[registers + 4 * 8] |= 0x10
    found = differ(tmp_path, kmodel_sources.version3(), bytes(data))
    (layer,) = found["models"][0]["layers"]["changed"]
    assert [item["key"] for item in layer["differences"]] == ["pool"]
    assert found["kind"] == "kmodel" and found["parts"]


def test_sima_arrays(tmp_path: Path) -> None:
    arrays = {name: np.asarray(value) for name, value in archive_sources.ARRAYS.items()}
    name = next(name for name, array in arrays.items() if array.dtype.kind in "fi" and array.size > 1)
    other = arrays | {name: arrays[name] * 3}
    found = differ(
        tmp_path,
        archive_sources.sima(),
        archive_sources.sima(arrays=archive_sources.npz(other)),
        "net.sima",
    )
    entry = changed(found)[f"net.npz/{name}"]
    assert entry["snr_db"] is not None or entry["why"]


def test_archives_packed_or_not(tmp_path: Path) -> None:
    files = {"a.txt": b"hello", "b.txt": b"there"}
    found = differ(tmp_path, tar.write(files), files_tarred(files | {"b.txt": b"other"}, packing="w"))
    told = keys(found["metadata"])
    assert told["packed"] == ("gzip", "no") and "members[b.txt].sha256" in told
    assert "members[a.txt].sha256" not in told


def test_sections_of_elfs(tmp_path: Path) -> None:
    def program(content: bytes) -> bytes:
        return elf.write([elf.NewSection("code.r0.c0", content), elf.NewSection("filter.0", b"weights")])

    found = differ(tmp_path, program(b"one"), program(b"two and more"))
    assert set(changed(found)) >= {"code.r0.c0"} and "filter.0" not in changed(found)
    assert keys(found["metadata"])["sections[code.r0.c0].size"] == (3, 12)


def test_closed_files(tmp_path: Path) -> None:
    found = differ(tmp_path, bytes(range(200)), bytes(range(1, 201)), "input.kdp520.scaled.bie")
    assert changed(found)["encrypted"]["a"]["size"] == 200


def test_bytes_that_nothing_tells(tmp_path: Path) -> None:
    data = convolution(W)
    model = onnx.ModelProto.FromString(data)
    shuffled = b"".join(
        part.SerializeToString()
        for part in (
            onnx.ModelProto(graph=model.graph),
            onnx.ModelProto(ir_version=8, opset_import=model.opset_import),
        )
    )
    found = differ(tmp_path, data, shuffled)
    assert found["metadata"] == [] and changed(found) == {}
    assert "nothing differs in what modelbuild reads of them, but their bytes do" in render(found)


def test_different_kinds_are_refused_with_both_named(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(convolution(W))
    (tmp_path / "b.nef").write_bytes(nef(nef_sources.source()))
    (tmp_path / "c.onnx").write_bytes(fixed_onnx.to_bytes(reshape_model()))
    with pytest.raises(ModelbuildError, match=r"a\.onnx is onnx, and b\.nef is nef") as caught:
        diff(tmp_path / "a.onnx", tmp_path / "b.nef")
    assert caught.value.exit_code == 2
    with pytest.raises(ModelbuildError, match=r"a\.onnx is onnx, and c\.onnx is fixed_onnx"):
        diff(tmp_path / "a.onnx", tmp_path / "c.onnx")


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind in ("nef", "mpk", "tar", "zip", "sima")])
def test_every_container_against_itself(kind: Any, tmp_path: Path) -> None:
    found = differ(tmp_path, CONTENTS[kind], CONTENTS[kind])
    assert found["metadata"] == [] and changed(found) == {}


def test_real_kmodels_and_nefs_against_themselves(shared_data: Path) -> None:
    for path in sorted((shared_data / "artifacts").rglob("*.*")):
        if path.suffix in (".nef", ".kmodel"):
            found = diff(path, path)
            assert found["equal"] and found["metadata"] == [] and changed(found) == {}
            assert all(model["change"] == "same" for model in found["models"])


ALTERED = {
    "onnx": convolution(W),
    "fixed": fixed_onnx.to_bytes(reshape_model()),
    "kmodel": kmodel_sources.version5(),
    **{str(kind): CONTENTS[kind] for kind in (Kind.NEF, Kind.MPK, Kind.TAR, Kind.ZIP, Kind.SIMA, Kind.ELF)},
}


@pytest.mark.parametrize("name", ALTERED)
def test_altered_files_give_an_object_or_our_error(name: str, tmp_path: Path) -> None:
    dice = random.Random(3)
    (tmp_path / "a").write_bytes(ALTERED[name])
    for _ in range(60):
        (tmp_path / "b").write_bytes(mutate(ALTERED[name], dice))
        try:
            found = diff(tmp_path / "a", tmp_path / "b")
        except ModelbuildError as error:
            assert error.exit_code == 2
        else:
            assert json.loads(json.dumps(found, allow_nan=False)) == found
            assert render(found) and inspected.page_of_diff(found)


def test_numbers_too_large_to_be_squared(tmp_path: Path) -> None:
    huge = W.astype(np.float64) * 1e300
    entry = changed(differ(tmp_path, convolution(W.astype(np.float64)), convolution(huge)))["w"]
    assert entry["snr_db"] is None and "too large" in entry["why"]


def test_arrays_of_a_zip_in_either_order(tmp_path: Path) -> None:
    values = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    one = archive_sources.npz({"a": values, "flags": np.array([True, False])})
    other = archive_sources.npz({"a": np.asfortranarray(values.astype("<i2") + 1), "flags": np.array([True])})
    found = differ(tmp_path, one, other, "x.npz")
    told = changed(found)
    assert told["a"]["a"]["shape"] == [2, 3, 4] and told["a"]["max_abs"] == 1.0
    assert told["a"]["snr_db"] == pytest.approx(10 * np.log10(np.sum(np.arange(24.0) ** 2) / 24))
    assert told["flags"]["why"] == "the shapes differ"
    same = archive_sources.npz(
        {"a": np.asfortranarray(values.astype("<i2")), "flags": np.array([True, False])}
    )
    assert changed(differ(tmp_path, one, same, "x.npz")) == {}


def test_parts_that_overlap_without_end_are_refused(tmp_path: Path) -> None:
    """A ZIP of 40 KB with a thousand entries for one member."""
    data = archive_sources.zipped({"a.bin": bytes(10_000)}, zipfile.ZIP_STORED)
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entries = b"".join(
        data[start : start + 46] + b"%05d" % number + data[start + 51 : end] for number in range(1000)
    )
    tail = struct.pack("<4s4x2H2IH", b"PK\5\6", 1000, 1000, len(entries), start, 0)
    with pytest.raises(ModelbuildError, match="overlap too often"):
        differ(tmp_path, data, data[:start] + entries + tail)

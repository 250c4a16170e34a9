"""docs/inspect.md has every key of every kind, and no other."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.inspectors import nef as inspector
from modelbuild.artifacts.kinds import Kind
from modelbuild.formats import elf, flatbuffer, mpk, sealed
from modelbuild.formats.flatbuffer_schema import UnknownField
from modelbuild.formats.nef_tensor import NefTensor
from modelbuild.formats.sealed_keys import Secrets
from modelbuild.quantize import fixed_onnx
from modelbuild.quantize import record as records
from tests.artifacts.inspectors.test_fixed_onnx import RECORD
from tests.artifacts.inspectors.test_mpk import vendor
from tests.artifacts.test_inspect import reshape_model
from tests.artifacts.test_kinds import CONTENTS
from tests.formats import archive_sources, kmodel_sources, mpk_sources, nef_sources
from tests.formats.archive_sources import files_tarred
from tests.npu.simulator.hand_written import COPY, tiny

PAGE = (Path(__file__).resolve().parents[2] / "docs/inspect.md").read_text(encoding="utf-8")
# Mappings whose keys are out of the file, and so are not documented one by one
BY_NAME = {
    *("operators", "opset", "metadata", "operator_versions", "parameter_types", "domains", "types"),
    *("zero_point_types", "steps", "tensors", "constants", "methods", "corrections", "unknown_tags"),
    *("words", "nodes", "values", "layouts", "arrays", "operands", "stack", "registers", "reserved"),
    "format",
}


def paths(value: Any, parent: str = "") -> Iterator[tuple[str, str]]:
    """(where, key) of every key; cores within cores are as the outer ones."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield parent or ".", key
            if key not in BY_NAME or not isinstance(item, dict):
                yield from paths(item, f"{parent}.{key}" if parent else key)
    elif isinstance(value, list):
        place = parent.replace("cores[].cores", "cores")
        for item in value:
            yield from paths(item, f"{place}[]")


def documented(kind: str) -> set[tuple[str, str]]:
    """(where, key) in the rows of the kind's section."""
    return rows(kind)


def rows(title: str) -> set[tuple[str, str]]:
    section = re.split(rf"^### {title}$", PAGE, flags=re.M)[1]
    section = re.split(r"^##", section, maxsplit=1, flags=re.M)[0]
    found = set()
    for row in re.findall(r"^\| (`.*?) \| (.*) \|$", section, flags=re.M):
        keys = re.findall(r"(?:^|; )`([\w]+)`", row[1])
        found |= {(where, key) for where in re.findall(r"`([^`]+)`", row[0]) for key in keys}
    return found


def of_nef(folder: Path, data: Path) -> Iterator[Path]:
    for platform, setup, base in nef_sources.GENERATIONS:
        yield written(folder, nef_sources.build(platform, setup, base, nef_sources.source()))
    command, weights, host = tiny(COPY)
    own = nef_sources.source(command=command, weight=weights, host=host)
    yield written(folder, nef_sources.build("720", "flatbuffer", 0x80000000, own))
    yield from sorted(data.rglob("artifacts/nef/*.nef"))


def rare_of_nef() -> Iterator[tuple[str, str]]:
    """What no file here has: tensors with all that a setup can say of them, and fields of no schema."""
    values = {"npu_shape": (1, 2), "points": ((1.0, 1), (1.0, 2)), "location": "input", "strides": (1,)}
    tensor = NefTensor("x", (1, 3), 4, 1, 1.0, 0, 3, aligned_size=4, constant_size=3, **values)  # type: ignore[arg-type]
    unknown = UnknownField("NEFHeader", 99, 1, 4, b"1234")
    for side in ("inputs", "outputs"):
        yield from paths(inspector._tensor(tensor, "720"), f"models[].{side}[]")
        yield from paths(inspector._tensor(tensor, "720")["channels"], f"models[].{side}[].channels")
    for where in ("unknown", "kne.unknown", "models[].setup.unknown"):
        yield from paths(inspector._unknown([unknown]), where)
    bank = SimpleNamespace(bank=1, kind="read", buffer="input")
    block = SimpleNamespace(
        **dict.fromkeys(("schema", "compiler_version", "core_number", "run_value")),
        **dict.fromkeys(("encryption_key", "const_input", "buffers", "cores"), ()),
        encryption_mode=0,
        dma_banks=[bank],
    )
    yield from paths(inspector._kne_model(block, "730"), "models[].kne")  # type: ignore[arg-type]
    node = SimpleNamespace(name="n", op="o", code=1, layer=0, options=[], inputs=(), outputs=())
    yield from paths(inspector._node(node), "models[].cpu_nodes[]")  # type: ignore[arg-type]


def of_kmodel(folder: Path, data: Path) -> Iterator[Path]:
    for make in kmodel_sources.ALL.values():
        yield written(folder, make())
    yield from sorted(data.rglob("artifacts/kmodel/*.kmodel"))


def of_mpk(folder: Path, data: Path) -> Iterator[Path]:
    yield written(folder, CONTENTS[Kind.MPK])
    command, weights, host = tiny(COPY)
    yield written(folder, mpk.build(mpk_sources.source(command=command, weight=weights, host=host)))
    files = vendor(["quantization_transform", "MLA"], something_new=1)
    files["net_stage1_mla_stats.yaml"] = (
        b"0: {name: a, start_cycle: 5, end_cycle: 9}\n1: {name: b, start_cycle: 8, end_cycle: 19}"
    )
    program = [elf.NewSection("code.r0.c0", b"c"), elf.NewSection("data.odd.b0", None, 48)]
    files["net_stage1_mla.elf"] = elf.write(program)
    yield written(folder, files_tarred(files))


def of_onnx(folder: Path, data: Path) -> Iterator[Path]:
    yield written(folder, CONTENTS[Kind.ONNX])
    weight = numpy_helper.from_array(np.zeros((2, 2), np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s"], ["q"]),
            helper.make_node("Odd", ["q"], ["y"], domain="own"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [weight],
    )
    yield written(folder, helper.make_model(graph).SerializeToString())


def of_tflite(folder: Path, data: Path) -> Iterator[Path]:
    yield from sorted(data.rglob("models/tflite/*.tflite"))
    (path, *_) = sorted(data.rglob("models/tflite/mlperf_resnet8_float.tflite"))
    altered = bytearray(path.read_bytes())
    code = flatbuffer.root(bytes(altered), "x").tables(1)[0]
    for slot in (0, 3):
        place = code.offset(slot)
        if place is not None:
            altered[place] = 32
    yield written(folder, bytes(altered))


def of_fixed(folder: Path, data: Path) -> Iterator[Path]:
    model = reshape_model()
    operators = tuple(dataclasses.replace(item, unit="cpu") for item in model.operators)
    fixed_onnx.write(dataclasses.replace(model, operators=operators), folder / "m.fixed.onnx")
    records.write(RECORD, folder / "m.quant.txt")
    yield folder / "m.fixed.onnx"
    (folder / "m.quant.txt").write_text("no record")
    yield folder / "m.fixed.onnx"


def of_archive(folder: Path, data: Path) -> Iterator[Path]:
    yield written(folder, CONTENTS[Kind.TAR_GZ])
    yield written(folder, CONTENTS[Kind.TAR])


def of_zip(folder: Path, data: Path) -> Iterator[Path]:
    yield written(folder, archive_sources.npz())
    yield written(folder, archive_sources.zipped({"a.npy": b"nothing"}))


def of_sima(folder: Path, data: Path) -> Iterator[Path]:
    yield written(folder, archive_sources.sima())


def of_elf(folder: Path, data: Path) -> Iterator[Path]:
    yield written(folder, elf.write([elf.NewSection("code.r0.c0", b"code")]))


def of_sealed(folder: Path, data: Path) -> Iterator[Path]:
    yield written(folder, sealed.seal(b"package", Secrets(b"k" * 16, b"file", None), "nef"))


def of_bie(folder: Path, data: Path) -> Iterator[Path]:
    path = folder / "input.kdp520.scaled.bie"
    path.write_bytes(bytes(range(1, 200)))
    yield path


def of_imported(folder: Path, data: Path) -> Iterator[Path]:
    yield from sorted(data.rglob("models/keras/*.h5"))[:1]


def written(folder: Path, data: bytes) -> Path:
    path = folder / f"file{len(list(folder.iterdir()))}"
    path.write_bytes(data)
    return path


SOURCES = {
    "nef": of_nef,
    "mpk": of_mpk,
    "kmodel": of_kmodel,
    "onnx": of_onnx,
    "fixed_onnx": of_fixed,
    "tflite": of_tflite,
    "tar": of_archive,
    "zip": of_zip,
    "sima": of_sima,
    "sealed": of_sealed,
    "bie": of_bie,
    "elf": of_elf,
    "imported": of_imported,
}


def seen(kind: str, folder: Path, data: Path) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for path in SOURCES[kind](folder, data):
        found |= set(paths(inspect(path)))
    return found | set(rare_of_nef()) if kind == "nef" else found


@pytest.mark.parametrize("kind", SOURCES)
def test_every_key_is_documented_and_no_other(kind: str, tmp_path: Path, shared_data: Path) -> None:
    told, found = documented(kind), seen(kind, tmp_path, shared_data)
    found -= rows("Lists of every kind")
    assert found - told == set(), "not in docs/inspect.md"
    assert told - found == set(), "in docs/inspect.md, but of no object"

"""What a file is: decided by its bytes, whatever it is called."""

from __future__ import annotations

import gzip
import random
import zipfile
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from modelbuild.artifacts.kinds import Kind, identify
from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mpk, tar
from tests.formats import archive_sources, fuzzing, mpk_sources, nef_sources
from tests.formats.archive_sources import files_tarred
from tests.formats.mutations import mutate


def model(**properties: str) -> bytes:
    """A small ONNX model with metadata properties."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [result])
    proto = helper.make_model(graph, producer_name="test", opset_imports=[helper.make_opsetid("", 17)])
    helper.set_model_props(proto, properties)
    return proto.SerializeToString()


CONTENTS = {
    Kind.ONNX: model(),
    Kind.FIXED_ONNX: model(**{"modelbuild.arithmetic": "multiplier_shift@1", "modelbuild.chip": "kl720"}),
    Kind.NEF: nef_sources.build("720", "flatbuffer", 0x80000000, nef_sources.source()),
    Kind.MPK: mpk.build(mpk_sources.source()),
    Kind.TAR_GZ: tar.write({"readme.txt": b"hello"}),
    Kind.TAR: files_tarred({"readme.txt": b"hello"}, packing="w"),
    Kind.GZIP: gzip.compress(b"no archive"),
    Kind.SIMA: archive_sources.sima(),
    Kind.ZIP: archive_sources.zipped({"a.txt": b"hello"}),
    Kind.ELF: elf.write([]),
    Kind.LFS_POINTER: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    Kind.TFLITE: b"\x1c\0\0\0TFL3" + bytes(40),
    Kind.HDF5: b"\x89HDF\r\n\x1a\n" + bytes(40),
    Kind.EMPTY: b"",
    Kind.UNKNOWN: b"just some text that is no model at all\n",
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("name", ["file", "file.onnx", "file.nef", "file.tar.gz"])
def test_content_decides(kind: Kind, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENTS[kind])
    assert identify(path) is kind


def test_kinds_of_zip(tmp_path: Path) -> None:
    cases = {
        Kind.SIMA: ("net.yaml", "net.npz"),
        Kind.KERAS: ("config.json", "model.weights.h5", "metadata.json"),
        Kind.ZIP: ("a.txt",),
    }
    for kind, names in cases.items():
        path = tmp_path / kind
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"")
        assert identify(path) is kind
    (tmp_path / "broken").write_bytes(b"PK\x03\x04" + bytes(30))
    assert identify(tmp_path / "broken") is Kind.ZIP
    (tmp_path / "broken.fp32.sima").write_bytes(b"PK\x03\x04" + bytes(30))
    assert identify(tmp_path / "broken.fp32.sima") is Kind.SIMA
    (tmp_path / "empty").write_bytes(archive_sources.zipped({}))
    assert identify(tmp_path / "empty") is Kind.ZIP


def test_an_mpk_is_known_packed_or_not_and_by_any_member(tmp_path: Path) -> None:
    files = {"../evil": b"", "etc/mpk.json": b"{}"}
    for packing, bare in (("w:gz", Kind.TAR_GZ), ("w", Kind.TAR)):
        (tmp_path / "a").write_bytes(files_tarred(files, packing=packing))
        assert identify(tmp_path / "a") is Kind.MPK
        (tmp_path / "b").write_bytes(files_tarred({"a": b""}, packing=packing))
        assert identify(tmp_path / "b") is bare


def test_altered_archives_have_a_kind(tmp_path: Path) -> None:
    dice = random.Random(5)
    path = tmp_path / "file"
    kinds = (Kind.TAR, Kind.TAR_GZ, Kind.MPK, Kind.SIMA, Kind.ZIP, Kind.ELF)
    for number in range(600):
        path.write_bytes(mutate(CONTENTS[kinds[number % len(kinds)]], dice))
        assert isinstance(identify(path), Kind)


def test_a_bie_is_known_by_name_alone(tmp_path: Path) -> None:
    path = tmp_path / "input.kdp520.scaled.bie"
    path.write_bytes(bytes(range(1, 200)))
    assert identify(path) is Kind.BIE
    path.write_bytes(CONTENTS[Kind.ONNX])
    assert identify(path) is Kind.ONNX


def test_truncated_models_are_still_models(tmp_path: Path) -> None:
    path = tmp_path / "cut"
    for size in (10, 20, len(CONTENTS[Kind.ONNX]) // 2):
        path.write_bytes(CONTENTS[Kind.ONNX][:size])
        assert identify(path) is Kind.ONNX
    path = tmp_path / "digits_mpk.sim.tar.gz"
    path.write_bytes(CONTENTS[Kind.MPK][:200])
    assert identify(path) is Kind.MPK


def test_the_key_must_be_a_property_not_some_text(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(model(note="modelbuild.arithmetic is what this is not"))
    assert identify(path) is Kind.ONNX


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelbuildError) as caught:
            identify(path)
        assert caught.value.exit_code == 2 and str(path) in str(caught.value)


def test_every_shared_file_is_known(shared_data: Path) -> None:
    suffixes = {".onnx": Kind.ONNX, ".tflite": Kind.TFLITE, ".h5": Kind.HDF5, ".nef": Kind.NEF}
    suffixes[".kmodel"] = Kind.KMODEL
    paths = [path for path in sorted(shared_data.rglob("*")) if path.suffix in suffixes]
    assert len(paths) > 40
    for path in paths:
        assert identify(path) is suffixes[path.suffix], path


def test_real_models_cut_in_half_are_known(shared_data: Path, tmp_path: Path) -> None:
    for source in sorted((shared_data / "models/onnx").glob("*.onnx")):
        path = tmp_path / "cut"
        path.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        assert identify(path) is Kind.ONNX, source
        with pytest.raises(onnx.onnx_cpp2py_export.checker.ValidationError):
            onnx.checker.check_model(str(path))


@pytest.mark.parametrize(
    "data",
    [b"\n" * 300_000, b"layer" + b" " * 300_000 + b"x", b"layer\n" * 100_000, b" \n" * 100_000 + b"layers {"],
    ids=["lines", "blanks", "layers", "a network"],
)
def test_a_long_text_takes_no_longer_than_its_length(data: bytes) -> None:
    def read(data: bytes) -> str:
        path = fuzzing.folder() / "file"
        path.write_bytes(data)
        return str(identify(path))

    assert fuzzing.once(read, data) == (Kind.PROTOTXT if data.endswith(b"{") else Kind.UNKNOWN)


@pytest.mark.parametrize(
    "text", ["layer {", "layers{", "layer :{", "layers:\n\n {", "\t layer { name", "a: 1\r\nlayer {"]
)
def test_a_network_of_caffe_is_text_with_a_layer(text: str, tmp_path: Path) -> None:
    (tmp_path / "net").write_text(f"name: 'n'\n{text}\n", newline="")
    assert identify(tmp_path / "net") is Kind.PROTOTXT
    (tmp_path / "net").write_text(f"name: 'n' {text}", newline="\n")
    assert (identify(tmp_path / "net") is Kind.PROTOTXT) is ("\nlayer" in text)

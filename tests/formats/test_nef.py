"""NEF: what we build is what an independent reader finds, and what the vendor built is read in full."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, nef, nef_header, program_envelope
from modelbuild.formats.nef import NefTensor
from tests.formats import independent_nef
from tests.formats.nef_sources import GENERATIONS, build, source

EVERY = pytest.mark.parametrize(("platform", "setup", "base"), GENERATIONS)


@EVERY
@pytest.mark.parametrize("count", [1, 2, 5])
def test_an_independent_reader_finds_what_was_put_in(
    platform: str, setup: str, base: int, count: int
) -> None:
    models = [source(number) for number in range(count)]
    found = independent_nef.parse(build(platform, setup, base, *models))
    assert found["target"] == platform
    assert found["toolchain"] == "modelbuild/9.9.9"
    assert [info["id"] for info in found["infos"]] == [model.id for model in models]
    assert [info["name"] for info in found["infos"]] == [model.name for model in models]
    versions = [f"{0xA0F + i:04x}" if setup == "kne" else str(0xA0F + i) for i in range(count)]
    assert [info["version"] for info in found["infos"]] == versions
    for model, read in zip(models, found["models"], strict=True):
        assert read["id"] == model.id
        assert read["weight"] == model.weight
        magic, version, command, host = struct.unpack_from("<4s3I", read["cmd"])
        assert (magic, version) == (b"MBCS", 1)
        assert read["cmd"][16 : 16 + command] == model.command
        assert read["cmd"][16 + command : 16 + command + host] == model.host


@EVERY
def test_an_independent_reader_finds_the_tensors(platform: str, setup: str, base: int) -> None:
    model = source(1)
    read = independent_nef.parse(build(platform, setup, base, model))["models"][0]
    io = read["io"]
    assert io["inputs"][0]["shape"] == [1, 3, 6, 10]
    assert io["inputs"][0]["radix"] == 7
    assert [(t["radix"], t["scale"]) for t in io["outputs"]] == [(5, 1.25), (-2, 1.75)]
    assert io["outputs"][0]["shape"] == [1, 4, 3, 5]
    if setup.startswith("legacy"):
        assert io["outputs"][1]["shape"] == [1, 10, 1, 1]
        base_address = read["output_addr"] if platform == "520" else 0
        assert io["supers"] == [base_address, base_address + 64]
    else:
        assert io["outputs"][1]["shape"] == [1, 10]
        assert [t["name"] for t in io["outputs"]] == ["scores", "boxes"]
        assert [t["entry"] for t in io["outputs"]] == [0, 64]
        assert [t["size"] for t in io["outputs"]] == [60, 10]
        assert (read["cpu"] if setup == "kne" else io["cpu"]) == ["softmax_0"]


@EVERY
def test_reading_gives_back_what_was_built(platform: str, setup: str, base: int) -> None:
    models = [source(number) for number in range(3)]
    data = build(platform, setup, base, *models)
    read = nef.read(data)
    assert nef.write(read) == data
    assert (read.generation, read.target, read.silicon) == (setup, f"kl{platform}", False)
    assert all(item.ok for item in read.checksums)
    for model, found in zip(models, read.models, strict=True):
        assert (found.command, found.weight, found.host) == (model.command, model.weight, model.host)
        assert (found.id, found.name, found.version) == (model.id, model.name, model.version_number)
        assert [t.radix for t in found.outputs] == [5, -2]
        assert [t.scale for t in found.outputs] == [1.25, 1.75]


@EVERY
def test_equal_models_give_equal_bytes(platform: str, setup: str, base: int) -> None:
    assert build(platform, setup, base, source(0), source(1)) == build(
        platform, setup, base, source(0), source(1)
    )


def test_buffers_are_shared_as_the_vendor_shares_them() -> None:
    data = build("520", "legacy520", 0x60000000, source(0), source(4))
    first, second = independent_nef.parse(data)["models"]
    assert first["input_addr"] == second["input_addr"] == 0x60000000
    assert first["buf_addr"] == second["buf_addr"]
    assert second["output_addr"] >= first["output_addr"] + first["output_len"]
    assert (first["buf_len"], second["buf_len"]) == (1000, 1064)


def test_a_second_input_is_described_where_the_setup_has_room() -> None:
    inputs = (
        NefTensor("a", (1, 2, 4, 4), 4, 7, 1.0, 0, 32),
        NefTensor("b", (1, 8), 4, 6, 1.0, 32, 8),
    )
    model = source(0, inputs=inputs, input_size=40)
    for platform, setup, base in GENERATIONS:
        found = nef.read(build(platform, setup, base, model)).models[0].inputs
        if platform == "520":
            assert [tensor.shape for tensor in found] == [(1, 2, 4, 4)]
            assert found[0].size == 40
        else:
            assert [tensor.radix for tensor in found] == [7, 6]


def test_the_vendor_file_is_read_in_full(shared_data: Path) -> None:
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    read = nef.read(data)
    assert (read.generation, read.target, read.silicon) == ("legacy520", "kl520", True)
    assert read.toolchain_version == "kneron/toolchain:v0.13.1"
    assert [(item.what, item.ok) for item in read.checksums] == [
        ("file", True),
        ("header.crc", True),
        ("fw_info.all_models", True),
        ("fw_info.model 32", True),
        ("fw_info.model 5", True),
        ("fw_info", True),
    ]
    first, second = read.models
    assert (first.id, first.version, len(first.command), len(first.weight)) == (32, 0xB08D, 37396, 696832)
    assert (second.id, second.version, len(second.command), len(second.weight)) == (5, 0x6226, 2476, 338384)
    assert [tensor.shape for tensor in first.inputs] == [(1, 3, 200, 200)]
    assert len(first.outputs) == 8 and first.outputs[-1].shape == (1, 8, 25, 25)
    assert [tensor.shape for tensor in second.outputs] == [(1, 2, 1, 1), (1, 10, 1, 1)]
    assert second.outputs[0].address == second.regions.output.address if second.regions else False


def test_the_vendor_file_comes_out_byte_for_byte(shared_data: Path) -> None:
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    assert nef.write(nef.read(data)) == data


def test_the_independent_reader_takes_the_vendor_file_too(shared_data: Path) -> None:
    found = independent_nef.parse((shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes())
    assert [model["id"] for model in found["models"]] == [32, 5]


def test_a_file_of_2020_has_no_tail_and_a_short_firmware_block() -> None:
    old = nef.read(build("520", "legacy520", 0x60000000, source(0)))
    info = old.firmware_info
    assert info is not None
    header = replace(old.file.header, crc=0, uuid=0, schema=None)
    short = fw_info.encode(replace(info, checksum=None, model_checksums=None, own_checksum=None))
    assert len(short) == 68
    data = nef.write(replace(old, file=replace(old.file, header=header, firmware_info=short, tail=None)))
    read = nef.read(data)
    assert read.checksums == ()
    assert read.models[0].command == source(0).command
    assert nef.write(read) == data


def test_an_altered_weight_breaks_the_checksums_above_it() -> None:
    data = build("720", "flatbuffer", 0x80000000, source(0))
    place = data.index(source(0).weight)
    broken = bytearray(data)
    broken[place] ^= 1
    read = nef.read(bytes(broken))
    assert {item.what for item in read.checksums if not item.ok} == {
        "file",
        "header.crc",
        "fw_info.all_models",
        "fw_info.model 32768",
    }
    with pytest.raises(ModelbuildError, match="checksums do not agree") as caught:
        nef.check(read)
    assert caught.value.exit_code == 2


def test_a_list_of_more_models_than_a_file_has_room_for_is_refused() -> None:
    file = nef.read(build("520", "legacy520", 0x60000000, source(0))).file
    assert file.infos is not None
    for count in (128, 129):
        data = nef_header.seal(replace(file, infos=file.infos * count))
        if count == 128:
            assert len(nef.read(data).file.infos or ()) == 128
        else:
            with pytest.raises(ModelbuildError, match="its list claims 129 models"):
                nef.read(data)


def test_an_encrypted_file_is_listed_without_its_contents() -> None:
    plain = nef.read(build("720", "flatbuffer", 0x80000000, source(0)))
    header = replace(plain.file.header, encryption_mode=1)
    scrambled = bytes(byte ^ 0x5A for byte in plain.file.all_models)
    data = nef.write(replace(plain, file=replace(plain.file, header=header, all_models=scrambled)))
    read = nef.read(data)
    assert read.encrypted
    assert (read.models[0].id, read.models[0].inputs) == (32768, ())


@pytest.mark.parametrize(
    ("schema", "number", "chip"),
    [((0, 0, 0), 0, "kl520"), ((1, 0, 1), 4, "kl630"), ((2, 2, 1), 1, "kl520"), ((3, 0, 0), 4, "kl730")],
)
def test_both_numberings_of_the_target_are_known(
    schema: tuple[int, int, int], number: int, chip: str
) -> None:
    plain = nef.read(build("730", "kne", 0x80000000, source(0)))
    header = replace(plain.file.header, schema=schema, target=number)
    data = nef.write(replace(plain, file=replace(plain.file, header=header)))
    assert nef.read(data).target == chip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": 0}, "id of model"),
        ({"id": 1 << 31}, "id of model"),
        ({"version": "12g4"}, "four hexadecimal digits"),
        ({"version": 0x10000}, "four hexadecimal digits"),
        ({"inputs": ()}, "no inputs"),
        ({"output_size": 60}, "outside its output buffer"),
        ({"working_size": 1 << 32}, "32-bit addresses"),
    ],
)
def test_models_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ModelbuildError, match=message):
        build("720", "flatbuffer", 0x80000000, source(0, **changes))


def test_packages_that_cannot_be_are_refused() -> None:
    with pytest.raises(ModelbuildError, match="both have the id"):
        build("720", "flatbuffer", 0, source(0), source(0))
    with pytest.raises(ModelbuildError, match="at least one model"):
        build("720", "flatbuffer", 0)
    with pytest.raises(ModelbuildError, match="has no NEF with setup"):
        build("520", "flatbuffer", 0, source(0))
    with pytest.raises(ModelbuildError, match="does not start with"):
        nef.build("520", "legacy520", 0, [source(0)], "kneron/toolchain:v0.20", "x")


def test_an_envelope_that_claims_too_much_is_refused() -> None:
    section = program_envelope.wrap(b"abc", b"de")
    assert program_envelope.unwrap(section + bytes(9)) == (b"abc", b"de")
    with pytest.raises(ModelbuildError, match="after its"):
        program_envelope.unwrap(section[:-1])


def test_sections_that_overlap_without_bound_are_refused() -> None:
    plain = nef.read(build("520", "legacy520", 0x60000000, *(source(i) for i in range(5))))
    info = plain.firmware_info
    assert info is not None
    whole = fw_info.Region(info.records[0].command.address, len(plain.file.all_models))
    records = tuple(replace(record, command=whole, weight=whole) for record in info.records)
    firmware = fw_info.encode(replace(info, records=records))
    with pytest.raises(ModelbuildError, match="overlap"):
        nef.read(nef.write(replace(plain, file=replace(plain.file, firmware_info=firmware))))


def test_the_tail_is_the_crc_of_what_comes_before() -> None:
    data = build("630", "flatbuffer", 0x80000000, source(2))
    assert data[-4:] == zlib.crc32(data[:-4]).to_bytes(4, "little")

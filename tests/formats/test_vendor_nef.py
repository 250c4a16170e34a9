"""NEFs of every generation as the facts describe the vendor's: read in full, written back byte for byte."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, nef, nef_parts
from modelbuild.formats.kne import KneModel
from modelbuild.formats.nef_header import NefHeader
from modelbuild.formats.setup_flatbuffer import FlatbufferSetup
from modelbuild.formats.setup_legacy import LegacySetup
from tests.formats import independent_nef
from tests.formats import vendor_nef as vendor
from tests.formats.vendor_nef import Table

NO_SUMS = Table({2: ("u32", 0), 8: ("u32", 0)})


def of_2020(**changes: Any) -> bytes:
    """A file without checksums, schema and list of models."""
    settings = {"schema": None, "tail": False, "short": True, "infos": None, "header": NO_SUMS}
    return vendor.simple("520", vendor.setup_520, 0x60000000, **settings, **changes)


FILES = {
    "legacy520": vendor.simple("520", vendor.setup_520, 0x60000000, (32, 5)),
    "2020": of_2020(),
    "legacy720": vendor.simple("720", vendor.setup_720, 0x80000000, (1, 2)),
    **{
        f"flatbuffer {chip} {mode}": vendor.simple(
            chip, vendor.setup_flatbuffer(chip, code), 0x80000000, (1, 2)
        )
        for chip in ("720", "530", "630", "730")
        for code, mode in ((1, "absolute"), (2, "relative"))
    },
    "kne": vendor.kne((211, 212)),
    "kne before 3.0.4": vendor.kne((211, 212), old=True),
}
EVERY = pytest.mark.parametrize("name", FILES)


@EVERY
def test_it_comes_out_byte_for_byte(name: str) -> None:
    read = nef.read(FILES[name])
    assert nef.write(read) == FILES[name]
    assert all(item.ok for item in read.checksums) and all(item.ok for item in read.checks)


@EVERY
def test_every_byte_is_known(name: str) -> None:
    data = FILES[name]
    parts = nef_parts.parts(nef.read(data))
    assert [part for part in parts if not part.known] == []
    end = 0
    for part in parts:
        assert part.offset <= end
        end = max(end, part.offset + part.size)
    assert end == len(data)
    assert [part.offset for part in parts] == sorted(part.offset for part in parts)


def test_sections_are_parts() -> None:
    data = FILES["legacy520"]
    parts = {part.what: part for part in nef_parts.parts(nef.read(data))}
    for model in nef.read(data).models:
        for name, content in (("command", model.command), ("weight", model.weight), ("setup", model.setup)):
            part = parts[f"{name} of model {model.id}"]
            assert data[part.offset : part.offset + part.size] == content
    kne = nef.read(FILES["kne"]).models
    data = FILES["kne"]
    found = [part for part in nef_parts.parts(nef.read(data)) if part.what == "command"]
    commands = {data[part.offset : part.offset + part.size] for part in found}
    assert {unit[0] for model in kne for unit in model.block.units} == commands  # type: ignore[union-attr]


@EVERY
def test_the_checksums_are_those_of_the_generation(name: str) -> None:
    found = [item.what for item in nef.read(FILES[name]).checksums]
    if name == "2020":
        assert found == []
    elif name.startswith("kne"):
        assert found == ["file", "header.crc"]
    else:
        ids = ("32", "5") if name == "legacy520" else ("1", "2")
        each = [f"fw_info.model {number}" for number in ids]
        assert found == ["file", "header.crc", "fw_info.all_models", *each, "fw_info"]


def test_a_legacy_520_setup_is_read() -> None:
    read = nef.read(FILES["legacy520"])
    first = read.models[0]
    assert (read.target, first.id, first.version, first.name) == ("kl520", 32, 0xB08D + 32 % 7, "net_32.bie")
    assert [tensor.shape for tensor in first.inputs] == [(1, 3, 8, 10)]
    assert [tensor.shape for tensor in first.outputs] == [(1, 4, 2, 3)]
    assert (first.outputs[0].radix, first.outputs[0].scale) == (-2, 1.25)
    assert [node.op for node in first.cpu_nodes] == ["type 100"]
    assert isinstance(first.block, LegacySetup) and first.block.header["model_type"] == 7
    assert first.regions is not None
    assert first.outputs[0].address == first.regions.output.address


def test_a_legacy_720_setup_is_read() -> None:
    first = nef.read(FILES["legacy720"]).models[0]
    assert [(t.shape, t.format, t.radix, t.size) for t in first.inputs] == [
        ((1, 3, 8, 10), 4, 8, 384),
        ((1, 16, 1, 1), 0, -1, 256),
    ]
    assert [tensor.address for tensor in first.outputs] == [0, 96]


@pytest.mark.parametrize("chip", ["720", "530", "630", "730"])
def test_a_flatbuffer_setup_is_read(chip: str) -> None:
    read = nef.read(FILES[f"flatbuffer {chip} absolute"])
    model = read.models[0]
    assert (read.target, read.generation) == (f"kl{chip}", "flatbuffer")
    block = model.block
    assert isinstance(block, FlatbufferSetup) and model.regions is not None
    assert (block.schema, block.file_schema, block.run_value) == ((1, 2, 35), (1, 0, 0), 9)
    assert (block.addressing_mode, block.encryption) == ("absolute", "none")
    assert block.segments[1] == ("output", model.regions.output.address, model.regions.output.size)
    (tensor,) = model.outputs
    assert (tensor.shape, tensor.npu_shape) == ((1, 4, 2, 3), (1, 2, 4, 3))
    assert tensor.points == ((1.5, 3), (1.25, 4)) and (tensor.scale, tensor.radix) == (1.5, 3)
    assert (tensor.location, tensor.address) == ("output", model.regions.output.address)
    clip, other = model.cpu_nodes
    assert (clip.op, clip.layer, clip.options, clip.inputs, clip.outputs) == (
        "Clip",
        12,
        "ClipOptions",
        ("a",),
        ("b",),
    )
    assert (other.op, other.code) == ("0xdeadbeef", 0xDEADBEEF)
    assert [(t.name, t.constant_size) for t in block.const_inputs] == [("const", 96)]


@pytest.mark.parametrize("name", ["kne", "kne before 3.0.4"])
def test_a_kne_is_read(name: str) -> None:
    read = nef.read(FILES[name])
    model = read.models[0]
    block = model.block
    assert isinstance(block, KneModel) and read.kne is not None
    assert (model.id, model.version, model.name) == (211, 0xD3, "net.bie")
    assert (block.core_number, block.run_value, block.encryption_mode) == (3, 17, 1)
    assert (block.encryption_key, block.const_input) == (b"\xaa" * 16, b"const" * 5)
    assert [(bank.bank, bank.kind, bank.buffer) for bank in block.dma_banks] == [(1, "read", "input")]
    first, loop, last = block.cores
    assert (first.kind, first.command_size, first.weight_size, first.dependency) == ("npu", 50, 70, (-1,))
    assert (loop.kind, loop.unit, loop.trips, loop.inner[0].command_size) == ("loop", "loop", 3, 15)
    assert (last.kind, last.parent, last.children) == ("cpu", (0,), (7,))
    assert [len(unit[0]) for unit in block.units] == [50, 16, 15]
    assert [(node.op, node.outputs) for node in model.cpu_nodes] == [("Clip", ("b",))]
    (tensor,) = model.inputs
    assert (tensor.shape, tensor.address, tensor.location) == ((1, 4, 2, 3), 0x100, "input")
    assert tensor.points == ((1.5, 5), (1.25, -6))
    assert (tensor.size, tensor.aligned_size, tensor.strides) == (96, 128, (64, 32, 8, 1))
    assert [(buffer, at.address, at.size) for buffer, at in read.kne.buffers] == [
        ("input", 0x1000, 0x300),
        ("output", 0x2000, 0x300),
        ("working", 0x3000, 0x300),
    ]


def test_a_kne_that_names_an_old_schema_is_read_as_it_is_laid_out() -> None:
    """The version alone does not tell: where the tensors have their quantization does."""
    version = Table({0: ("u32", 2), 1: ("u32", 6), 2: ("u32", 3)})
    block = vendor.kne_block(vendor.kne_model(5, header=Table({8: version})))
    read = nef.read(vendor.outer("730", b"", block, [vendor.info(5, "0005")]))
    assert read.kne is not None and not read.kne.old
    assert read.models[0].inputs == nef.read(FILES["kne"]).models[0].inputs
    old = nef.read(FILES["kne before 3.0.4"])
    assert old.kne is not None and old.kne.old


@pytest.mark.parametrize(
    ("schema", "number", "inside", "chip"),
    [
        (None, 3, None, "kl730"),
        ((0, 9, 1), 4, None, "kl630"),
        ((2, 2, 0), 1, None, "kl720"),
        ((2, 2, 1), 1, None, "kl520"),
        ((2, 2, 1), 5, "630", "kl630"),
        ((2, 3, 7), 6, None, "kl540"),
        # the vendor's reader wants each number to be large enough, and takes these for old
        ((3, 0, 0), 4, None, "kl630"),
        ((2, 3, 0), 1, None, "kl720"),
        # unless what is inside says that they are not
        ((3, 0, 0), 5, "630", "kl630"),
        ((3, 0, 0), 4, "630", "kl630"),
        ((1, 0, 1), 7, None, "unknown (7)"),
    ],
)
def test_both_numberings_of_the_target(
    schema: tuple[int, int, int] | None, number: int, inside: str | None, chip: str
) -> None:
    setup = vendor.setup_flatbuffer(inside, 2) if inside else _nameless
    data = vendor.simple("630", setup, 0x80000000, schema=schema, target=number)
    read = nef.read(data)
    assert read.target == chip
    assert [item.ok for item in read.checks if item.what == "target"] == ([True] if inside else [])


def _nameless(record: dict[str, int]) -> bytes:
    """A setup that names no chip."""
    return vendor.build(Table({1: Table({0: ""}), 2: [], 3: []}))


def test_a_chip_inside_that_is_not_the_headers_is_told() -> None:
    data = vendor.simple("530", vendor.setup_flatbuffer("630", 2), 0x80000000)
    (check,) = [item for item in nef.read(data).checks if item.what == "target"]
    assert not check.ok and check.why == "the header names kl530, what is inside kl630"


STRANGE = {
    "header": {"header": Table({11: ("u32", 0xABCD), 12: "new text"})},
    "content": {"content": Table({4: Table({0: "a table nobody knows"})})},
    "info": {"infos": [Table({0: "net", 1: ("i32", 32770), 2: "45230", 3: ("u32", 77)})]},
}


@pytest.mark.parametrize("name", STRANGE)
def test_fields_that_no_schema_has_are_kept_and_shown(name: str) -> None:
    data = vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, **STRANGE[name])
    read = nef.read(data)
    assert nef.write(read) == data
    assert read.file.unknown
    for field in read.file.unknown:
        assert data[field.offset : field.offset + field.size] == field.raw
    unknown = [part for part in nef_parts.parts(read) if not part.known]
    assert {field.offset for field in read.file.unknown} <= {part.offset for part in unknown}
    if name == "header":
        assert [(f.table, f.slot) for f in read.file.unknown] == [("NEFHeader", 11), ("NEFHeader", 12)]
        assert read.file.unknown[0].raw[:4] == struct.pack("<I", 0xABCD)
        text = next(p for p in unknown if data[p.offset : p.offset + p.size].find(b"new text") >= 0)
        assert text.what == "unknown"


def test_fields_inside_setups_and_knes_are_shown_too() -> None:
    setup = vendor.setup_flatbuffer("720", 2, slots={9: ("u32", 5)})
    read = nef.read(vendor.simple("720", setup, 0x80000000))
    block = read.models[0].block
    assert isinstance(block, FlatbufferSetup)
    assert [(field.table, field.slot) for field in block.unknown] == [("Tensor", 9)]
    (part,) = [part for part in nef_parts.parts(read) if not part.known]
    assert part.what.startswith("slot 9 of Tensor: 05000000")
    assert read.file.source[part.offset : part.offset + 4] == b"\5\0\0\0"
    block_data = vendor.kne_block(vendor.kne_model(7, slots={13: ("u64", 9)}), header=Table({4: ("u32", 6)}))
    read = nef.read(vendor.outer("730", b"", block_data, [vendor.info(7, "0007")]))
    assert read.kne is not None
    assert {(f.table, f.slot) for f in read.kne.unknown} == {("KNEHeader", 4), ("Tensor", 13)}
    assert len([part for part in nef_parts.parts(read) if not part.known]) == len(read.kne.unknown)
    assert nef.write(read) == read.file.source


EDITS: dict[str, Any] = {
    "target": 2,
    "kn_number": 0xC506203C,
    "compiler_version": "v0.9.1(000000000)",
    "toolchain_version": "a text of another length altogether",
    "uuid": 5,
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_the_header_changes_that_alone(name: str) -> None:
    more = Table({3: ("u32", 1), 11: ("u32", 0xABCD)})
    data = vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, header=more)
    read = nef.read(data)
    header: NefHeader = replace(read.file.header, **{name: EDITS[name]})
    changed = nef.write(replace(read, file=replace(read.file, header=header)))
    again = nef.read(changed)
    assert again.file.header == header
    assert (again.file.infos, again.file.all_models) == (read.file.infos, read.file.all_models)
    assert [(f.table, f.slot) for f in again.file.unknown] == [("NEFHeader", 11)]
    before, after = data[:-4], changed[: len(data) - 4]
    assert 0 < sum(one != other for one, other in zip(before, after, strict=True)) <= 17
    if name != "toolchain_version":
        assert len(changed) == len(data)


def test_an_edit_without_room_lays_the_file_out_anew_and_loses_nothing() -> None:
    data = vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000)
    read = nef.read(data)
    header = replace(read.file.header, solution_id="new")
    changed = nef.read(nef.write(replace(read, file=replace(read.file, header=header))))
    assert (changed.file.header, changed.file.infos) == (header, read.file.infos)
    strange = nef.read(
        vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, **STRANGE["header"])
    )
    header = replace(strange.file.header, solution_id="new")
    with pytest.raises(ModelbuildError, match="cannot be written") as caught:
        nef.write(replace(strange, file=replace(strange.file, header=header)))
    assert "slot 11 of NEFHeader" in str(caught.value)


def test_texts_that_two_fields_share_are_not_changed_for_both() -> None:
    """A writer may keep equal texts once."""
    data = bytearray(vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, (1, 2)))
    read = nef.read(bytes(data))
    names = [data.index(f"net_{number}.bie".encode()) - 4 for number in (1, 2)]
    far, near = max(names), min(names)
    (place,) = [at for at in range(0, near, 4) if at + struct.unpack_from("<I", data, at)[0] == near]
    struct.pack_into("<I", data, place, far - place)
    shared = nef.read(bytes(data))
    assert shared.file.infos is not None and read.file.infos is not None
    first, second = shared.file.infos
    assert first.name == second.name
    infos = (replace(first, name="net_9.bie"), second)
    changed = nef.read(nef.write(replace(shared, file=replace(shared.file, infos=infos))))
    assert [entry.name for entry in changed.file.infos or ()] == ["net_9.bie", second.name]


def test_a_wrong_tail_is_told_and_none_is_none() -> None:
    data = FILES["flatbuffer 630 relative"]
    wrong = data[:-4] + b"\1\2\3\4"
    assert [item.what for item in nef.read(wrong).checksums if not item.ok] == ["file"]
    assert nef.write(nef.read(wrong)) == wrong
    without = nef.read(data[:-4])
    assert without.file.tail is None and all(item.ok for item in without.checksums)
    assert nef.write(without) == data[:-4]


def broken(data: bytes) -> dict[str, str]:
    """The checks that are not ok, and why."""
    return {item.what: item.why for item in nef.read(data).checks if not item.ok}


@pytest.mark.parametrize("name", [name for name in FILES if name != "2020"])
def test_a_file_that_lost_its_tail_is_told(name: str) -> None:
    """It is none of 2020: it names a schema, or has checksums in fw_info."""
    data = FILES[name]
    lost = {"the file ends in its CRC-32"}
    for cut in (data[:-4], data[:-4] + bytes(4), data + bytes(4)):
        assert broken(cut).keys() == lost
        assert nef.write(nef.read(cut)) == cut
    assert broken(data) == {} and broken(FILES["2020"]) == {}
    plain = vendor.simple("520", vendor.setup_520, 0x60000000, schema=None, tail=False)
    assert broken(plain).keys() == lost


def test_a_header_without_a_checksum_is_told() -> None:
    for slots in ({2: ("u32", 0)}, {2: ("u32", 0), 8: ("u32", 5)}):
        data = vendor.simple("520", vendor.setup_520, 0x60000000, header=Table(slots))
        assert broken(data) == {"the header has the CRC-32 of all_models": "it is absent or 0"}


def without_weights(**changes: Any) -> bytes:
    """A model without weights, whose record and setup have the address 0 for them."""
    model = vendor.model(9, lambda record: vendor.setup_520(record | {"weight": 0}), weight=b"")
    block, all_models, records = vendor.firmware([model], 0x60000000, short=True)
    record = bytes(struct.pack("<14I", *(records[0] | {"weight": 0}).values()))
    return vendor.outer("520", block[:4] + record + block[60:], all_models, None, **changes)


def test_a_section_without_bytes_may_have_any_address() -> None:
    read = nef.read(without_weights())
    assert read.models[0].weight == b"" and read.models[0].outputs[0].shape == (1, 4, 2, 3)
    assert nef.write(read) == without_weights()
    assert [part.what for part in nef_parts.parts(read) if not part.known] == []
    own: dict[str, Any] = {"toolchain": "modelbuild/1"}  # such programs may be moved
    other = vendor.simple("520", vendor.setup_520, 0x60000000, **own)
    two = nef.combine([nef.read(without_weights(**own)), nef.read(other)])
    assert [(model.id, model.weight == b"") for model in two.models] == [(9, True), (32770, False)]
    assert two.models[0].regions is not None and two.models[0].regions.weight.address == 0


def test_a_section_outside_is_told_with_its_address() -> None:
    block, all_models, records = vendor.firmware([vendor.model(9, vendor.setup_520)], 0x60000000, short=True)
    record = bytes(struct.pack("<14I", *(records[0] | {"weight": 16}).values()))
    with pytest.raises(ModelbuildError) as caught:
        nef.read(vendor.outer("520", block[:4] + record + block[60:], all_models, None))
    problem = caught.value.problems[0]
    assert "the weight of 64 bytes at address 0x10 lies outside all_models" in problem.what
    assert problem.where == "offset 0x0"


@pytest.mark.parametrize("rest", [vendor.words(9, 1, 2, 3), b"\xff" * 16, b"\0\0\0\0\2\0\0"])
def test_what_is_no_node_is_shown_as_unknown(rest: bytes) -> None:
    data = vendor.simple("520", lambda record: vendor.setup_520(record) + rest, 0x60000000)
    read = nef.read(data)
    assert nef.write(read) == data
    assert read.models[0].outputs[0].shape == (1, 4, 2, 3)
    assert [(part.size, part.what) for part in nef_parts.parts(read) if not part.known] == [
        (len(rest), "unknown")
    ]
    ((what, why),) = broken(data).items()
    assert what == "nodes in the setup of model 32770" and why.startswith("a node ")


def test_programs_behind_such_nodes_are_not_moved() -> None:
    odd = vendor.simple("720", lambda record: vendor.setup_720(record) + vendor.words(9), 0x80000000, (77,))
    with pytest.raises(ModelbuildError, match="unknown kind 9"):
        nef.combine([nef.read(FILES["legacy720"]), nef.read(odd)])


@pytest.mark.parametrize("size", [4, 8, 16])
@pytest.mark.parametrize("chip", ["520", "720"])
def test_zeros_behind_the_nodes_are_padding(chip: str, size: int) -> None:
    setup = {"520": vendor.setup_520, "720": vendor.setup_720}[chip]
    base = {"520": 0x60000000, "720": 0x80000000}[chip]
    data = vendor.simple(chip, lambda record: setup(record) + bytes(size), base)
    block = nef.read(data).models[0].block
    assert isinstance(block, LegacySetup) and block.nodes["in"] == 1 and not block.stopped
    assert broken(data) == {}


def test_a_long_list_of_models_is_told_in_short() -> None:
    infos = [vendor.info(number, "1") for number in range(100)]
    why = broken(vendor.simple("520", vendor.setup_520, 0x60000000, infos=infos))["list of models"]
    assert why == "listed are 0, 1, 2, 3, 4, 5, 6, 7 and 92 more, there are 32770"


def test_models_have_a_limit() -> None:
    assert len(nef.read(vendor.kne(tuple(range(128)))).models) == 128
    block = vendor.kne_block(*(vendor.kne_model(number) for number in range(129)))
    with pytest.raises(ModelbuildError, match="it claims 129 models"):
        nef.read(vendor.outer("730", b"", block, None))
    models = [vendor.model(number, vendor.setup_520) for number in range(129)]
    block, all_models, _ = vendor.firmware(models, 0x60000000)
    with pytest.raises(ModelbuildError, match="it claims 129 models"):
        nef.read(vendor.outer("520", block, all_models, None))


@pytest.mark.parametrize(("chip", "generation"), [("520", "legacy520"), ("720", "flatbuffer")])
def test_the_generation_of_a_closed_setup_is_that_of_the_chip(chip: str, generation: str) -> None:
    encrypted = Table({4: ("i32", 1), 3: ("u32", 7)})
    closed = nef.read(vendor.simple(chip, lambda _: b"\x5a" * 90, 0x60000000, header=encrypted))
    assert (closed.generation, closed.models[0].block) == (generation, None)


def test_a_firmware_block_that_ends_early_has_no_checksums() -> None:
    block, all_models, _ = vendor.firmware([vendor.model(9, vendor.setup_520)], 0x60000000)
    data = vendor.outer("520", block[:-4], all_models, None)
    read = nef.read(data)
    assert read.firmware_info is not None and read.firmware_info.rest == block[68:-4]
    assert [item.what for item in read.checksums] == ["file", "header.crc"]
    assert [part.size for part in nef_parts.parts(read) if not part.known] == [8]
    assert fw_info.encode(read.firmware_info) == block[:-4]


def test_an_encrypted_file_shows_what_can_be_read() -> None:
    encrypted = Table({4: ("i32", 1), 3: ("u32", 7)})
    setup = vendor.setup_flatbuffer("720", 2)
    open_setup = nef.read(vendor.simple("720", setup, 0x80000000, header=encrypted))
    assert open_setup.encrypted and open_setup.models[0].inputs[0].name == "in"
    closed = nef.read(vendor.simple("720", lambda _: b"\x5a" * 90, 0x80000000, header=encrypted))
    assert (closed.models[0].id, closed.models[0].inputs, closed.models[0].block) == (32770, (), None)
    kne = vendor.outer("730", b"", b"\x77" * 200, [vendor.info(5, "00ff")], header=encrypted)
    assert [(m.id, m.version) for m in nef.read(kne).models] == [(5, 0xFF)]
    assert [part.what for part in nef_parts.parts(nef.read(kne)) if "KNE" in part.what] == [
        "KNE block, encrypted"
    ]


@pytest.mark.parametrize("name", [name for name in FILES if name not in ("2020", "kne before 3.0.4")])
def test_the_independent_reader_reads_the_same(name: str) -> None:
    found = independent_nef.parse(FILES[name])
    read = nef.read(FILES[name])
    assert found["target"] == read.target.removeprefix("kl")
    for model, other in zip(read.models, found["models"], strict=True):
        assert (model.id, model.command, model.weight) == (other["id"], other["cmd"], other["weight"])
        wanted = [(list(t.shape), t.radix, t.scale) for t in model.outputs]
        assert [(t["shape"], t["radix"], t["scale"]) for t in other["io"]["outputs"]] == wanted


def test_the_vendor_file_is_known_to_the_last_byte(shared_data: Path) -> None:
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    read = nef.read(data)
    assert all(part.known for part in nef_parts.parts(read))
    assert all(item.ok for item in read.checks) and len(read.checks) == 8

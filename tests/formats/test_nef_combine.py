"""Combining NEFs: what comes out is what building the models together gives, or the reason why not."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import fw_info, nef, nef_header, nef_parts
from modelbuild.formats.nef import Nef
from modelbuild.formats.nef_combine import combine
from tests.formats import independent_nef
from tests.formats import vendor_nef as vendor
from tests.formats.nef_sources import GENERATIONS, build, source

EVERY = pytest.mark.parametrize(("platform", "setup", "base"), GENERATIONS)


def single(platform: str, setup: str, base: int, number: int, **changes: object) -> Nef:
    return nef.read(build(platform, setup, base, source(number, **changes)))


@EVERY
def test_combined_is_built_together(platform: str, setup: str, base: int) -> None:
    models = [source(number) for number in range(3)]
    first = nef.read(build(platform, setup, base, models[0]))
    rest = nef.read(build(platform, setup, base, *models[1:]))
    together = build(platform, setup, base, *models)
    combined = nef.write(combine([first, rest]))
    if setup != "kne":
        assert combined == together
    wanted, found = independent_nef.parse(together), independent_nef.parse(combined)
    assert found["models"] == wanted["models"]
    assert found["infos"] == wanted["infos"]


def refusal(*nefs: Nef) -> str:
    with pytest.raises(ModelbuildError) as caught:
        combine(nefs, [f"{chr(97 + index)}.nef" for index in range(len(nefs))])
    assert caught.value.exit_code == 2
    assert caught.value.problems[0].advice or not nefs
    return str(caught.value)


def test_what_cannot_be_combined_is_refused_with_the_reason() -> None:
    one = single("720", "flatbuffer", 0x80000000, 0)
    assert "no NEF is named" in refusal()
    assert "129 models together" in refusal(*[one] * 129)
    other = single("530", "flatbuffer", 0x80000000, 1)
    assert "different chips" in refusal(one, other) and "b.nef: kl530" in refusal(one, other)
    legacy = single("720", "legacy720", 0x80000000, 1)
    assert "different container generations" in refusal(one, legacy)
    assert "b.nef: legacy (toolchains before 0.20)" in refusal(one, legacy)
    assert "two models have the id 32768" in refusal(one, one)
    assert "a.nef and b.nef" in refusal(one, one)
    header = replace(one.file.header, encryption_mode=1)
    secret = nef.read(nef.write(replace(one, file=replace(one.file, header=header))))
    assert "encrypted" in refusal(one, replace(secret, checksums=()))


def test_one_file_stays_as_it_is() -> None:
    one = single("720", "flatbuffer", 0x80000000, 0)
    assert combine([one]) is one


def vendor_file(chip: str, setup: object, *numbers: int, base: int = 0x80000000, **changes: object) -> Nef:
    return nef.read(vendor.simple(chip, setup, base, numbers, **changes))


@pytest.mark.parametrize("chip", ["720", "530", "630", "730"])
@pytest.mark.parametrize("zero", [True, False])
def test_relative_programs_of_the_vendor_are_moved(chip: str, zero: bool) -> None:
    setup = vendor.setup_flatbuffer(chip, 2, zero=zero)
    one = vendor_file(chip, setup, 1, 2)
    two = vendor_file(chip, setup, 9, base=0x90000000, toolchain="kneron/toolchain:v0.33.1", schema=(2, 0, 1))
    combined = combine([one, two])
    found = independent_nef.parse(nef.write(combined))
    assert [model["id"] for model in found["models"]] == [1, 2, 9]
    assert found["toolchain"] == "kneron/toolchain:v0.33.1" and found["schema"] == (2, 0, 1)
    for model, source_model in zip(combined.models, (*one.models, *two.models), strict=True):
        assert (model.command, model.weight) == (source_model.command, source_model.weight)
        assert model.outputs == source_model.outputs
    segments = found["models"][2]["io"]["segments"]
    assert segments["weight"][0] == (0 if zero else found["models"][2]["weight_addr"])
    assert all(item.ok for item in (*combined.checksums, *combined.checks))


def test_numberings_of_the_target_may_differ() -> None:
    setup = vendor.setup_flatbuffer("630", 2)
    old = vendor_file("630", setup, 1)
    new = vendor_file("630", setup, 2, schema=(2, 2, 1), target=5)
    for pair in ((old, new), (new, old)):
        found = independent_nef.parse(nef.write(combine(pair)))
        assert (found["target"], found["schema"]) == ("630", (2, 2, 1))


def test_legacy_720_counts_from_its_regions_and_is_moved() -> None:
    files = [vendor_file("720", vendor.setup_720, number) for number in (1, 2)]
    combined = combine(files)
    independent_nef.parse(nef.write(combined))
    assert [model.setup for model in combined.models] == [one.models[0].setup for one in files]


def test_programs_that_hold_addresses_are_not_moved() -> None:
    absolute = vendor.setup_flatbuffer("630", 1)
    for chip, setup in (("520", vendor.setup_520), ("630", absolute)):
        files = [vendor_file(chip, setup, number) for number in (1, 2)]
        message = refusal(*files)
        assert "cannot lie in memory together" in message and "a.nef: model 1, b.nef: model 2" in message
        assert "ktc.compile" in message


def test_programs_that_hold_addresses_go_together_where_they_were_compiled_beside_each_other() -> None:
    low = vendor_file("520", vendor.setup_520, 1, base=0x60000000, gap=512)
    high = vendor_file("520", vendor.setup_520, 2, 3, base=0x60000000, gap=4096)
    for pair in ((low, high), (high, low)):
        combined = combine(pair)
        assert [model.id for model in combined.models] == [1, 2, 3]
        assert [m.regions for m in combined.models] == [m.regions for m in (*low.models, *high.models)]
        assert [m.setup for m in combined.models] == [m.setup for m in (*low.models, *high.models)]
        found = nef.read(nef.write(combined))
        assert [m.command for m in found.models] == [m.command for m in (*low.models, *high.models)]
        assert all(item.ok for item in (*found.checksums, *found.checks))
    overlapping = vendor_file("520", vendor.setup_520, 2, base=0x60000000, gap=576)
    assert "cannot lie in memory together" in refusal(low, overlapping)
    far = vendor_file("520", vendor.setup_520, 2, base=0x60000000, gap=1 << 25)
    assert "far apart" in refusal(low, far)


def test_an_address_outside_of_every_region_is_refused() -> None:
    """A program of ours whose setup was altered."""
    one = single("520", "legacy520", 0x60000000, 0)
    record = one.models[0].regions
    assert record is not None
    place = record.setup.address - record.command.address
    models = bytearray(one.file.all_models)
    at = models.index(record.output.address.to_bytes(4, "little"), place + 72)
    models[at : at + 4] = b"\0\0\0\x10"
    info = one.firmware_info
    assert info is not None
    sealed = fw_info.sealed(info.records, info.dram_end, bytes(models))
    file = replace(one.file, all_models=bytes(models), firmware_info=fw_info.encode(sealed), source=b"")
    file = replace(file, header=replace(file.header, crc=zlib.crc32(models)))
    altered = nef.read(nef_header.seal(file))
    with pytest.raises(ModelbuildError, match="lies in no region"):
        combine([single("520", "legacy520", 0x60000000, 1), altered])


def test_files_of_2020_stay_without_checksums() -> None:
    settings = {"schema": None, "tail": False, "short": True, "infos": None}
    header = vendor.Table({2: ("u32", 0), 8: ("u32", 0)})
    files = [
        vendor_file("520", vendor.setup_520, number, base=0x60000000, gap=gap, header=header, **settings)
        for number, gap in ((1, 0), (2, 4096))
    ]
    combined = combine(files)
    assert [item.what for item in combined.checksums] == ["file"]
    assert combined.file.infos is None and len(combined.file.firmware_info) == 4 + 2 * 56 + 8
    newer = vendor_file("520", vendor.setup_520, 2, base=0x60000000, gap=4096)
    combined = combine([files[0], newer])
    assert [(entry.id, entry.version) for entry in combined.file.infos or ()] == [
        (1, str(files[0].models[0].version)),
        (2, str(newer.models[0].version)),
    ]
    assert all(item.ok for item in combined.checksums) and len(combined.checksums) == 6


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("strange", [False, True])
def test_kne_blocks_of_the_vendor_keep_all_that_their_models_hold(old: bool, strange: bool) -> None:
    slots = {14: ("u32", 0x77), 15: b"unknown bytes"} if strange else None
    blocks = [
        vendor.kne_block(vendor.kne_model(number, old=old, slots=slots), old=old) for number in (211, 212)
    ]
    files = [
        nef.read(vendor.outer("730", b"", block, [vendor.info(number, f"{number:04x}")]))
        for block, number in zip(blocks, (211, 212), strict=True)
    ]
    combined = combine(files)
    assert [model.block for model in combined.models] == [one.models[0].block for one in files]
    assert [model.version for model in combined.models] == [211, 212]
    assert combined.kne is not None
    assert len(combined.kne.unknown) == sum(len(one.kne.unknown) for one in files if one.kne)
    if not old:
        independent_nef.parse(nef.write(combined))
    if not strange:
        assert all(part.known for part in nef_parts.parts(combined))


def test_header_fields_that_nobody_knows_are_not_lost_silently() -> None:
    setup = vendor.setup_flatbuffer("720", 2)
    one = vendor_file("720", setup, 1, header=vendor.Table({11: ("u32", 0xABCD)}))
    two = vendor_file("720", setup, 2)
    assert "slot 11 of NEFHeader is cdab0000" in refusal(one, two)
    assert combine([one, two], drop_unknown=True).file.unknown == ()
    strange = vendor.kne_block(vendor.kne_model(1), header=vendor.Table({4: ("u32", 6)}))
    files = [
        nef.read(vendor.outer("730", b"", block, [vendor.info(number, "0001")]))
        for number, block in ((1, strange), (2, vendor.kne_block(vendor.kne_model(2))))
    ]
    assert "slot 4 of KNEHeader is 06000000" in refusal(*files)
    assert len(combine(files, drop_unknown=True).models) == 2


def test_programs_for_silicon_and_for_the_simulator_do_not_mix() -> None:
    ours = single("720", "flatbuffer", 0x80000000, 0)
    theirs = vendor_file("720", vendor.setup_flatbuffer("720", 2), 9)
    assert "not for the same machine" in refusal(ours, theirs)


def test_a_damaged_file_is_refused() -> None:
    data = bytearray(vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000))
    data[-1] ^= 1
    with pytest.raises(ModelbuildError, match="checksums do not agree") as caught:
        combine([nef.read(bytes(data)), single("720", "flatbuffer", 0x80000000, 0)], ["x.nef", "y.nef"])
    assert caught.value.problems[0].where == "x.nef"

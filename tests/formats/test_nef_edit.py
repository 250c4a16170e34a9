"""Other ids and versions: nothing else changes, every checksum is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.formats.nef_edit import edited
from tests.formats import independent_nef
from tests.formats import vendor_nef as vendor
from tests.formats.nef_sources import GENERATIONS, build, source

EVERY = pytest.mark.parametrize(("platform", "setup", "base"), GENERATIONS)


@EVERY
def test_ids_and_versions_change_everywhere(platform: str, setup: str, base: int) -> None:
    one = nef.read(build(platform, setup, base, source(0), source(1)))
    made = edited(one, {32768: 40000}, {32768: 0x1234, 32769: 0x0001})
    found = independent_nef.parse(nef.write(made))
    assert [model["id"] for model in found["models"]] == [40000, 32769]
    assert [info["id"] for info in found["infos"]] == [40000, 32769]
    versions = ["1234", "0001"] if setup == "kne" else [str(0x1234), "1"]
    assert [info["version"] for info in found["infos"]] == versions
    assert [model.version for model in made.models] == [0x1234, 1]
    assert all(item.ok for item in (*made.checksums, *made.checks))
    back = edited(made, {40000: 32768}, {40000: 0xA0F, 32769: 0xA10})
    assert [(m.id, m.version, m.command) for m in back.models] == [
        (m.id, m.version, m.command) for m in one.models
    ]


def test_only_ids_and_the_checksums_above_them_change(shared_data: Path) -> None:
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    changed = nef.write(edited(nef.read(data), {32: 33}, {5: 0x6227}))
    assert len(changed) == len(data)
    words = {place // 4 for place, pair in enumerate(zip(data, changed, strict=True)) if pair[0] != pair[1]}
    # record id, record version, fw_info's own checksum, id and version in the list, the tail
    assert len(words) == 6


def test_a_version_may_name_the_new_id() -> None:
    one = nef.read(build("720", "flatbuffer", 0x80000000, source(0), source(1)))
    made = edited(one, {32768: 40000}, {40000: 7})
    assert [(model.id, model.version) for model in made.models] == [(40000, 7), (32769, 0xA10)]


def test_ids_may_be_exchanged() -> None:
    one = nef.read(build("720", "flatbuffer", 0x80000000, source(0), source(1)))
    made = edited(one, {32768: 32769, 32769: 32768})
    assert [model.id for model in made.models] == [32769, 32768]
    assert [model.name for model in made.models] == ["model_0", "model_1"]


@pytest.mark.parametrize(
    ("before", "after"), [("0x00D3", "0xBEEF"), ("00d3", "beef"), ("d3", "beef"), ("0Xd3", "0Xbeef")]
)
def test_a_version_keeps_the_form_that_it_has(before: str, after: str) -> None:
    block = vendor.kne_block(vendor.kne_model(7))
    one = nef.read(vendor.outer("730", b"", block, [vendor.info(7, before)]))
    made = edited(one, {}, {7: 0xBEEF})
    assert [entry.version for entry in made.file.infos or ()] == [after]
    assert made.models[0].version == 0xBEEF


def test_a_list_in_hexadecimal_stays_so() -> None:
    infos = [vendor.info(32770, f"{0xB08D + 32770 % 7:04x}")]
    one = nef.read(vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, infos=infos))
    made = edited(one, {}, {32770: 0x12})
    assert [entry.version for entry in made.file.infos or ()] == ["0012"]
    assert made.models[0].version == 0x12 and all(item.ok for item in made.checks)


def test_a_file_without_a_list_or_checksums_gets_none() -> None:
    header = vendor.Table({2: ("u32", 0), 8: ("u32", 0)})
    settings = {"schema": None, "tail": False, "short": True, "infos": None, "header": header}
    one = nef.read(vendor.simple("520", vendor.setup_520, 0x60000000, **settings))
    made = edited(one, {32770: 5}, {32770: 9})
    assert (made.models[0].id, made.models[0].version) == (5, 9)
    assert made.checksums == () and len(nef.write(made)) == len(nef.write(one))


@pytest.mark.parametrize(
    ("ids", "versions", "message"),
    [
        ({5: 6}, {}, "there is no model 5"),
        ({}, {5: 6}, "there is no model 5"),
        ({32768: 0}, {}, "not in 1 to"),
        ({32768: 1 << 31}, {}, "not in 1 to"),
        ({32768: 32769}, {}, "two models would have the id 32769"),
        ({}, {32768: 0x10000}, "more than four hexadecimal digits"),
    ],
)
def test_what_cannot_be_is_refused(ids: dict[int, int], versions: dict[int, int], message: str) -> None:
    one = nef.read(build("720", "flatbuffer", 0x80000000, source(0), source(1)))
    with pytest.raises(ModelbuildError, match=message):
        edited(one, ids, versions)


def test_a_kne_without_a_list_has_no_place_for_versions() -> None:
    block = vendor.kne_block(vendor.kne_model(7))
    one = nef.read(vendor.outer("730", b"", block, None))
    assert [model.id for model in edited(one, {7: 8}).models] == [8]
    with pytest.raises(ModelbuildError, match="no other place"):
        edited(one, {}, {7: 1})


def test_a_damaged_file_is_refused() -> None:
    data = bytearray(build("720", "flatbuffer", 0x80000000, source(0)))
    data[-1] ^= 1
    with pytest.raises(ModelbuildError, match="checksums do not agree"):
        edited(nef.read(bytes(data)), {32768: 5})


@pytest.mark.parametrize("first", [1, 0x1234])
@pytest.mark.parametrize("between", [(0xFF,), (0xFFFF,), (0xFFFF, 2), (0xFFFF, 0xFF, 0xFFFE)])
def test_versions_there_and_back_give_the_same_bytes(first: int, between: tuple[int, ...]) -> None:
    """Of whatever length the texts between are; the file does not grow."""
    infos = [vendor.info(number, str(0xB08D + number % 7)) for number in (5, 6)]
    data = vendor.simple("720", vendor.setup_flatbuffer("720", 2), 0x80000000, (5, 6), infos=infos)
    start = data = nef.write(edited(nef.read(data), {}, {5: first, 6: 7}))
    for version in (*between, first):
        one = edited(nef.read(data), {}, {5: version, 6: 7 if version == first else version})
        data = nef.write(one)
        assert one.models[0].version == version
        assert one.file.infos is not None and one.file.infos[0].version == str(version)
        assert all(item.ok for item in (*one.checksums, *one.checks))
        assert [part for part in nef.parts(one) if not part.known] == []
        independent_nef.parse(data)
    assert data == start


@EVERY
def test_models_of_one_version_get_theirs_back(platform: str, setup: str, base: int) -> None:
    data = build(platform, setup, base, source(0), source(1))
    data = start = nef.write(edited(nef.read(data), {}, {32768: 1, 32769: 1}))
    for version in (0xFFFF, 1, 0x10, 0xFFFE, 1):
        data = nef.write(edited(nef.read(data), {}, {32768: version, 32769: version}))
    assert data == start


def test_a_vendors_file_there_and_back(shared_data: Path) -> None:
    data = (shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes()
    one = nef.read(data)
    before = one.models[0].version
    assert before is not None
    unknown = [part for part in nef.parts(one) if not part.known]
    for version in (0, 1, 0xFFFF):
        there = edited(one, {}, {one.models[0].id: version})
        assert [part for part in nef.parts(there) if not part.known] == unknown
        assert nef.write(edited(there, {}, {one.models[0].id: before})) == data

"""The binaries of a NEF under the vendor's names."""

from __future__ import annotations

import zlib

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kne, nef
from modelbuild.formats.nef_extract import files
from tests.formats import vendor_nef as vendor
from tests.formats.nef_sources import build, source


def test_files_of_a_firmware_file() -> None:
    one = nef.read(vendor.simple("720", vendor.setup_720, 0x80000000, (32771, 32772)))
    found = files(one)
    start = f"NEF_0x{one.file.header.uuid:08X}_modelid_"
    assert list(found) == [
        "all_models.bin",
        "fw_info.bin",
        *(f"{start}{n}_{part}.bin" for n in (32771, 32772) for part in ("command", "weight", "setup")),
    ]
    assert found["all_models.bin"] == one.file.all_models
    assert found["fw_info.bin"] == one.file.firmware_info
    for model in one.models:
        for part in ("command", "weight", "setup"):
            assert found[f"{start}{model.id}_{part}.bin"] == getattr(model, part)


def test_a_program_of_ours_comes_out_in_its_envelope() -> None:
    one = nef.read(build("720", "flatbuffer", 0x80000000, source(1)))
    command = next(data for name, data in files(one).items() if name.endswith("_command.bin"))
    assert command.startswith(b"MBCS") and source(1).command in command and source(1).host in command


@pytest.mark.parametrize("old", [False, True])
def test_files_of_a_kne(old: bool) -> None:
    one = nef.read(vendor.kne((211, 212), old=old))
    found = files(one)
    start = f"NEF_0x{one.file.header.uuid:08X}"
    assert found[f"{start}_models_730.kne"] == one.file.all_models
    for model in one.models:
        single = kne.decode(found[f"{start}_model_{model.id}.kne"])
        assert single.models == (model.block,)
        assert len(found[f"{start}_model_{model.id}.kne"]) < len(one.file.all_models)
        assert isinstance(model.block, kne.KneModel)
        for number, unit in enumerate(model.block.units):
            names = (f"{start}_modelid_{model.id}_core_{number}_{part}.bin" for part in ("command", "weight"))
            assert tuple(found[name] for name in names) == unit
        assert found[f"{start}_modelid_{model.id}_const_input.bin"] == b"const" * 5
    assert len(found) == 1 + 2 * (1 + 6 + 1)


def test_one_model_of_several() -> None:
    one = nef.read(vendor.simple("720", vendor.setup_720, 0x80000000, (1, 2)))
    assert [name for name in files(one, (2,)) if "_modelid_" in name] == [
        f"NEF_0x{one.file.header.uuid:08X}_modelid_2_{part}.bin" for part in ("command", "weight", "setup")
    ]
    with pytest.raises(ModelbuildError, match="there is no model 3") as caught:
        files(one, (3,))
    assert caught.value.problems[0].why == "it has the models 1, 2"


def test_names_are_plain_whatever_the_file_says() -> None:
    """Texts of the file are in no name; a chip that is unknown, a file without uuid and an id below 0 are."""
    header = vendor.Table({2: ("u32", 0), 8: ("u32", 0), 0: "../../etc"})
    infos = [vendor.info(-5, "0001", "../../evil")]
    block = vendor.kne_block(vendor.kne_model(-5))
    one = nef.read(vendor.outer("730", b"", block, infos, target=99, header=header))
    names = list(files(one))
    start = f"NEF_0x{zlib.crc32(block):08X}"
    assert names[:2] == [f"{start}_models_unknown__99_.kne", f"{start}_model_-5.kne"]
    assert all(
        set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        for name in names
    )


def test_models_with_one_id_have_files_of_their_own() -> None:
    one = nef.read(vendor.simple("720", vendor.setup_720, 0x80000000, (7, 7, 8)))
    names = [name.partition("_modelid_")[2] for name in files(one) if name.endswith("_command.bin")]
    assert names == ["7_1_command.bin", "7_2_command.bin", "8_command.bin"]


def test_a_kne_with_unknown_fields_comes_out_whole() -> None:
    block = vendor.kne_block(vendor.kne_model(7, slots={14: ("u32", 1)}))
    found = files(nef.read(vendor.outer("730", b"", block, [vendor.info(7, "0001")])))
    assert sum(name.endswith(".kne") for name in found) == 1

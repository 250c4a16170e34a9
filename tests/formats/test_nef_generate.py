"""NEFs around binaries that were taken out of one."""

from __future__ import annotations

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.formats.nef_generate import generated
from tests.formats import independent_nef
from tests.formats import vendor_nef as vendor
from tests.formats.nef_sources import GENERATIONS, build, source

OWN = "modelbuild/1.2.3"


@pytest.mark.parametrize(("platform", "setup", "base"), GENERATIONS)
def test_what_was_extracted_is_a_file_again(platform: str, setup: str, base: int) -> None:
    one = nef.read(build(platform, setup, base, source(0), source(1)))
    made = generated(platform, one.file.all_models, one.file.firmware_info, own_toolchain=OWN)
    assert (made.target, made.generation, made.toolchain_version) == (one.target, setup, OWN)
    assert [(m.id, m.command, m.weight, m.block) for m in made.models] == [
        (m.id, m.command, m.weight, m.block) for m in one.models
    ]
    assert independent_nef.parse(nef.write(made))["toolchain"] == OWN


def test_a_vendors_program_is_not_called_ours() -> None:
    one = nef.read(vendor.simple("630", vendor.setup_flatbuffer("630", 2), 0x80000000))
    made = generated("630", one.file.all_models, one.file.firmware_info, own_toolchain=OWN)
    assert made.silicon and made.toolchain_version == ""
    kne = nef.read(vendor.kne((211, 212)))
    made = generated("730", kne.file.all_models, own_toolchain=OWN)
    assert [model.id for model in made.models] == [211, 212] and made.silicon


def test_binaries_that_do_not_belong_together_are_refused() -> None:
    first = nef.read(build("720", "flatbuffer", 0x80000000, source(0)))
    second = nef.read(build("720", "flatbuffer", 0x80000000, source(0, weight=b"\1" * 91)))
    with pytest.raises(ModelbuildError, match="checksums do not agree"):
        generated("720", second.file.all_models, first.file.firmware_info, own_toolchain=OWN)
    with pytest.raises(ModelbuildError, match="to this chip") as caught:
        generated("630", first.file.all_models, first.file.firmware_info, own_toolchain=OWN)
    assert "what is inside kl720" in str(caught.value)
    with pytest.raises(ModelbuildError, match="NEF files are not for '999'"):
        generated("999", first.file.all_models, first.file.firmware_info, own_toolchain=OWN)
    theirs = vendor.kne_model(9)
    theirs[1] = [
        vendor.Table({0: vendor.Table({0: ("i32", 0)}), 2: ("u8", 1), 3: vendor.Table({0: b"MBCS"})})
    ]
    mixed = vendor.kne_block(vendor.kne_model(8), theirs)
    with pytest.raises(ModelbuildError, match="of modelbuild's and of a vendor's"):
        generated("730", mixed, own_toolchain=OWN)

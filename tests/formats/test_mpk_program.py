"""Sections of the accelerator's program: both eras of their names."""

from __future__ import annotations

import struct

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mpk_program
from modelbuild.formats.mpk_program import Border


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("code.r0.c0", "code"),
        ("filter.0123456789abcdef", "weights"),
        ("ifm.persistent.MLA_0/placeholder_0.b0", "input"),
        ("ofm.persistent.MLA_0/conv_output.b0", "output"),
        ("data.ifm.b0", "input"),
        ("data.ofm.b0", "output"),
        ("data.ifm.persistent.input_00/MLA_0/placeholder_0_0.b0", "input"),
        ("data.ofm.persistent.afe_mla_output_1.b12", "output"),
        (".shstrtab", "table"),
        ("", "table"),
        ("tile.latencies", "unknown"),
        ("ifm.persistent.x", "unknown"),
        ("xcode.r0", "unknown"),
    ],
)
def test_the_role_of_a_section(name: str, role: str) -> None:
    assert mpk_program.role(name) == role


def test_the_sizes_together() -> None:
    data = elf.write(
        [
            elf.NewSection("code.r0.c0", b"123"),
            elf.NewSection("code.r0.c1", b"45"),
            elf.NewSection("filter.aa", bytes(100)),
            elf.NewSection("data.ifm.persistent.input_00/MLA_0/placeholder_0_0.b0", None, 150_528),
            elf.NewSection("data.ofm.b0", None, 1008),
            elf.NewSection("checksums", b"1234"),
        ]
    )
    found = mpk_program.summarize(elf.read(data))
    assert (found.code_sections, found.code_bytes) == (2, 5)
    assert (found.weight_sections, found.weight_bytes) == (1, 100)
    assert found.inputs == (Border("input_00/MLA_0/placeholder_0_0", 150_528),)
    assert found.outputs == (Border("", 1008),)
    assert (found.input_bytes, found.output_bytes) == (150_528, 1008)
    assert found.unknown == (Border("checksums", 4),)


def test_sections_that_hold_the_size_of_a_tensor_alone() -> None:
    """As the vendor's compiler writes them: a section kind of its own, 16 bytes, a section a picture."""
    names = ["data.ifm.persistent.afe_direct_input_0.b0", "data.ofm.b0", "data.ofm.b11", "ofm.b1"]
    extents = [struct.pack("<QQ", 1000 + number, 1) for number in range(3)] + [b"short"]
    data = bytearray(elf.write([elf.NewSection(*pair) for pair in zip(names, extents, strict=True)]))
    table = int.from_bytes(data[40:48], "little")
    for row in range(1, 5):
        struct.pack_into("<I", data, table + 64 * row + 4, mpk_program.EXTENT_KIND)
    found = mpk_program.summarize(elf.read(bytes(data)))
    assert found.inputs == (Border("afe_direct_input_0", 1000),)
    assert found.outputs == (Border("", 1001), Border("", 1002, 11), Border("", 5, 1))
    assert mpk_program.summarize(None).inputs == ()


def test_sections_over_one_another_are_not_joined() -> None:
    data = bytearray(elf.write([elf.NewSection("filter.a", bytes(400)), elf.NewSection("filter.b", b"")]))
    table = int.from_bytes(data[40:48], "little")
    first, second = (slice(table + 64 * row + 24, table + 64 * row + 40) for row in (1, 2))
    data[second] = data[first]
    image = elf.read(bytes(data))
    with pytest.raises(ModelbuildError, match="overlap"):
        mpk_program.joined(image, mpk_program.WEIGHTS)
    assert mpk_program.joined(None, mpk_program.WEIGHTS) == b""

"""Registers and tables of the KPU: by field and back, and what the KPU cannot do."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.formats.kmodel import kpu_registers, kpu_tables
from modelbuild.formats.kmodel.model import Span
from tests.formats import kmodel_sources as sources


def read(**options: int) -> tuple[int, ...]:
    return struct.unpack("<12Q", sources.registers(**{"ic": 3, "oc": 8, "width": 32, "height": 20} | options))  # type: ignore[arg-type]


def test_registers_by_field() -> None:
    fields = kpu_registers.decode(read(pool=1))
    expected = {
        "src_addr": 0,
        "dst_addr": 512,
        "ic": 3,
        "oc": 8,
        "iw": 32,
        "ih": 20,
        "ow": 16,
        "oh": 10,
        "kernel": 1,
        "pool": 1,
        "pad_value": 7,
        "load_time": 1,
        "para_size": 216,
        "arg_w": -7,
        "arg_x": -128,
        "arg_add": 9 * 128 * 7,
        "total_bytes": 16 * 10 * 8,
    }
    assert {name: fields[name] for name in expected} == expected
    assert kpu_registers.weight_count(fields) == 216
    assert kpu_registers.problems(read(pool=1)) == []


@given(st.lists(st.integers(0, (1 << 64) - 1), min_size=12, max_size=12))
def test_any_registers_survive_by_field(registers: list[int]) -> None:
    rest = kpu_registers.reserved(registers)
    again = kpu_registers.encode(kpu_registers.decode(registers))
    assert tuple(known | other for known, other in zip(again, rest, strict=True)) == tuple(registers)


def test_values_that_do_not_fit_are_no_registers() -> None:
    assert kpu_registers.decode(kpu_registers.encode({"ic": 1024, "arg_x": -128}))["ic"] == 1024
    for values in ({"ic": 1025}, {"ic": 0}, {"arg_w": 1 << 23}, {"kernel": 8}):
        with pytest.raises(ValueError, match="does not hold"):
            kpu_registers.encode(values)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({4: 2}, "kernel 3 is neither"),
        ({4: 0xA0}, "pool 10 is none"),
        ({3: 1 << 32}, "ow is 32"),
        ({1: 0x7FFF}, "its input ends at"),
        ({1: 0x7FFF << 32}, "its output ends at"),
        ({0: 8}, "depthwise from 3 to 8 channels"),
        ({5: 1 << 16}, "a load has"),
    ],
)
def test_what_the_kpu_cannot_do(more: dict[int, int], why: str) -> None:
    registers = list(read(width=31))
    for index, bits in more.items():
        registers[index] |= bits
    assert any(found.startswith(why) for found in kpu_registers.problems(registers))


@pytest.mark.parametrize(
    ("width", "height", "channels", "size"),
    # Up to 16 columns four channels share a row of 64 bytes, up to 32 two.
    [(16, 2, 4, 128), (16, 2, 5, 256), (32, 1, 3, 128), (33, 1, 3, 192), (65, 2, 1, 256)],
)
def test_bytes_of_a_map(width: int, height: int, channels: int, size: int) -> None:
    assert kpu_registers.map_bytes(width, height, channels) == size


def test_tables() -> None:
    norm = sources.batch_norm(3)
    entries = kpu_tables.batch_norm(norm, Span(0, len(norm)))
    assert [(entry.mul, entry.add, entry.shift) for entry in entries] == [
        (1000, -5, 3),
        (1001, -6, 3),
        (1002, -7, 3),
    ]
    pieces = kpu_tables.activation(sources.activation(), Span(0, 144))
    assert (len(pieces), pieces[0].start, pieces[1].start, pieces[15].add) == (
        16,
        -(1 << 35),
        -(1 << 35) + 1000,
        15,
    )
    assert (pieces[0].mul, pieces[0].shift) == (500, 20)
    assert kpu_tables.activation_problems(pieces) == []
    shifting = [replace(pieces[0], shift=44), *pieces[1:]]
    assert kpu_tables.activation_problems(shifting) == ["activation piece 0 shifts by 44, more than 43"]


@given(st.binary(min_size=144, max_size=144))
def test_any_tables_survive(data: bytes) -> None:
    entries = kpu_tables.batch_norm(data, Span(0, 144))
    assert kpu_tables.pack_batch_norm(entries) == data
    assert kpu_tables.pack_activation(kpu_tables.activation(data, Span(0, 144))) == data

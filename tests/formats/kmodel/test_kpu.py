"""Registers and tables of the KPU: by field and back, and what the KPU cannot do."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel import kpu_geometry, kpu_records, kpu_registers, kpu_tables
from modelbuild.formats.kmodel.kpu_records import (
    Copy,
    KpuConv2d,
    KpuDownload,
    KpuOperation,
    KpuUpload,
    MemoryRange,
)
from modelbuild.formats.kmodel.kpu_registers import Layer
from modelbuild.formats.kmodel.kpu_tables import BatchNorm, Segment
from modelbuild.formats.kmodel.model import Span
from modelbuild.formats.kmodel.types import DATATYPES, LOCATIONS
from tests.formats import kmodel_sources as sources
from tests.hypotheses import examples


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
    again = kpu_registers.pack(Layer(**kpu_registers.decode(registers)))
    assert tuple(known | other for known, other in zip(again, rest, strict=True)) == tuple(registers)


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    values = {}
    for bits in kpu_registers.FIELDS:
        low, high = (-(1 << bits.width - 1), 1 << bits.width - 1) if bits.signed else (0, 1 << bits.width)
        values[bits.name] = bits.less + draw(st.sampled_from([low, high - 1]) | st.integers(low, high - 1))
    return Layer(**values)


@given(layers())
def test_any_layer_survives(layer: Layer) -> None:
    assert kpu_registers.unpack(kpu_registers.pack(layer)) == layer


@pytest.mark.parametrize("bits", kpu_registers.FIELDS, ids=lambda bits: bits.name)
def test_values_that_do_not_fit_are_no_registers(bits: kpu_registers.Bits) -> None:
    layer = kpu_geometry.layer((3, 16, 16), 8)
    low, high = (-(1 << bits.width - 1), 1 << bits.width - 1) if bits.signed else (0, 1 << bits.width)
    for value in (low - 1, high):
        with pytest.raises(ModelbuildError, match=f"{bits.name} does not hold {value + bits.less}:"):
            kpu_registers.pack(replace(layer, **{bits.name: value + bits.less}))


def test_a_layer_has_no_bits_without_a_name() -> None:
    registers = list(kpu_registers.pack(kpu_geometry.layer((3, 16, 16), 8)))
    registers[6] |= 1 << 20
    with pytest.raises(ModelbuildError, match="register 6 has bits that nobody documents: 0x100000"):
        kpu_registers.unpack(registers)


def test_registers_that_follow_from_the_sizes() -> None:
    """40x30 halved to 20x15: lines of one row, two channels a row out; two loads of 26 channels."""
    layer = kpu_geometry.layer((128, 30, 40), 50, pool="left_top_2_s2", src=640, dst=1 << 20, pad_value=3)
    expected = {
        "src_addr": 10,
        "dst_addr": 16384,
        "ow": 20,
        "oh": 15,
        "kernel": 1,
        "pool": 5,
        "oc_per_load": 26,
        "load_time": 2,
        "para_size": 26 * 128 * 9,
        "ch_switch": 30,
        "row_switch": 1,
        "coef_group": 1,
        "wb_ch_switch": 15,
        "wb_row": 1,
        "wb_group": 2,
        "channel_bytes": 300,
        "total_bytes": 15_000,
    }
    assert {name: getattr(layer, name) for name in expected} == expected
    assert kpu_registers.problems(kpu_registers.pack(layer)) == []
    deep = kpu_geometry.layer((40, 2, 130), 40, depthwise=True, send_out=True)
    assert (deep.depthwise, deep.send_out, deep.oc_per_load, deep.para_size) == (1, 1, 40, 360)
    assert (deep.row_switch, deep.ch_switch, deep.coef_group) == (3, 6, 1)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"src": 32}, "do not begin at multiples of 64"),
        ({"depthwise": True}, "depthwise layer goes from 3 to 8"),
        ({"kernel": 5}, "no kernel of 5x5"),
        ({"pool": "max"}, "pool of a layer is 'max'"),
        ({"source": (4000, 4, 4)}, "a channel has 36000 bytes"),
    ],
)
def test_layers_that_the_kpu_does_not_have(options: dict[str, object], why: str) -> None:
    with pytest.raises(ModelbuildError, match=why):
        kpu_geometry.layer(**{"source": (3, 16, 16), "oc": 8, **options})  # type: ignore[arg-type]


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


def whole(bits: int, *, signed: bool = False) -> st.SearchStrategy[int]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.sampled_from([low, high]) | st.integers(low, high)


NORMS = st.builds(BatchNorm, whole(24, signed=True), whole(32, signed=True), whole(4), whole(4))
PIECES = st.builds(Segment, whole(36, signed=True), whole(16, signed=True), whole(8), whole(8), whole(4))


@given(st.lists(NORMS), st.lists(PIECES, min_size=16, max_size=16))
def test_any_entries_survive(norms: list[BatchNorm], pieces: list[Segment]) -> None:
    data = kpu_tables.pack_batch_norm(norms)
    assert kpu_tables.batch_norm(data, Span(0, len(data))) == tuple(norms)
    data = kpu_tables.pack_activation(pieces)
    assert len(data) == 144
    assert kpu_tables.activation(data, Span(0, 144)) == tuple(pieces)


@pytest.mark.parametrize(
    ("field", "bits", "signed"),
    [("start", 36, True), ("mul", 16, True), ("shift", 8, False), ("add", 8, False), ("rest", 4, False)],
)
def test_pieces_that_do_not_fit(field: str, bits: int, signed: bool) -> None:
    pieces = [Segment(0, 0, 0, 0)] * 16
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    for value in (low - 1, high):
        pieces[5] = replace(pieces[0], **{field: value})
        with pytest.raises(ModelbuildError, match=f"{field} of activation piece 5 does not hold {value}:"):
            kpu_tables.pack_activation(pieces)


@pytest.mark.parametrize(
    ("field", "bits", "signed"), [("mul", 24, True), ("add", 32, True), ("shift", 4, False)]
)
def test_batch_norms_that_do_not_fit(field: str, bits: int, signed: bool) -> None:
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    for value in (low - 1, high):
        entries = [BatchNorm(1, 2, 3), replace(BatchNorm(1, 2, 3), **{field: value})]
        with pytest.raises(
            ModelbuildError, match=f"{field} of the batch normalization of channel 1 does not"
        ):
            kpu_tables.pack_batch_norm(entries)


def test_an_activation_has_sixteen_pieces() -> None:
    with pytest.raises(ModelbuildError, match="16 pieces, not 15"):
        kpu_tables.pack_activation([Segment(0, 0, 0, 0)] * 15)


NUMBERS = whole(32)
SHAPES = st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
RANGES = st.builds(
    MemoryRange,
    st.sampled_from(list(LOCATIONS.values())),
    st.sampled_from(list(DATATYPES.values())),
    NUMBERS,
    NUMBERS,
    whole(16),
)
OPERATIONS = {
    44: st.builds(KpuUpload, RANGES, RANGES, SHAPES) | st.builds(KpuDownload, RANGES, RANGES, SHAPES),
    76: st.builds(Copy, RANGES, RANGES, SHAPES, SHAPES, SHAPES),
    152: st.builds(KpuConv2d, RANGES, RANGES, RANGES, layers(), RANGES, NUMBERS),
}


@pytest.mark.parametrize("size", OPERATIONS)
def test_any_operations_survive(size: int) -> None:
    @examples(40)
    @given(OPERATIONS[size])
    def survives(operation: KpuOperation) -> None:
        data = kpu_records.pack([operation, operation])
        assert len(data) == 2 * size
        assert kpu_records.unpack(data) == (operation, operation)

    survives()


def test_operations_as_the_facts_have_them() -> None:
    _, text = sources.kpu_code(kpu=64)
    upload, layer, download = kpu_records.unpack(text)
    assert upload == KpuUpload(
        MemoryRange("input", "uint8", 0, 768), MemoryRange("kpu", "uint8", 0, 3072), (1, 3, 16, 16)
    )
    assert isinstance(layer, KpuConv2d) and isinstance(download, KpuDownload)
    assert layer.weights == MemoryRange("rdata", "uint8", 0, 81)
    assert (layer.main_mem_output, layer.batches, layer.layer.oc) == (kpu_records.NOWHERE, 1, 3)
    assert kpu_records.pack([upload, layer, download]) == text


def test_operations_that_are_not_written() -> None:
    _, text = sources.kpu_code(kpu=64)
    for place, value, why in (
        (0, 4, "there is no operation 4"),
        (1, 1, "reserved bytes"),
        (4, 77, r"location is 'unknown \(77\)'"),
        (44 + 56 + 8 * 6 + 7, 1, "register 6 has bits"),
    ):
        changed = bytearray(text)
        changed[place] = value
        with pytest.raises(ModelbuildError, match=why):
            kpu_records.unpack(bytes(changed))
    with pytest.raises(ModelbuildError, match="expected here"):
        kpu_records.unpack(text[:-1])
    here = MemoryRange("data", "uint8", -1, 3)
    with pytest.raises(ModelbuildError, match="start does not hold -1"):
        kpu_records.pack([KpuUpload(here, here, (1, 3, 4, 4))])
    with pytest.raises(ModelbuildError, match="location is 'ram'"):
        kpu_records.pack([KpuUpload(replace(here, location="ram"), here, (1, 3, 4, 4))])
    here = replace(here, start=0)
    with pytest.raises(ModelbuildError, match="in_shape does not hold"):
        kpu_records.pack([KpuUpload(here, here, (1, 3, 4))])  # type: ignore[arg-type]

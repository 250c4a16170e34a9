"""Instructions there and back, and every kind of malformed stream."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction
from modelbuild.npu.program.codec import decode_instructions, encode_instructions
from modelbuild.npu.program.instructions import INSTRUCTIONS
from modelbuild.npu.program.rules import broken_rule
from modelbuild.npu.program.setups import ConvolutionSetup, CurveSetup, MaxPoolSetup, RescaleSetup
from modelbuild.npu.program.transfers import (
    End,
    Fill,
    Layer,
    Load,
    LoadConstants,
    Loop,
    Output,
    Store,
    Transfer,
    Yield,
)
from tests.hypotheses import examples
from tests.npu.constant_loads import raw_constants

loops = st.builds(Loop, st.integers(0, 9), st.integers(0, 100), st.integers(0, 100))


@st.composite
def instructions(draw: st.DrawFn) -> Instruction:
    """Any instruction whose fields fit together."""
    kind = draw(st.sampled_from([kind for kind in INSTRUCTIONS.values() if kind is not End]))
    values: dict[str, Any] = {}
    for item in fields(kind):
        if item.name == "loops":
            values["loops"] = tuple(draw(st.lists(loops, max_size=3)))
        else:
            encoding = item.metadata["encoding"]
            high = min(encoding.high, 300) if draw(st.booleans()) else encoding.high
            values[item.name] = draw(st.integers(max(encoding.low, -300), high))
    for operand in ("input", "other", "output"):  # mostly rings that hold their rows
        if f"{operand}_slots" in values and draw(st.integers(0, 9)):
            rows = values.get(f"{operand}_rows", values.get("rows", 0))
            values[f"{operand}_slots"] = slots = draw(
                st.integers(max(1, rows), min(max(1, rows) + 9, 2**31 - 1))
            )
            values[f"{operand}_first"] = draw(st.integers(0, slots - 1))
    if kind is LoadConstants and draw(st.booleans()):
        values |= {"codec": 0, "stored": values["length"]}
    return kind(**values)


@examples(300)
@given(st.lists(instructions(), max_size=6))
def test_streams_survive_there_and_back(drawn: list[Instruction]) -> None:
    valid = (*(item for item in drawn if not broken_rule(item)), End())
    data = encode_instructions(valid)
    assert decode_instructions(b"xyz" + data, 3) == (valid, len(data) + 3)


@given(instructions())
def test_what_breaks_a_rule_is_neither_written_nor_read(instruction: Instruction) -> None:
    if broken_rule(instruction):
        with pytest.raises(ModelbuildError, match="malformed program"):
            encode_instructions([instruction])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_stream_or_an_error(data: bytes) -> None:
    try:
        decoded, end = decode_instructions(data)
    except ModelbuildError as error:
        assert error.exit_code == 2
    else:
        assert encode_instructions(decoded) == data[:end]


def test_opcodes_are_distinct_and_known_bytes_stay_what_they_are() -> None:
    assert len(INSTRUCTIONS) == 32
    assert encode_instructions([Layer(3), Yield(258), End()]).hex() == "010300" + "020201" + "03"
    load = Load(1, 2, 3, (Loop(2, 5, 6),))
    assert encode_instructions([load]).hex() == (
        "10" + "01000000" + "02000000" + "03000000" + "01" + "02000000" + "05000000" + "06000000"
    )
    constants = LoadConstants(1, 2, 9, codec=1, stored=5)
    assert encode_instructions([constants]).hex() == "11010000000200000009000000" + "0105000000" + "00"
    assert encode_instructions([raw_constants(1, 2, 3)]).hex()[26:] == "0003000000" + "00"
    assert encode_instructions([Output(1, 2, 3)]).hex() == "04" + "0100" + "02000000" + "03000000"
    assert (
        encode_instructions([Fill(1, -2, 16, 5)]).hex() == "13" + "01" + "feffffff" + "10000000" + "05000000"
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("", "cut off"),
        ("0103", "cut off"),
        ("00", "unknown opcode 0x00"),
        ("01ffff", "index is 65535"),
        ("10" + "00" * 12 + "00", "length is 0"),
        ("10" + "00000000" * 2 + "01000000" + "09", "9 loops"),
        ("13" + "04" + "00" * 4 + "00" * 4 + "01000000", "output_type is 4"),
        ("13" + "00" + "ffffffff" + "00" * 4 + "01000000", "value is -1, which U8 cannot hold"),
    ],
)
def test_malformed_streams(data: str, text: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        decode_instructions(bytes.fromhex(data))
    assert text in str(caught.value) and "instruction 0 at offset 0" in str(caught.value)


@pytest.mark.parametrize(
    ("transfer", "text"),
    [
        (Load(0, 0, 4, (Loop(1, 8, 8),)), "fewer than two times"),
        (Load(0, 0, 4, (Loop(2, 8, 3),)), "writes over itself"),
        (Store(0, 0, 4, (Loop(2, 3, 8),)), "writes over itself"),
        (Load(0, 0, 1, (Loop(2, 0, 5), Loop(6, 1, 1))), "writes over itself"),
        (LoadConstants(0, 0, 4, codec=0, stored=3), "3 raw bytes become 4"),
        (LoadConstants(0, 0, 4, (Loop(2, 4, 4),), codec=1, stored=3), "in a loop"),
    ],
)
def test_transfers_that_make_no_sense(transfer: Transfer, text: str) -> None:
    assert text in broken_rule(transfer)


def test_sources_may_be_read_again() -> None:
    assert not broken_rule(Load(0, 0, 4, (Loop(2, 0, 4),)))
    assert not broken_rule(Store(0, 0, 4, (Loop(2, 4, 0),)))


def test_setups_whose_fields_do_not_fit_together() -> None:
    assert "low is above high" in broken_rule(RescaleSetup(1, 1, 0, 0, 5, 4))
    assert "output_zero is 128" in broken_rule(RescaleSetup(1, 1, 0, 128, 0, 0))
    assert "no dilation" in broken_rule(MaxPoolSetup(1, 1, 1, 1, 1, 2, 1, 0, 8, 8, 0, 0))
    assert not broken_rule(CurveSetup(3, 1, 14, 4, -32768, 0, -128, 127))
    assert "smallest I16" in broken_rule(CurveSetup(3, 1, 14, 4, -32767, 0, -128, 127))
    assert "5 segments" in broken_rule(CurveSetup(3, 1, 14, 5, -32768, 0, -128, 127))
    wide = ConvolutionSetup(1, 1, 1, 3, 3, 1, 2, 1, 1, 1, 1, 1, 8, 1, 4, 0, 0, 0, 0)
    assert "no stride" in broken_rule(wide)

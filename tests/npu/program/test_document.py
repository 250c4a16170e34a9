"""The page that describes the format and the code that reads it name the same instructions and fields."""

from __future__ import annotations

import re
from dataclasses import fields

from modelbuild.npu.program.header import HEADER_SIZE, MAX_DRAM, MAX_SRAM
from modelbuild.npu.program.instructions import INSTRUCTIONS
from modelbuild.npu.program.transfers import Transfer
from tests.conftest import REPOSITORY

TYPES = {"B": "u8", "H": "u16", "I": "u32", "i": "i32"}


def test_every_instruction_and_field_is_described() -> None:
    text = (REPOSITORY / "docs" / "program-format.md").read_text("utf-8")
    rows = re.findall(r"^\| 0x([0-9a-f]{2}) \| ([a-z-]+) \| (.*) \|$", text, re.MULTILINE)
    described = {int(opcode, 16): (name, fields_text.strip()) for opcode, name, fields_text in rows}
    expected = {}
    for opcode, kind in INSTRUCTIONS.items():
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()
        words = [
            f"{item.name} {TYPES[item.metadata['encoding'].code]}"
            for item in fields(kind)
            if item.name != "loops"
        ] + ["loops"] * issubclass(kind, Transfer)
        expected[opcode] = (name, ", ".join(words))
    assert described == expected
    assert f"header ({HEADER_SIZE} bytes)" in text
    assert (MAX_DRAM, MAX_SRAM) == (2**30, 2**26) and "at most 2^30" in text and "2^26" in text

"""The tables that readers need stand in the pages, and say what the source says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from modelbuild.formats.flatbuffer_schema import Schema, Slot
from modelbuild.formats.kmodel import stackvm_isa
from modelbuild.formats.kmodel.stackvm_functions import FUNCTIONS
from modelbuild.formats.kmodel.stackvm_isa import Instruction
from modelbuild.formats.kneron_operators import CODES
from modelbuild.formats.kneron_schemas import KNE, SETUP
from modelbuild.formats.nef_tensor import LAYOUTS

DOCS = Path(__file__).resolve().parents[2] / "docs"
TYPES = {"B": "u8", "b": "i8", "I": "u32", "i": "i32", "Q": "u64", "f": "f32", "?": "bool"}


def page(name: str) -> list[str]:
    return (DOCS / name).read_text(encoding="utf-8").splitlines()


def missing(name: str, lines: Iterable[str]) -> list[str]:
    """The lines that the page lacks."""
    there = set(page(name))
    return [line for line in lines if line not in there]


def format_codes() -> list[str]:
    """| code | name on each platform |"""
    codes = sorted({code for table in LAYOUTS.values() for code in table})
    return [
        f"| {code} | " + " | ".join(table.get(code, "") for table in LAYOUTS.values()) + " |"
        for code in codes
    ]


def operators() -> list[str]:
    return [f"| `{name}` | {code} | `{code:08X}` |" for name, code in CODES.items()]


def written(slot: Slot) -> str:
    """A slot as the page writes it; of a union its code."""
    plain = TYPES.get(slot.type, slot.type)
    kinds = {"string": "str", "strings": "[str]", "vector": f"[{plain}]", "tables": f"[{slot.type}]"}
    return f"{slot.name} {kinds.get(slot.kind, plain)}"


def slots(schema: Schema, table: str) -> str:
    found = [
        f"{number} {slot.name} u8" if slot.kind == "code" else f"{number} {written(slot)}"
        for number, slot in enumerate(schema.slots(table))
    ]
    return f"| `{table}` | {'; '.join(found) or 'none'} |"


def options(schema: Schema) -> list[str]:
    """The members of the union of options, in the order of their codes."""
    found: list[str] = []
    while (name := schema.member("BuiltinOptions", len(found) + 1)) is not None:
        found.append(name)
    return found


def unions() -> list[str]:
    """| code | in setups | in KNEs |"""
    ours, theirs = options(SETUP), options(KNE)
    return [
        f"| {code} | {ours[code - 1] if code <= len(ours) else ''} | {theirs[code - 1]} |".replace(
            "|  |", "| |"
        )
        for code in range(1, len(theirs) + 1)
    ]


def option_tables() -> list[str]:
    names = {*options(SETUP), *options(KNE)}
    found = {name: slots(KNE if name in options(KNE) else SETUP, name) for name in sorted(names)}
    return list(found.values())


def instruction(found: Instruction) -> str:
    """Operands, what it takes and what it gives, in three columns."""
    operands = ", ".join(f"{operand.name} {operand.kind}" for operand in found.operands)
    return f"{operands or '–'} | {', '.join(found.takes).replace('*', '·') or '–'} | {found.gives or '–'}"


def opcodes() -> list[str]:
    return [
        f"| `{number:02X}` | `{found.name}` | {instruction(found)} |"
        for number, found in enumerate(stackvm_isa.OPCODES)
    ]


def functions() -> list[str]:
    found = []
    for name, spec in FUNCTIONS.items():
        columns = instruction(stackvm_isa.instruction(f"x {spec}")).rpartition(" | ")[0]
        found.append(f"| `{name}` | {columns} |")
    return found


def numbers() -> list[str]:
    """Releases, their functions in order from number 0, and those in an earlier form."""
    found = []
    for versions, order, before, unary, words, _ in stackvm_isa._TABLES:
        old = [f"{name}: {form or 'unknown'}" for name, form in before.items() if name in order.split()]
        found.append(
            f"| {', '.join(versions.split())} | {' '.join(order.split())} | {'; '.join(old) or '–'} | "
            f"{words} | {' '.join(unary.values())} |"
        )
    return found


def enums() -> list[str]:
    return [
        f"| {kind} | {', '.join(f'{number} {name}' for number, name in names.items())} |"
        for kind, names in stackvm_isa.ENUMS.items()
    ]


def test_the_tables_of_nef() -> None:
    wanted = [*format_codes(), *operators(), *unions(), *option_tables()]
    assert len(operators()) == 170 and len(option_tables()) == 79
    assert missing("format-nef-tables.md", wanted) == []


def test_the_tables_of_kmodel() -> None:
    wanted = [*opcodes(), *functions(), *numbers(), *enums()]
    assert len(opcodes()) == 94 and len(functions()) == 49
    assert missing("format-kmodel-tables.md", wanted) == []


def test_the_pages_send_no_reader_to_the_source_for_a_table() -> None:
    for name in ("format-nef.md", "format-nef-tables.md", "format-kmodel.md", "format-kmodel-tables.md"):
        text = "\n".join(page(name))
        for source in (
            "kneron_operators",
            "kneron_schemas",
            "nef_tensor.py",
            "stackvm_isa",
            "stackvm_functions",
        ):
            assert source not in text, f"{name} points to {source}"

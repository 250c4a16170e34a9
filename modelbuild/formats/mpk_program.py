"""The accelerator's program of an MPK: what the names of its ELF's sections tell."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf

CODE, WEIGHTS, INPUT, OUTPUT, TABLE, UNKNOWN = "code", "weights", "input", "output", "table", "unknown"
_PREFIXES = (("code.", CODE), ("filter.", WEIGHTS))
_TABLES = (".shstrtab", ".strtab", ".symtab", ".comment")
# Both eras: ifm.persistent.NODE.b0, data.ifm.b0, data.ifm.persistent.input_00/MLA_0/NODE.b0
_BORDER = re.compile(r"(?:data\.)?(ifm|ofm)(?:\.persistent\.(?P<name>.+))?\.b(?P<sample>[0-9]{1,6})")
EXTENT_KIND = 0x71BA0002  # of a section that holds no tensor, but its size: u64 bytes, u64 of unknown meaning
_EXTENT = struct.Struct("<QQ")
_SIDES = {"ifm": INPUT, "ofm": OUTPUT}


@dataclass(frozen=True)
class Border:
    """The place of a tensor at the program's border; `name` is empty where one section holds them all.
    `sample` is the picture of a batch that it belongs to."""

    name: str
    size: int
    sample: int = 0


@dataclass(frozen=True)
class ProgramSummary:
    """Bytes of a program's sections by what they are; `unknown` are those whose names say nothing known."""

    code_sections: int
    code_bytes: int
    weight_sections: int
    weight_bytes: int
    inputs: tuple[Border, ...]
    outputs: tuple[Border, ...]
    unknown: tuple[Border, ...]

    @property
    def input_bytes(self) -> int:
        """Bytes of all inputs."""
        return sum(item.size for item in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Bytes of all outputs."""
        return sum(item.size for item in self.outputs)


def role(name: str) -> str:
    """What a section is for, by its name."""
    border = _BORDER.fullmatch(name)
    if border:
        return _SIDES[border[1]]
    if not name or name in _TABLES:
        return TABLE
    return next((what for prefix, what in _PREFIXES if name.startswith(prefix)), UNKNOWN)


def summarize(image: elf.Elf | None) -> ProgramSummary:
    """The sections together."""
    by_role: dict[str, list[elf.Section]] = {}
    for section in image.sections if image is not None else ():
        by_role.setdefault(role(section.name), []).append(section)
    code, weights = by_role.get(CODE, []), by_role.get(WEIGHTS, [])
    return ProgramSummary(
        len(code),
        sum(item.size for item in code),
        len(weights),
        sum(item.size for item in weights),
        _borders(image, by_role.get(INPUT, [])),
        _borders(image, by_role.get(OUTPUT, [])),
        tuple(Border(item.name, item.size) for item in by_role.get(UNKNOWN, [])),
    )


def check_apart(image: elf.Elf | None, what: str) -> list[elf.Section]:
    """The sections of that role. Errors: ModelbuildError where they overlap: few bytes must not give many."""
    found = [section for section in image.sections if role(section.name) == what] if image else []
    size = sum(section.size for section in found if section.kind != elf.NOBITS)
    if image is not None and size > len(image.data):
        raise ModelbuildError(f"the program's sections of {what} overlap", where="ELF")
    return found


def joined(image: elf.Elf | None, what: str) -> bytes:
    """The bytes of every section of that role, in order. Errors: as `check_apart`."""
    found = check_apart(image, what)
    return b"".join(image.content(section) for section in found) if image is not None else b""


def _borders(image: elf.Elf | None, sections: Sequence[elf.Section]) -> tuple[Border, ...]:
    found = []
    for section in sections:
        match = _BORDER.fullmatch(section.name)
        if match is not None and image is not None:
            found.append(Border(match["name"] or "", _size(image, section), int(match["sample"])))
    return tuple(found)


def _size(image: elf.Elf, section: elf.Section) -> int:
    """Bytes of the tensor: what the section tells where it is of that kind, else its own size."""
    if section.kind != EXTENT_KIND or section.size < _EXTENT.size:
        return section.size
    size: int = _EXTENT.unpack_from(image.data, section.offset)[0]
    return size

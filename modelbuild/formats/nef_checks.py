"""Rules of a NEF that are no checksums."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

from modelbuild.formats.checks import Check, unless
from modelbuild.formats.nef_objects import Nef
from modelbuild.formats.setup_legacy import LegacySetup

_SHOWN = 8  # ids of a list


def checks(nef: Nef) -> Iterator[Check]:
    """Whether what the file says twice is the same, whether its checksums are there, and setups are whole."""
    inside = nef.chips_inside()
    if inside:
        others = ", ".join(sorted(f"kl{chip}" for chip in inside if chip != nef.chip))
        why = f"the header names {nef.target}, what is inside {others}" if others else ""
        yield unless("target", why)
    info = nef.firmware_info
    if info is not None:
        size = len(nef.file.all_models)
        why = "" if info.total_size == size else f"it says {info.total_size}, there are {size} bytes"
        yield unless("fw_info.total_size", why)
    if _is_of_today(nef):
        yield from _checksums_there(nef)
    if nef.file.infos:
        listed = Counter(entry.id for entry in nef.file.infos)
        found = Counter(model.id for model in nef.models)
        why = "" if listed == found else f"listed are {_few(listed)}, there are {_few(found)}"
        yield unless("list of models", why)
    for model in nef.models:
        text = None if model.listed is None else model.listed.version
        if text is not None and model.version is not None:
            why = "" if model.version in _readings(text) else f"listed is {text!r}, it is {model.version}"
            yield unless(f"version of model {model.id}", why)
    yield from _setups(nef)


def _is_of_today(nef: Nef) -> bool:
    """Whether the file is none of 2020, which have no checksums: it says its schema, or has some of them."""
    info = nef.firmware_info
    return nef.file.header.schema is not None or (info is not None and info.checksum is not None)


def _checksums_there(nef: Nef) -> Iterator[Check]:
    """A checksum that is missing tells nothing of the bytes, where files of its kind have one."""
    lost = "the last four bytes are none: it was cut off, or something was appended"
    yield unless("the file ends in its CRC-32", lost if nef.file.tail is None else "")
    absent = not nef.file.header.crc and zlib.crc32(nef.file.all_models)
    yield unless("the header has the CRC-32 of all_models", "it is absent or 0" if absent else "")


def _setups(nef: Nef) -> Iterator[Check]:
    for model in nef.models:
        block = model.block
        if isinstance(block, LegacySetup):
            why = f"{block.stopped}, offset 0x{block.end:x} of the setup" if block.stopped else ""
            yield unless(f"nodes in the setup of model {model.id}", why)


def _few(ids: Counter[int]) -> str:
    """Some of them, and how many there are."""
    first = sorted(ids.elements())
    more = f" and {len(first) - _SHOWN} more" if len(first) > _SHOWN else ""
    return ", ".join(map(str, first[:_SHOWN])) + more or "none"


def _readings(text: str) -> set[int]:
    """The numbers that the text of a version may stand for: decimal and hexadecimal are both used."""
    found = set()
    for base in (10, 16):
        with suppress(ValueError):
            found.add(int(text.strip(), base))
    return found

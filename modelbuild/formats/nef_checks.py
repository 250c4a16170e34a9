"""Rules of a NEF that are no checksums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from modelbuild.formats.checks import Check, unless
from modelbuild.formats.nef_objects import Nef


def checks(nef: Nef) -> Iterator[Check]:
    """Whether what the file says twice is the same."""
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
    if nef.file.infos:
        listed = sorted(entry.id for entry in nef.file.infos)
        found = sorted(model.id for model in nef.models)
        why = "" if listed == found else f"listed are {listed}, there are {found}"
        yield unless("list of models", why)
    for model in nef.models:
        text = None if model.listed is None else model.listed.version
        if text is not None and model.version is not None:
            why = "" if model.version in _readings(text) else f"listed is {text!r}, it is {model.version}"
            yield unless(f"version of model {model.id}", why)


def _readings(text: str) -> set[int]:
    """The numbers that the text of a version may stand for: decimal and hexadecimal are both used."""
    found = set()
    for base in (10, 16):
        with suppress(ValueError):
            found.add(int(text.strip(), base))
    return found

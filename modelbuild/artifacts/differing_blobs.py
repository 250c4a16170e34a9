"""The blobs of closed containers by name, with what modelbuild reads of them as numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.artifacts import differing_kmodel, differing_programs
from modelbuild.artifacts.differing_weights import Weight, blob
from modelbuild.artifacts.kinds import Kind
from modelbuild.formats import elf, mpk, nef
from modelbuild.formats.gzip_stream import Slices

Weights = dict[str, Weight]
_VENDOR = "the vendor's layout of it is not public"
_OWN = {
    "command": "instructions, no numbers",
    "weight": "constants of all layers, packed; each layer's stand under its own name",
    "setup": "fields; what differs in them stands in the metadata",
    "host": "instructions and constants for the CPU, which are not read as numbers",
}


def _blobs(label: str, pieces: Mapping[str, bytes], is_own: bool) -> Weights:
    return {
        f"{label}{name}": blob(data, _OWN[name] if is_own else _VENDOR)
        for name, data in pieces.items()
        if data
    }


def _of_nef(data: bytes) -> Weights:
    found = nef.read(data)
    made: Weights = {}
    for index, model in enumerate(found.models):
        label = f"model {index if model.id is None else model.id}"
        pieces = {"command": model.command, "weight": model.weight, "setup": model.setup, "host": model.host}
        made |= _blobs(f"{label}/", pieces, not found.silicon)
        if not found.silicon:
            made |= differing_programs.constants(label, model.command, model.weight)
    return made


def of_mpk(data: Slices) -> Weights:
    """Those of an MPK, which need not lie in memory."""
    found = mpk.survey(data)
    is_own, pieces = not found.silicon, {"command": found.command, "weight": found.weight, "host": found.host}
    del found  # with all members
    made = _blobs("", pieces, is_own)
    if is_own:
        made |= differing_programs.constants("program", pieces["command"], pieces["weight"])
    return made


def _of_elf(data: bytes) -> Weights:
    found = elf.read(data)
    return {
        section.name: blob(found.content(section), "a section of a program")
        for section in found.sections
        if section.size
    }


def _of_bie(data: bytes) -> Weights:
    return {"encrypted": blob(data, "it is encrypted")}


BLOBS: Mapping[Kind, Callable[[bytes], Weights]] = {
    Kind.NEF: _of_nef,
    Kind.ELF: _of_elf,
    Kind.KMODEL: differing_kmodel.weights,
    Kind.BIE: _of_bie,
}

"""The blobs of closed containers by name, and of modelbuild's own programs the constants of each layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.artifacts.kinds import Kind
from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, kmodel, mpk, nef
from modelbuild.npu.program import decode
from modelbuild.npu.program.transfers import Layer, LoadConstants

Blobs = dict[str, bytes]


def _of_nef(data: bytes) -> Blobs:
    found = nef.read(data)
    blobs: Blobs = {}
    for index, model in enumerate(found.models):
        label = f"model {index if model.id is None else model.id}"
        pieces = {"command": model.command, "weight": model.weight, "setup": model.setup, "host": model.host}
        blobs |= {f"{label}/{name}": piece for name, piece in pieces.items() if piece}
        if not found.silicon:
            blobs |= _constants(label, model.command, model.weight)
    return blobs


def _of_mpk(data: bytes) -> Blobs:
    found = mpk.survey(data)
    pieces = {"command": found.command, "weight": found.weight, "host": found.host}
    blobs = {name: piece for name, piece in pieces.items() if piece}
    if not found.silicon:
        blobs |= _constants("program", found.command, found.weight)
    return blobs


def _of_elf(data: bytes) -> Blobs:
    found = elf.read(data)
    return {section.name: found.content(section) for section in found.sections if section.size}


def _of_kmodel(data: bytes) -> Blobs:
    """Tables of layers and sections of modules."""
    found = kmodel.read(data)
    blobs: Blobs = {}
    for index, layer in enumerate(found.layers):
        if layer.convolution is not None:
            for name in ("weights", "batch_norm", "activation"):
                span = getattr(layer.convolution, name)
                blobs[f"layer {index}/{name}"] = data[span.offset : span.end]
    for index, module in enumerate(found.modules):
        for section in module.sections:
            name = f"module {index} ({module.kind})/{section.name}"
            blobs[name] = data[section.body.offset : section.body.end]
    return blobs


def _of_bie(data: bytes) -> Blobs:
    return {"encrypted": data}


def _constants(label: str, command: bytes, weights: bytes) -> Blobs:
    """What each layer of an own program loads: weights with records of scaling, or tables, as they lie
    there. Nothing of a program that is damaged: `inspect` says so."""
    try:
        program = decode(command)
    except ModelbuildError:
        return {}
    names = [layer.name for layer in program.interface.layers]
    current, found = "", dict[str, dict[tuple[int, int], None]]()
    for instruction in program.instructions:
        if isinstance(instruction, Layer) and instruction.index < len(names):
            current = names[instruction.index]
        elif isinstance(instruction, LoadConstants):
            found.setdefault(current, {})[instruction.dram, _extent(instruction)] = None
    return {
        f"{label}/{name}": b"".join(weights[start : start + size] for start, size in places)
        for name, places in found.items()
    }


def _extent(load: LoadConstants) -> int:
    """Bytes from the first to the last that a load reads."""
    return load.stored + sum((loop.count - 1) * loop.dram_stride for loop in load.loops)


BLOBS: Mapping[Kind, Callable[[bytes], Blobs]] = {
    Kind.NEF: _of_nef,
    Kind.MPK: _of_mpk,
    Kind.ELF: _of_elf,
    Kind.KMODEL: _of_kmodel,
    Kind.BIE: _of_bie,
}

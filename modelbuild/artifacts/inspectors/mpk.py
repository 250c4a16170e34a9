"""An MPK as `inspect` shows it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors import archive
from modelbuild.artifacts.inspectors.nef import program
from modelbuild.artifacts.packing.mpk_sizes import other_sizes
from modelbuild.chips.load import load_recipe
from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mla_stats, mpk, mpk_program
from modelbuild.formats.checks import Check, unless
from modelbuild.formats.mpk_pipeline import Step
from modelbuild.npu.program import interface

_CLOCK = 1_000_000_000  # Hz
_ASSUMED = "a clock of 1 GHz, published for the MLSoC and not for Modalix; the archive does not name its chip"
_NO_STALLS = "cycles have no stalls in them; published times are 1.4 to 1.6 times as long"
_MANY_SLICES = 3  # of which the vendor's users saw what they cost
_SHOWN = 8
_LOADER_NAME = ".tar.gz"


def describe(path: Path) -> dict[str, Any]:
    """Members, plugins, sections and checks. Errors: ModelbuildError for what is no complete archive."""
    with input_file.sliced(path) as data:
        found = mpk.survey(data)
        is_canonical = found.archive.is_canonical(data)
    described: dict[str, Any] = {
        "version": found.toolchain_version or None,
        "silicon": found.silicon,
        "toolchain_version": found.toolchain_version,
        "source": found.model_path,
        "source_checksum": found.model_checksum,
        "generation": found.generation or None,
        "precision": found.precision or None,
        "desired_batch": found.desired_batch or None,
        "actual_batch": found.actual_batch or None,
        "health": _health(found.health),
        "notes": _notes(found, path),
        "checksums": archive.checksums(found.archive.checksums),
        "checks": archive.checks((*found.safety, *found.checks, *_sizes(found))),
        "packed": "gzip" if found.archive.packed else "no",
        "normalised": is_canonical,
        "members": archive.tar_members(found.archive),
        "inputs": [_node(node, found.actual_batch) for node in found.input_nodes],
        "outputs": [_node(node, found.actual_batch) for node in found.output_nodes],
        "plugins": [_plugin(item, found) for item in sorted(found.plugins, key=lambda item: item.sequence)],
        "pipeline": [_step(step) for step in found.pipeline],
        "configurations": [
            {"name": item.member, "values": dict(item.values), "unknown": list(item.unknown)}
            for item in found.configurations
        ],
        "unknown_fields": [{"name": place, "value": value} for place, value in found.unknown],
        "program": found.program,
        "program_summary": _summary(found.summary) if found.image is not None else None,
        "sections": [
            {
                "name": item.name,
                "size": item.size,
                "stored": item.kind != elf.NOBITS,
                "role": mpk_program.role(item.name),
            }
            for item in found.sections
        ],
    }
    model = _model(found)
    described["timing"] = _timing(found, model)
    described["models"] = [model]
    return {**described, **archive.tar_parts(found.archive, len(data))}


def _model(found: mpk.Mpk) -> dict[str, Any]:
    model: dict[str, Any] = {
        "id": None,
        "name": found.name,
        "version": None,
        "inputs": [_tensor(tensor) for tensor in found.inputs],
        "outputs": [_tensor(tensor) for tensor in found.outputs],
        "cycles": found.cycles,
        "command_bytes": found.summary.code_bytes,
        "weight_bytes": found.summary.weight_bytes,
        "host_bytes": len(found.host),
        "layers": [{"name": span.name, "cycles": span.cycles} for span in found.layers],
    }
    if not found.silicon:
        model["program"] = program(found.command)
    return model


def _health(health: mpk.Health) -> dict[str, Any]:
    return {
        "ok": not health.why,
        "why": "; ".join(health.why) or None,
        "elf": health.elf,
        "lm": health.lm,
        "so": health.so,
        "steps": dict(sorted(health.steps.items())),
    }


def _notes(found: mpk.Mpk, path: Path) -> list[str]:
    """What is no mistake, and worth knowing before the package is used."""
    notes = []
    if 0 < found.actual_batch < found.desired_batch:
        notes.append(f"a batch of {found.desired_batch} was asked for, and {found.actual_batch} was achieved")
    mla = next((item.sequence for item in found.plugins if item.processor == "MLA"), None)
    after = [item.kernel for item in found.plugins if mla is not None and item.sequence > mla]
    slices = after.count("slice_transform")
    if slices > _MANY_SLICES:
        notes.append(
            f"{slices} slice_transform steps follow the accelerator: such tails were seen to be slow"
        )
    if not path.name.endswith(_LOADER_NAME) or not found.archive.packed:
        notes.append(f"the vendor's loader takes gzip archives called *{_LOADER_NAME} only")
    if found.health.lm and not found.health.elf:
        notes.append("the program is a .lm, which the loader of later runtimes does not take")
    return notes


def _timing(found: mpk.Mpk, model: dict[str, Any]) -> dict[str, Any] | None:
    """Cycles of a frame, and frames a second at a clock that is named."""
    if not found.layers:
        return None
    summary = mla_stats.summarize(found.layers)
    clock, assumed = _clock(model)
    batched = found.actual_batch > 1
    return {
        "cycles": summary.cycles,
        "busy_cycles": summary.busy,
        "gaps": _listed(summary.gaps),
        "overlaps": _listed(summary.overlaps),
        "backwards": list(summary.backwards[:_SHOWN]),
        "clock_hz": clock,
        "fps": None if batched or not summary.cycles else clock / summary.cycles,
        "assumed": "; ".join(
            [assumed]
            + [_NO_STALLS] * found.silicon
            + ["whether a run of a batch has these cycles, or a frame of it, is not known"] * batched
        ),
    }


def _clock(model: dict[str, Any]) -> tuple[int, str]:
    """(Hz, where from): of modelbuild's own packages the chip is known."""
    chip = model.get("program", {}).get("chip")
    try:
        fact = load_recipe(chip).hardware.clock_hz if chip else None
    except ModelbuildError:
        fact = None
    if fact is None:
        return _CLOCK, _ASSUMED
    return round(fact.value), f"the clock of {chip}'s recipe ({fact.sure}: {fact.source})"


def _listed(found: tuple[tuple[str, int], ...]) -> dict[str, Any] | None:
    """How many, how many cycles, and the first of them."""
    if not found:
        return None
    first = [{"name": name, "cycles": cycles} for name, cycles in found[:_SHOWN]]
    return {"count": len(found), "cycles": sum(cycles for _, cycles in found), "first": first}


def _summary(found: mpk_program.ProgramSummary) -> dict[str, Any]:
    def bordered(items: tuple[mpk_program.Border, ...]) -> list[dict[str, Any]]:
        return [
            {"name": item.name or None, "size": item.size, "sample": item.sample or None} for item in items
        ]

    return {
        "code_sections": found.code_sections,
        "code_bytes": found.code_bytes,
        "weight_sections": found.weight_sections,
        "weight_bytes": found.weight_bytes,
        "input_bytes": found.input_bytes,
        "output_bytes": found.output_bytes,
        "inputs": bordered(found.inputs),
        "outputs": bordered(found.outputs),
        "unknown": bordered(found.unknown),
    }


def _plugin(plugin: mpk.MpkPlugin, found: mpk.Mpk) -> dict[str, Any]:
    executable = plugin.executable
    scales = Counter(plugin.channels)
    return {
        "name": plugin.name,
        "sequence": plugin.sequence,
        "processor": plugin.processor,
        "kernel": plugin.kernel or None,
        "executable": executable if executable.rpartition("/")[2] in found.files else None,
        "reads": [node.name for node in plugin.inputs],
        "makes": [node.name for node in plugin.outputs],
        "size": sum(node.size for node in plugin.outputs) or None,
        "channel_params": len(scales) or None,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "sequence": step.sequence,
        "plugin": step.plugin or None,
        "processor": step.processor or None,
        "kernel": step.kernel or None,
        "configuration": step.configuration or None,
        "reads": list(step.inputs),
    }


def _tensor(tensor: mpk.MpkTensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "dtype": tensor.scalar,
        "scale": tensor.scale if math.isfinite(tensor.scale) else None,
        "zero_point": tensor.zero_point,
    }


def _node(node: mpk.MpkNode, batch: int) -> dict[str, Any]:
    """A node's shape is that of one frame, its size counts those of a batch: `frames` says how many."""
    return {
        "name": node.name,
        "shape": list(node.shape),
        "dtype": node.dtype or None,
        **({"frames": batch} if batch > 1 and node.shape else {}),
        "size": node.size or None,
        "range": list(node.range) or None,
    }


def _sizes(found: mpk.Mpk) -> list[Check]:
    """Of a package of ours: whether it tells the tensors that the program has."""
    if found.silicon:
        return []
    try:
        wrong = other_sizes(found, interface(found.command))
    except ModelbuildError:
        return []  # `program` says why it cannot be read
    return [unless("sizes are those of the program's tensors", "; ".join(wrong))]

"""A predicted layer as evaluate.json has it, with the columns of the vendors' reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from modelbuild.chips.recipe import Recipe
from modelbuild.npu.predicting.confidence import of_layer
from modelbuild.npu.predicting.predicted_layers import Map, Row
from modelbuild.npu.predicting.prediction import Prediction


def layer(found: Prediction, row: Row, added: int | None) -> dict[str, Any]:
    """One of `layers`, with the columns of the vendors' reports and the stalls that they leave out. `added`
    are the multiplications that the source's nodes have not."""
    hardware, busy = found.recipe.hardware, row.busy
    return {
        "name": row.name,
        "op": row.op,
        "origin": list(row.origin),
        "unit": row.unit,
        "node_backend": backend(found, row),
        "command_index": row.group,
        "macs": row.macs,
        "macs_added": added,
        "cycles": row.cycles,
        "compute_cycles": busy.compute,
        "mac_cycles": row.array,
        "read_cycles": busy.read,
        "write_cycles": busy.write,
        "weight_cycles": busy.weights,
        "overhead_cycles": busy.overhead,
        "stall_cycles": row.stall,
        "start_cycle": row.start,
        "end_cycle": row.end,
        "time_ms": found.ms(row.cycles),
        "mac_ms": found.ms(row.array),
        "cfunc_ms": found.ms(row.array),
        "pfunc_ms": found.ms(busy.compute - row.array),
        "read_ms": found.ms(busy.read),
        "write_ms": found.ms(busy.write),
        "weight_ms": found.ms(busy.weights),
        "runtime_ms": found.ms(busy.compute + busy.read + busy.write),
        "sync_ms": found.ms(row.cycles),
        "dram_read": row.read_bytes,
        "dram_write": row.write_bytes,
        "weights": row.weight_bytes,
        "bound": busy.bound(found.engines),
        "utilisation": found.utilisation((row,), row.cycles),
        "tiles": row.tiles,
        "on_chip": row.on_chip,
        "bits_in": _bits(row.inputs),
        "bits_out": _bits(row.outputs),
        "bits_weight": row.bits_weight,
        "format_in": _formats(found.recipe, row.inputs),
        "format_out": _formats(found.recipe, row.outputs),
        "confidence": of_layer(hardware, row, found.options.told),
        "estimated": row.estimated,
    }


def backend(found: Prediction, row: Row) -> str:
    """What Kneron's report calls the nodes that are executed together."""
    near = [each for each in found.npu if each.group == row.group] if row.group is not None else [row]
    return "_".join((f"{row.unit}_fusion_node", *(name for each in near for name in each.nodes)))


def added_macs(rows: Iterable[Row], source: Mapping[str, int] | None) -> dict[str, int | None]:
    """Layer -> how many multiplications of it are none of what it stands for; `source` are these by their
    origin, which layers of one origin share in their order. Of a source that is not known None."""
    if source is None:
        return {row.name: None for row in rows}
    left = dict(source)
    found: dict[str, int | None] = {}
    for row in rows:
        added = row.macs
        for name in row.origin:
            own = min(added, left.get(name, 0))
            left[name] = left.get(name, 0) - own
            added -= own
        found[row.name] = added
    return found


def _bits(maps: Sequence[Map]) -> int | str | None:
    """A number where all have as many, else the vendor's list of who has which; None of nothing."""
    found = [each.bits for each in maps]
    return _listed(maps, [str(bits) for bits in found]) if len(set(found)) > 1 else next(iter(found), None)


def _formats(recipe: Recipe, maps: Sequence[Map]) -> str | None:
    """The one format of all maps, or which is whose, as Kneron's report has it."""
    found = [name for each in maps if (name := map_format(recipe, each.channels, each.bits)) is not None]
    return _listed(maps, found) if found else None


def _listed(maps: Sequence[Map], words: Sequence[str]) -> str:
    """`FORMAT1:IN1,IN2 \\ FORMAT2:IN3`, in the order in which formats come first; one that all have is
    alone."""
    names: dict[str, list[str]] = {}
    for each, word in zip(maps, words, strict=True):
        names.setdefault(word, []).append(each.name)
    if len(names) == 1:
        return words[0]
    return " \\ ".join(f"{word}:{','.join(whose)}" for word, whose in names.items())


def map_format(recipe: Recipe, channels: int, bits: int) -> str | None:
    """Kneron's name for how a map lies in memory: 16 cells together, of so many columns and channels. None
    where the package has no such names."""
    if recipe.container.format != "nef":
        return None
    few = min(int(recipe.hardware.few_channels_at_once.value), 16)
    columns = 16 // few if channels <= few else min(int(recipe.hardware.columns_at_once.value), 16)
    shape = f"{columns}W{16 // columns}C"
    return f"{shape}8B{'HL' if bits > 8 else ''}"

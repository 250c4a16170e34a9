"""Predictions in words: one model on one chip, or chips side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelbuild.cli import console

Said = Mapping[str, Any]  # the object of `evaluate --json`

_NARROW = 4  # bits
_MEGA = 1e6


def text(said: Said, layers: bool) -> str:
    """A paragraph; with `layers` a table of them below."""
    lines = [
        f"{said['model']} on {said['chip']}: {number(said['fps'])} fps, confidence {said['confidence']}"
        + _because(said),
        f"  {number(said['total_ms'])} ms: NPU {number(said['time_ms'])} ms, CPU "
        f"{number(said['cpu_time_ms'])} ms",
        *_replaced(said),
        *_counts(said),
        *_memory(said),
        *_nodes(said),
        *_advice(said),
        *_measured(said),
    ]
    return "\n".join([*lines, _table(said["layers"])] if layers else lines)


def _because(said: Said) -> str:
    """Which facts nobody published or fitted."""
    if said["confidence"] != "guess":
        return ""
    return f" ({', '.join(f'{name}: {source}' for name, source in said['confidence_sources'].items())})"


def _replaced(said: Said) -> Iterator[str]:
    """What was assumed in place of what the recipe, the model and the manifest say."""
    found = said.get("replaced")
    if found:
        words = {name: (_word(now["value"]), _word(now["instead_of"])) for name, now in found.items()}
        parts = (f"{name} {value}, not {instead}" for name, (value, instead) in words.items())
        yield f"  assumed here alone: {'; '.join(parts)}"


def _word(value: object) -> str:
    if value is None:
        return "the model's own"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _counts(said: Said) -> Iterator[str]:
    batch = said["batching"]
    share = said["mac_utilisation"]
    used = "" if share is None else f", {share:.0%} of the array"
    runs = f" for {batch['achieved']} pictures" if batch["achieved"] != 1 else ""
    yield (
        f"  {said['macs'] / _MEGA:.4g} million MACs, {said['cycles']} cycles{runs}{used}; "
        f"most of them: {said['bound']}"
    )
    saved, apart = said["overlap_saved_ms"], said["time_no_overlap_ms"]
    if saved:
        yield f"  without overlap of engines {number(apart)} ms"
    elif said["time_ms"]:
        yield "  the engines take turns: with overlap or without it is the same time"
    if batch["desired"] not in (None, batch["achieved"]):
        yield f"  batch {batch['desired']} is not reached: {'; '.join(batch['reasons'])}"
    deep = said["deep"]
    if deep is not None:
        yield f"  {_deep(deep, said['groups'])}"
    energy = said["energy_mj"]
    if energy is not None:
        yield f"  energy {number(energy)} mJ"


def _deep(deep: Mapping[str, Any], groups: int) -> str:
    """What deep tiling brings. It costs something only where the default does not fit into DRAM."""
    if not deep["taken"]:
        return "tiling deep is not taken: the default tiling stays"
    time, traffic = deep["saves_ms"], deep["saves_bytes"] / _MEGA
    verbs = tuple("saves" if saved >= 0 else "costs" for saved in (time, traffic))
    verb = "" if verbs[0] == verbs[1] else f"{verbs[1]} "
    return (
        f"tiling deep {verbs[0]} {number(abs(time))} ms and {verb}{abs(traffic):.4g} MB of traffic: "
        f"{groups} groups of layers, not {deep['default_groups']}"
    )


def _memory(said: Said) -> Iterator[str]:
    dram, memory = said["dram"], said["memory"]
    moved = ", ".join(f"{key} {dram[key] / _MEGA:.4g} MB" for key in ("read", "write", "weights"))
    rate, ratio = dram["bandwidth_average"], dram["ratio"]
    if rate is not None and ratio is not None:
        yield f"  DRAM: {moved}; {rate / 1e9:.3g} GB/s; {ratio:.2f} times the least there can be"
    if said["weight_compress"]["wanted"]:
        yield "  weight_compress is wanted; weights are counted as they are, which is an upper bound"
    if any(layer["bits_weight"] == _NARROW for layer in said["layers"]):
        yield "  weights of 4 bits are counted as 8 bits each, in bytes and time"
    yield (
        f"  memory: on the chip {memory['sram_peak'] / _MEGA:.4g} of {memory['sram'] / _MEGA:.4g} MB, "
        f"DRAM {memory['dram_peak'] / _MEGA:.4g} of {memory['room'] / _MEGA:.4g} MB"
        + ("" if said["fits"] else ": it does not fit")
    )


def _nodes(said: Said) -> Iterator[str]:
    for node in said["cpu_nodes"]:
        yield f"  on the CPU: {node['op']} {node['name']}: {node['reason']}, {number(node['time_ms'])} ms"
    for node in said["unsupported"]:
        yield f"  nothing runs {node['op']} {node['name']}: {node['reason']}; the time is without it"
    for layer in said["layers"]:
        if layer["estimated"]:
            yield f"  no fixed-point form of {layer['op']} {layer['name']}: its time is an estimate"


def _advice(said: Said) -> Iterator[str]:
    for layer in said.get("slowest", ()):
        yield (
            f"  slowest: {layer['name']}, {number(layer['time_ms'])} ms ({layer['share']:.0%}), "
            f"{layer['bound']}: {layer['because']}"
        )
    for change in said.get("help", ()):
        yield f"  would help: {change['change']}: {number(change['time_ms'])} ms"


def _measured(said: Said) -> Iterator[str]:
    found = said.get("measured")
    if found is None:
        return
    yield (
        f"  measured {number(found['total_ms'])} ms, predicted {number(found['predicted_ms'])} ms: "
        f"{_ratio(found['ratio'])}"
    )
    rows = [
        (
            ", ".join(pair["layers"]),
            ", ".join(pair["measured"]),
            number(pair["predicted_ms"]),
            number(pair["measured_ms"]),
            _ratio(pair["ratio"]),
        )
        for pair in found["layers"]
    ]
    if rows:
        yield console.table(("layer", "measured as", "ms", "measured", "ratio"), rows, right=(2, 3, 4))
    for side, words in (("measured", "no layer is called"), ("layers", "not measured:")):
        if found["unmatched"][side]:
            yield f"  {words} {', '.join(found['unmatched'][side])}"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


# Column -> the key of a layer.
_COLUMNS = {
    "layer": "name",
    "MACs": "macs",
    "cycles": "cycles",
    "ms": "time_ms",
    "bound": "bound",
    "used": "utilisation",
    "read": "dram_read",
    "written": "dram_write",
    "weights": "weights",
    "tiles": "tiles",
    "stalls": "stall_cycles",
}


def _table(layers: Sequence[Said]) -> str:
    rows = [tuple(_cell(key, layer[key]) for key in _COLUMNS.values()) for layer in layers]
    return console.table(tuple(_COLUMNS), rows, right=tuple(index for index in range(1, 11) if index != 4))


def _cell(key: str, value: Any) -> str:
    if key == "utilisation":
        return "" if value is None else f"{value:.0%}"
    return number(value) if isinstance(value, float) else str(value)


def compared(said: Sequence[Said], rows: Sequence[Said]) -> str:
    """Chips as lines; what keeps nodes from an NPU below."""
    head = (
        "chip",
        "fps",
        "ms",
        "NPU ms",
        "CPU ms",
        "faster",
        "array",
        "DRAM MB",
        "mJ",
        "bound",
        "confidence",
    )
    cells = [
        (
            row["chip"],
            number(row["fps"]),
            number(row["total_ms"]),
            number(row["time_ms"]),
            number(row["cpu_time_ms"]),
            "" if row["speed"] is None else f"{row['speed']:.1f}x",
            "" if row["mac_utilisation"] is None else f"{row['mac_utilisation']:.0%}",
            f"{row['dram_bytes'] / _MEGA:.4g}",
            "" if row["energy_mj"] is None else number(row["energy_mj"]),
            row["bound"],
            row["confidence"],
        )
        for row in rows
    ]
    notes = [f"{each['chip']}:{line}" for each in said for line in _nodes(each)]
    notes += [f"{each['chip']}: confidence guess{_because(each)}" for each in said if _because(each)]
    table = console.table(head, cells, right=tuple(range(1, 9)))
    return "\n".join([said[0]["model"], table, *notes])


def number(value: float | None) -> str:
    """Four digits."""
    return "not available" if value is None else f"{value:.4g}"

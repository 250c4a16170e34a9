"""Predictions in words: one model on one chip, or chips side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import fsum
from typing import Any

from modelbuild.cli import console

Said = Mapping[str, Any]  # the object of `evaluate --json`

_NARROW = 4  # bits
_MEGA = 1e6
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def text(said: Said, layers: bool) -> str:
    """A paragraph; with `layers` a table of them below."""
    lines = [
        f"{_name(said)} on {said['chip']}: {number(said['fps'])} fps, confidence {said['confidence']}"
        + ("" if said["fits"] else ", DOES NOT FIT the memory of the chip")
        + because(said),
        f"  {number(said['total_ms'])} ms: NPU {number(said['time_ms'])} ms, CPU "
        f"{number(said['cpu_time_ms'])} ms"
        + _share(said)
        + ("; of the file as built" if said["built"] else ""),
        *_before(said),
        *_pictures(said),
        *_sources(said),
        *_replaced(said),
        *_counts(said),
        *_memory(said),
        *nodes(said),
        *advice(said),
        *_measured(said),
    ]
    return "\n".join([*lines, table(said["layers"])] if layers else lines)


def _before(said: Said) -> Iterator[str]:
    """What calibration may add, where that is much: uploads and downloads between layers of a KPU."""
    runs = said["may_divide"]
    if runs:
        places = "1 place" if runs == 1 else f"{runs} places"
        yield f"  not in it: calibration may divide channels (`split`, at {places} or fewer): more time"


def _name(said: Said) -> str:
    """The model, and its target where a manifest names it."""
    return f"{said['model']}@{said['target']}" if "target" in said else str(said["model"])


def _pictures(said: Said) -> Iterator[str]:
    """Where an inference is more than one picture."""
    pictures = said["pictures_per_inference"]
    if pictures != 1:
        yield (
            f"  an inference is {pictures} pictures, as the model was exported: "
            f"{number(said['pictures_per_second'])} pictures a second"
        )


def because(said: Said) -> str:
    """Which facts nobody published or fitted."""
    return f" ({', '.join(said['confidence_sources'])})" if said["confidence"] == "guess" else ""


def _sources(said: Said) -> Iterator[str]:
    """Where these come from; facts of one source stand together."""
    named: dict[str, list[str]] = {}
    for name, source in said["confidence_sources"].items() if said["confidence"] == "guess" else ():
        named.setdefault(source, []).append(name)
    for source, names in named.items():
        yield f"  {', '.join(names)}: {source}"


def _share(said: Said) -> str:
    """Of the CPU, where it has one."""
    total, on_cpu = said["total_ms"], said["cpu_time_ms"]
    return f" ({on_cpu / total:.0%})" if total and on_cpu else ""


def _replaced(said: Said) -> Iterator[str]:
    """What was assumed in place of what the recipe, the model and the manifest say."""
    found = said.get("replaced")
    if found:
        words = {
            name: (_word(name, now["value"]), _word(name, now["instead_of"])) for name, now in found.items()
        }
        parts = (f"{name} {value}, not {instead}" for name, (value, instead) in words.items())
        yield f"  assumed here alone: {'; '.join(parts)}"


def _word(name: str, value: object) -> str:
    if value is None:
        return "the model's own"
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), None)
    if unit is None or not isinstance(value, (int, float)):
        return str(value)
    return scaled(value, unit)


# How the name of an option ends -> its unit.
_UNITS = {"_hz": "Hz", "_bytes_per_second": "B/s", "sram_bytes": "B"}


def _counts(said: Said) -> Iterator[str]:
    batch = said["batching"]
    share = said["mac_utilisation"]
    used = "" if share is None else f", {share:.0%} of the array"
    runs = f" for {batch['achieved']} pictures" if batch["achieved"] != 1 else ""
    most = f"; most of them: {said['bound']}" if said["bound"] else ""
    yield f"  {_macs(said)}, {said['cycles']} cycles{runs}{used}{most}"
    yield from added(said)
    saved, apart = said["overlap_saved_ms"], said["time_no_overlap_ms"]
    if saved:
        yield f"  without overlap of engines {number(apart)} ms"
    elif said["time_ms"]:
        yield "  the engines take turns: with overlap or without it is the same time"
    if batch["desired"] not in (None, batch["achieved"]):
        yield f"  batch {batch['desired']} is not reached: {'; '.join(batch['reasons'])}"
    yield from _deep(said)
    energy = said["energy_mj"]
    if energy is not None:
        yield f"  energy {number(energy)} mJ"


def _macs(said: Said) -> str:
    """Those that are executed; which the CPU has, and where it is another number, those of the model."""
    total, own = said["macs"], said.get("macs_source")
    on_cpu = total - said["macs_npu"]
    more = [f"{scaled(on_cpu, 'MACs')} of them on the CPU"] if on_cpu else []
    if own is not None and own != total:
        more.append(f"{scaled(own, 'MACs')} in the model before it was made fit for the chip")
    return scaled(total, "MACs") + (f" ({'; '.join(more)})" if more else "")


def added(said: Said) -> Iterator[str]:
    """The layers by which more is multiplied than the model says."""
    layers = [layer for layer in said["layers"] if layer.get("macs_added")]
    if layers:
        more = scaled(sum(layer["macs_added"] for layer in layers), "MACs")
        yield f"  {more} that the model has not, by how the chip runs {_listed(layers, 'layers')}"


def _deep(said: Said) -> Iterator[str]:
    deep = said["deep"]
    if deep is not None and not deep["taken"]:
        yield f"  {deep['reason']}; the default stays"
    elif deep is not None:
        saved = {"ms": deep["saves_ms"], "traffic": deep["saves_bytes"]}
        verbs = {key: "saves" if value >= 0 else "costs" for key, value in saved.items()}
        verb = "" if verbs["ms"] == verbs["traffic"] else f"{verbs['traffic']} "
        yield (
            f"  tiling deep {verbs['ms']} {number(abs(saved['ms']))} ms and {verb}"
            f"{scaled(abs(saved['traffic']), 'B')} of traffic: layers in {said['groups']} "
            f"{'group' if said['groups'] == 1 else 'groups'}, not {deep['default_groups']}"
        )


def _memory(said: Said) -> Iterator[str]:
    dram, memory = said["dram"], said["memory"]
    moved = ", ".join(f"{key} {scaled(dram[key], 'B')}" for key in ("read", "write", "weights"))
    rate, ratio = dram["bandwidth_average"], dram["ratio"]
    if rate is not None and ratio is not None:
        yield f"  DRAM: {moved}; {scaled(rate, 'B/s')}; {ratio:.2f} times the least there can be"
    if said["weight_compress"]["wanted"]:
        yield "  weight_compress is wanted; weights are counted as they are, which is an upper bound"
    if any(layer["bits_weight"] == _NARROW for layer in said["layers"]):
        yield "  weights of 4 bits are counted as 8 bits each, in bytes and time"
    yield (
        f"  memory: on the chip {scaled(memory['sram_peak'], 'B')} of {scaled(memory['sram'], 'B')}, "
        f"DRAM {scaled(memory['dram_peak'], 'B')} of {scaled(memory['room'], 'B')}"
        + ("" if said["fits"] else ": it does not fit")
    )
    if said.get("fits_because"):
        yield f"  {said['fits_because']}"


def nodes(said: Said) -> Iterator[str]:
    """What the CPU runs, what nothing runs, and what was estimated."""
    groups: dict[tuple[str, str], list[Said]] = {}
    for node in said["cpu_nodes"]:
        groups.setdefault((node["op"], node["reason"].replace(node["name"], "")), []).append(node)
    for (op, _), nodes in groups.items():
        time_ms = fsum(node["time_ms"] for node in nodes)
        reason = console.short_names(nodes[0]["reason"])
        yield f"  on the CPU: {op} {_listed(nodes)}: {reason}, {number(time_ms)} ms"
    rate = said.get("cpu_rate")
    if rate is not None:
        yield (
            f"  the CPU is taken to do {number(rate['operations_per_second'] / _MEGA)} million operations a "
            f"second ({rate['sure']}); what only moves reads and writes each byte"
        )
    for node in said["unsupported"]:
        name, reason = console.short(node["name"]), console.short_names(node["reason"])
        yield f"  nothing runs {node['op']} {name}: {reason}; the time is without it"
    for layer in said["layers"]:
        if layer["estimated"]:
            name = console.short(layer["name"])
            yield f"  no fixed-point form of {layer['op']} {name}: its time is an estimate"


def _listed(nodes: Sequence[Said], kind: str = "nodes") -> str:
    """Their names, of many the first two and the last."""
    names = [console.short(str(node["name"])) for node in nodes]
    if len(names) == 1:
        return names[0]
    shown = ", ".join(names) if len(names) < 4 else f"{', '.join(names[:2])} … {names[-1]}"
    return f"{shown} ({len(names)} {kind})"


def advice(said: Said) -> Iterator[str]:
    """What takes longest, and what would help."""
    for layer in said.get("slowest", ()):
        name = console.short(layer["name"])
        yield (
            f"  slowest: {name}, {number(layer['time_ms'])} ms ({layer['share']:.0%}), "
            f"{layer['bound']}: {layer['because']}"
        )
    for change in said.get("help", ()):
        total = f", with the CPU {number(change['total_ms'])} ms" if said["cpu_time_ms"] else ""
        yield f"  would help: {change['change']}: {number(change['time_ms'])} ms{total}"


_FEW = 4


def _names(names: Sequence[str]) -> str:
    """Of many the first, and how many they are."""
    shown = ", ".join(map(console.short, names[:_FEW]))
    return shown if len(names) <= _FEW else f"{shown} and {len(names) - _FEW} more"


def _measured(said: Said) -> Iterator[str]:
    found = said.get("measured")
    if found is None:
        return
    yield (
        f"  measured {number(found['total_ms'])} ms{_OF[found['of']]}, predicted "
        f"{number(found['predicted_ms'])} ms: {_ratio(found['ratio'])}"
    )
    rows = [
        (
            ", ".join(map(console.short, pair["layers"])),
            ", ".join(map(console.short, pair["measured"])),
            number(pair["predicted_ms"]),
            number(pair["measured_ms"]),
            _ratio(pair["ratio"]),
        )
        for pair in found["layers"]
    ]
    if rows:
        yield console.table(("layer", "measured as", "ms", "measured", "ratio"), rows, right=(2, 3, 4))
    by_place = (pair for pair in found["layers"] if pair.get("joined_by") == "order")
    in_order = [name for pair in by_place for name in pair["measured"]]
    if in_order:
        yield f"  no layer is called {_names(in_order)}: joined in order"
    for side, words in (("measured", "no layer is called"), ("layers", "not measured:")):
        if found["unmatched"][side]:
            yield f"  {words} {', '.join(map(console.short, found['unmatched'][side]))}"


# What is summed up -> how the text says it.
_OF = {"total": " of NPU and CPU", "npu": " of the NPU", "layers": " of the layers below"}


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


def table(layers: Sequence[Said]) -> str:
    """The layers, a line each."""
    rows = [tuple(_cell(key, layer[key]) for key in _COLUMNS.values()) for layer in layers]
    return console.table(tuple(_COLUMNS), rows, right=tuple(index for index in range(1, 11) if index != 4))


def _cell(key: str, value: Any) -> str:
    if key == "name":
        return console.short(str(value))
    if key == "utilisation":
        return "" if value is None else f"{value:.0%}"
    return number(value) if isinstance(value, float) else str(value)


def number(value: float | None) -> str:
    """Four digits, without an exponent but for what is next to nothing."""
    if value is None:
        return "not available"
    text = f"{value:.4g}"
    if "e" not in text or not 1e-9 < abs(value) < 1e18:
        return text
    return f"{float(text):,.0f}" if abs(value) >= 1 else f"{float(text):.13f}".rstrip("0")


def scaled(value: float, unit: str) -> str:
    """Four digits of the multiple of the unit that leaves 1 to 1000: `108.4 GMACs`."""
    size, prefix = next((known for known in _PREFIXES if abs(value) >= known[0]), (1.0, ""))
    return f"{number(value / size)} {prefix}{unit}"

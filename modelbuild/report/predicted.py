"""Where the program counts otherwise than `evaluate` did before there were numbers, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelbuild.graph.check import Finding
from modelbuild.report.widths import share, widths

CODE = "MB116"
Json = Mapping[str, Any]
_FEW = 3  # layers that are named
_WEIGHTED = ("conv", "gemm")
_FIRST_PART = "_part0"  # as `quantize: {split}` calls it (quantize/split_graph.py)
_SUMS = {"read": "dram_read", "write": "dram_write", "weights": "weight_bytes"}
_SAID = {
    "cycles": "cycles",
    "read": "bytes read",
    "write": "bytes written",
    "weights": "bytes of weights moved",
    "sram_peak": "bytes of SRAM",
    "dram_peak": "bytes of DRAM",
}
# What is less where weights are packed.
_PACKED = ("cycles", "weights", "dram_peak")


def differences(evaluated: Json, compiled: Json, quantized: Json) -> list[Finding]:
    """MB116, from evaluate.json, compile.json and quantize.json: what of cycles, traffic and peaks (of which
    a kmodel has none) differs, and which numbers decide it. That weights are packed is none where the
    prediction said so: its counts are an upper bound then."""
    predicted, made = _predicted(evaluated), _made(compiled)
    other = {
        name: (made[name], predicted[name])
        for name in _SAID
        if name in made and made[name] != predicted[name]
    }
    text = compiled["memory"].get("command", 0)  # what the program says of itself, an outline has not
    if "dram_peak" in other and 0 <= made["dram_peak"] - predicted["dram_peak"] <= text:
        other.pop("dram_peak", None)
    if not other or _is_packing_alone(evaluated, compiled, quantized, other):
        return []
    listed = ", ".join(f"{after:,} {_SAID[name]} for {before:,}" for name, (after, before) in other.items())
    because = "; ".join(_causes(evaluated, compiled, quantized))
    return [Finding(CODE, "note", f"the program has other counts than were predicted ({because}): {listed}")]


def _predicted(evaluated: Json) -> dict[str, int]:
    peaks = {name: evaluated["memory"][name] for name in ("sram_peak", "dram_peak")}
    return {"cycles": evaluated["cycles"], **{name: evaluated["dram"][name] for name in _SUMS}, **peaks}


def _made(compiled: Json) -> dict[str, int]:
    layers = [layer for layer in compiled["layers"] if layer["unit"] == "npu"]
    sums = {name: sum(layer[key] for layer in layers) for name, key in _SUMS.items()}
    memory = compiled["memory"]
    peaks = {name: memory[name] for name in ("sram_peak", "dram_peak") if name in memory}
    return {"cycles": compiled["cycles"], **sums, **peaks}


def _is_packing_alone(
    evaluated: Json, compiled: Json, quantized: Json, other: Mapping[str, tuple[int, int]]
) -> bool:
    """Whether the prediction counted unpacked what was to be packed, nothing else shows that would change
    counts, and none but what packing shortens is other, and smaller."""
    wanted = bool((evaluated.get("weight_compress") or {}).get("wanted"))
    if not wanted or len(_known_causes(evaluated, compiled, quantized)) != 1 or not compiled.get("packed"):
        return False
    return all(name in _PACKED and made < predicted for name, (made, predicted) in other.items())


def _causes(evaluated: Json, compiled: Json, quantized: Json) -> list[str]:
    """What numbers have decided; if nothing of it shows, the layers that differ."""
    found = _known_causes(evaluated, compiled, quantized)
    if found:
        return found
    names = _that_differ(evaluated, compiled["layers"])
    return [f"of the layers {_listed(names)}" if names else "of no layer by itself"]


def _known_causes(evaluated: Json, compiled: Json, quantized: Json) -> list[str]:
    return [*_of_settings(evaluated, compiled, quantized), *_of_layers(evaluated, compiled["layers"])]


def _of_settings(evaluated: Json, compiled: Json, quantized: Json) -> Iterator[str]:
    batch = compiled["batch"]["achieved"]
    if batch != evaluated["batch"] and "executed" not in compiled:  # of a kmodel that is the model's own
        yield f"of a batch of {batch}, not {evaluated['batch']}"
    if compiled.get("packed"):
        yield f"weights are packed, {compiled['packed']:,} bytes less"
    told = share(widths(quantized))
    if told and evaluated["activations"] != "int16":
        yield told


def _of_layers(evaluated: Json, layers: Sequence[Json]) -> Iterator[str]:
    weighted = Counter(layer["origin"][0] for layer in layers if layer["kind"] in _WEIGHTED)
    nodes = dict.fromkeys(layer["name"] for layer in evaluated["layers"])
    divided = [name for name, count in weighted.items() if count > 1 and name in nodes]
    made = {name for layer in layers for name in layer["origin"]}
    named = [*nodes, *(node["name"] for node in evaluated.get("nodes", ()))]  # of a KPU they differ
    divided += [name for name in dict.fromkeys(named) if f"{name}{_FIRST_PART}" in made]
    if divided:
        yield f"channels of {_listed(divided)} are divided"
    joined = {layer["origin"][0] for layer in layers if layer["kind"] == "concat"}
    rescaled = [name for name in _that_differ(evaluated, layers) if name in joined]
    if rescaled:
        yield f"ranges decide which inputs of {_listed(rescaled)} are rescaled"


def _that_differ(evaluated: Json, layers: Sequence[Json]) -> list[str]:
    """The layers whose operators take other cycles than was predicted, in their order."""
    predicted = {layer["name"]: layer["cycles"] for layer in evaluated["layers"]}
    made: Counter[str] = Counter()
    head = ""
    for layer in layers:  # what is fused into a layer stands behind it
        head = next((name for name in (layer["name"], *layer["origin"][:1]) if name in predicted), head)
        made[head] += layer["cycles"]
    return [name for name, cycles in predicted.items() if cycles != made[name]]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _FEW
    return ", ".join(f"`{name}`" for name in names[:_FEW]) + (f" and {more} more" if more > 0 else "")

"""A prediction in the vendors' own forms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kneron_nodes import NAME, NOTHING, Counts, NodeLine, node_table
from modelbuild.formats.kneron_profile import Evaluation, Profile, ip_eval_prof, profile_result
from modelbuild.formats.mla_stats import Span, dump
from modelbuild.npu.predicting.prediction import Prediction

Said = Mapping[str, Any]  # the object of evaluate.json


def report(found: Prediction, said: Said, form: str) -> tuple[str, bytes]:
    """The file's name and contents, of a prediction and its object. Raises (exit 2) where the chip's vendor
    has no report of this form."""
    container = found.recipe.container
    for kind in (container.setup, container.format):
        if (form, kind) in _WRITERS:
            return _WRITERS[form, kind](found, said)
    raise ModelbuildError(
        f"{found.recipe.chip} has no report in the form of {form}",
        why=f"its vendor is {found.recipe.vendor}",
        advice="leave `--format` out, or name a chip of that vendor",
    )


def table_of_nodes(found: Prediction, said: Said, form: str) -> tuple[str, bytes] | None:
    """The table beside that report, name and contents: in Kneron's form a line for each node, also for those
    that are fused and those on the CPU. None where the form has none."""
    if form != "kneron":
        return None
    counts = {layer["name"]: _counts(layer) for layer in said["layers"]}
    lines = [
        NodeLine(
            node["name"],
            node["origin"],
            _TYPES[node["type"]],
            node["node_backend"],
            counts[node["layer"]] if node["type"] == "npu" else None,
        )
        for node in said["nodes"]
    ]
    text = node_table(lines, counted=found.recipe.container.setup != _OLDEST)
    return NAME, text.encode()


def _counts(layer: Said) -> Counts:
    return Counts(
        command=layer["command_index"],
        bits_in=layer["bits_in"],
        bits_out=layer["bits_out"],
        bits_weight=layer["bits_weight"],
        mac_cycles=layer["mac_cycles"],
        mac_ms=layer["mac_ms"],
        read_ms=layer["read_ms"],
        read_bytes=layer["dram_read"],
        write_ms=layer["write_ms"],
        write_bytes=layer["dram_write"],
        weight_bytes=layer["weights"],
        cfunc_ms=layer["cfunc_ms"],
        pfunc_ms=layer["pfunc_ms"],
        runtime_ms=layer["runtime_ms"],
        sync_ms=layer["sync_ms"],
        format_in=layer["format_in"],
        format_out=layer["format_out"],
    )


def _evaluation(found: Prediction, said: Said) -> tuple[str, bytes]:
    """Kneron's for its oldest chip: times of the NPU alone."""
    kinds = tuple(dict.fromkeys(node["op"] for node in said["cpu_nodes"]))
    text = ip_eval_prof(
        Evaluation(
            total_ms=said["time_ms"],
            theoretical_ms=said["theoretical_ms"],
            idle_ms=said["idle_ms"],
            dram_bytes=round(said["dram"]["total"] / found.repeats),
            cpu_operators=kinds,
            cpu_nodes=len(said["cpu_nodes"]),
        )
    )
    return "ip_eval_prof.txt", text.encode()


def _profile(found: Prediction, said: Said) -> tuple[str, bytes]:
    """Kneron's for all others: cycles and bytes of a run, whose batch counts inferences."""
    hardware, dram = found.recipe.hardware, said["dram"]
    text = profile_result(
        Profile(
            clock_hz=hardware.clock_hz.value,
            bits=max((each.bits for row in found.npu for each in row.outputs), default=8),
            macs_per_cycle=hardware.macs_per_cycle.value,
            batch=found.repeats,
            four_bit_weights=False,  # bytes are counted at 8 bits each, whatever weights are
            read_bandwidth=hardware.dram_read_bytes_per_second.value,
            write_bandwidth=hardware.dram_write_bytes_per_second.value,
            weight_bandwidth=hardware.weight_bytes_per_second.value,
            cycles=said["cycles"],
            no_overlap_ms=said["time_no_overlap_ms"] * found.repeats,
            read_bytes=dram["read"],
            write_bytes=dram["write"],
            weight_bytes=dram["weights"],
        )
    )
    return "ProfileResult.txt", text.encode()


def _statistics(found: Prediction, said: Said) -> tuple[str, bytes]:
    """SiMa's, and how many cycles of each layer are stalls. Layers follow one another by their shares."""
    spans, start = [], 0
    for row in found.npu:
        if row.cycles > 0:
            spans.append(Span(f"MLA_0/{row.name}", start, start + row.cycles - 1, row.stall))
            start += row.cycles
    return f"{said['model']}_stage1_mla_stats.yaml", dump(spans)


_OLDEST = "legacy520"
_TYPES: Mapping[str, str] = {"npu": "NPU", "fused": "FUSED", "cpu": "CPU", "none": NOTHING}
# Form, and the recipe's `container.setup` or `container.format` -> what writes it.
_WRITERS: Mapping[tuple[str, str], Callable[[Prediction, Said], tuple[str, bytes]]] = {
    ("kneron", _OLDEST): _evaluation,
    ("kneron", "nef"): _profile,
    ("sima", "mpk"): _statistics,
}

"""Whether corrections are made with samples, now that the model and the bits of its weights are known."""

from __future__ import annotations

from modelbuild.graph.kept_quantization import kept
from modelbuild.graph.model import Graph
from modelbuild.graph.statistics import node_macs
from modelbuild.quantize.record import Record
from modelbuild.quantize.rounding_settings import FEW_BITS
from modelbuild.quantize.sample_needs import asks_for_samples, rounds_by_size
from modelbuild.quantize.settings import Settings

# Multiply-accumulate operations of a sample: up to so many, rounding with 64 samples takes three seconds.
SMALL = 20_000_000


def is_refined(settings: Settings, record: Record, graph: Graph) -> bool:
    """Whether the settings ask for it, a weight has few bits, or all weights are rounded with samples."""
    asked = asks_for_samples(settings.rounding, settings.bias_correction)
    if asked is not None:
        return asked
    few = any(line.kind == "weight" and line.bits <= FEW_BITS for line in record.tensors)
    return few or is_rounded_by_size(settings, graph)


def is_rounded_by_size(settings: Settings, graph: Graph) -> bool:
    """Whether weights of 8 bits are rounded with samples unasked: where the model is so small that this costs
    little. One whose file brings scales along is left alone: its weights are whole steps of them."""
    if settings.rounding is not None or not rounds_by_size(settings.mode, settings.range.method):
        return False
    macs = sum(node_macs(graph, node) for node in graph.nodes)
    return macs <= SMALL and not kept(graph)

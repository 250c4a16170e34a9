"""Whether corrections are made with samples, now that the model and the bits of its weights are known."""

from __future__ import annotations

import math

from modelbuild.graph.kept_quantization import kept
from modelbuild.graph.model import Graph
from modelbuild.graph.statistics import node_macs
from modelbuild.quantize.record import Record
from modelbuild.quantize.rounding.fitting import MOST_COLUMNS
from modelbuild.quantize.rounding_settings import FEW_BITS, USUAL_BITS
from modelbuild.quantize.sample_needs import asks_for_samples, rounds_by_size
from modelbuild.quantize.settings import Settings
from modelbuild.quantize.weighted import Weighted, weighted

# With 64 samples so much takes about three seconds: multiply-accumulate operations of one sample, for the
# walk, and additions of one sweep over the columns of all weights (rounding/adaround.py), for the rounding.
SMALL_WALK = 20_000_000
SMALL_SWEEP = 160_000_000


def is_refined(settings: Settings, record: Record, graph: Graph) -> bool:
    """Whether the settings ask for it, or weights have so few bits that they are rounded with samples."""
    asked = asks_for_samples(settings.rounding, settings.bias_correction)
    if asked is not None:
        return asked
    most = USUAL_BITS if is_rounded_by_size(settings, graph, record.samples) else FEW_BITS
    return any(line.kind == "weight" and line.bits <= most for line in record.tensors)


def is_rounded_by_size(settings: Settings, graph: Graph, samples: int) -> bool:
    """Whether weights of 8 bits are rounded with samples unasked: where the model is so small that this costs
    little. One whose file brings scales along is left alone: its weights are whole steps of them."""
    if settings.rounding is not None or not rounds_by_size(settings.mode, settings.range.method, samples):
        return False
    walk = sum(node_macs(graph, node) for node in graph.nodes)
    sweep = sum(map(_sweep, filter(None, (weighted(graph, node) for node in graph.nodes))))
    return walk <= SMALL_WALK and sweep <= SMALL_SWEEP and not kept(graph)


def _sweep(found: Weighted) -> int:
    """Additions: each weight of an output moves the errors of all columns of its block."""
    columns = math.prod(found.weight.shape[1:])
    return found.weight.size * min(columns, MOST_COLUMNS)

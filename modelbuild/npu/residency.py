"""Which feature maps live when, how much memory they need at once, and which of them stay on the chip."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.npu.layers import Layer


@dataclass(frozen=True)
class Lifetime:
    """Indices of the layers between which a feature map is needed, both included."""

    first: int
    last: int


def lifetimes(
    layers: Sequence[Layer], inputs: Collection[str], outputs: Collection[str]
) -> dict[str, Lifetime]:
    """Model inputs live from the first layer on, model outputs to the last one."""
    first = dict.fromkeys(inputs, 0)
    last = dict.fromkeys(inputs, 0)
    for index, layer in enumerate(layers):
        for name in layer.writes:
            first[name] = last[name] = index
        for name in layer.reads:
            last[name] = index
    last.update((name, len(layers) - 1) for name in outputs if name in first)
    return {name: Lifetime(first[name], last[name]) for name in first}


def peak(lives: Mapping[str, Lifetime], sizes: Mapping[str, int], layer_count: int) -> int:
    """The largest sum of the sizes of feature maps that live at one layer."""
    live = [0] * max(layer_count, 1)
    for name, life in lives.items():
        for index in range(life.first, life.last + 1):
            live[index] += sizes[name]
    return max(live)


def resident(
    layers: Sequence[Layer],
    lives: Mapping[str, Lifetime],
    sizes: Mapping[str, int],
    border: Collection[str],
    capacity: float,
) -> frozenset[str]:
    """The feature maps that never leave the chip: in order of their making, each that fits beside those
    already there for as long as it lives. The model's inputs and outputs (`border`), and what a CPU node
    makes or reads, go through DRAM."""
    shared = set(border)
    for layer in layers:
        if layer.unit == "cpu":
            shared.update(layer.reads, layer.writes)
    used = [0] * len(layers)
    kept: set[str] = set()
    for name, life in sorted(lives.items(), key=lambda item: (item[1].first, item[0])):
        span = range(life.first, life.last + 1)
        if name not in shared and all(used[index] + sizes[name] <= capacity for index in span):
            kept.add(name)
            for index in span:
                used[index] += sizes[name]
    return frozenset(kept)

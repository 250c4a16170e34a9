"""Runs the float model over the calibration samples and keeps what ranges are chosen from.

Two passes: extremes and sums of all values first, then histograms between them, weighed by the gradients
of some samples. Counting goes on in a thread beside the next run, so memory holds the tensors of two samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.alongside import ahead, behind, together
from modelbuild.quantize.extremes import Extremes, FirstLook
from modelbuild.quantize.looking import Look, Seen
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.sample_ranges import SampleRanges
from modelbuild.quantize.settings import THREADS
from modelbuild.quantize.tally import Tally

__all__ = ["Observations", "TensorObservation", "observe"]

GRADIENT_SAMPLES = 64  # spread evenly; half as many cost MobileNetV2 0.5 dB, more cost time
NOT_FINITE = "infinite"  # why a tensor has no gradient, beside the names of operators
Sample = Mapping[str, NDArray[Any]]


def observe(graph: Graph, samples: Callable[[], Iterable[Sample]], threads: int = THREADS) -> Observations:
    """Run `graph` twice over what `samples()` yields: one mapping input name -> array a sample. `threads` of
    them are run at once, of which counting takes one.

    Raises (exit 1) when a tensor holds NaN or infinity, naming tensor and sample; (exit 2) without samples.
    """
    number, extremes, ranges = _extremes(graph, samples(), threads)
    look = Look(graph, extremes, {name: found.power(number) for name, found in extremes.items()})
    tallies = {name: Tally.of(graph.shapes[name], extremes[name]) for name in extremes}

    def count(seen: Iterable[Seen]) -> None:
        for name, values, slopes in seen:
            tallies[name].add(values, slopes)

    behind(_seen(look, ahead(samples()), number, threads - 1), count)
    weighed = min(number, GRADIENT_SAMPLES)
    factor = number / weighed / look.power
    tensors = {
        name: replace(tally.observation(extremes[name], factor, weighed), sample_ranges=ranges[name])
        for name, tally in tallies.items()
    }
    lost = {name for name, tensor in tensors.items() if tensor.histogram.weights is None}
    missing = {name: look.missing.get(name, NOT_FINITE) for name in tensors if name in lost}
    return Observations(number, tensors, look.outputs, missing)


def _extremes(
    graph: Graph, samples: Iterable[Sample], threads: int
) -> tuple[int, dict[str, Extremes], dict[str, NDArray[np.float64]]]:
    """The first pass: how many samples there are, the extremes of all, and of each (sample_ranges.py)."""
    look, number, ranges = FirstLook(graph), 0, SampleRanges()
    found: dict[str, Extremes] = {}

    def run(item: tuple[int, Sample]) -> dict[str, Extremes]:
        return look.run(item[1], f"calibration sample {item[0]}")

    for seen in together(enumerate(samples, 1), run, threads):
        number += 1
        ranges.add({name: more.range for name, more in seen.items()})
        found = {name: found[name].merged(more) for name, more in seen.items()} if found else seen
    if not number:
        raise ModelbuildError("there is no calibration sample")
    return number, found, ranges.found()


def _seen(look: Look, samples: Iterable[Sample], count: int, threads: int) -> Iterator[list[Seen]]:
    """Of each sample what histograms count, with gradients of `GRADIENT_SAMPLES` of them."""
    chosen = {index * count // GRADIENT_SAMPLES for index in range(GRADIENT_SAMPLES)}

    def run(item: tuple[int, Sample]) -> list[Seen]:
        weighed = count <= GRADIENT_SAMPLES or item[0] in chosen
        return look.run(*item) if weighed else look.run_plain(item[1])

    items = enumerate(samples)
    return together(items, run, threads) if threads > 1 else map(run, items)

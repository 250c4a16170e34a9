"""Runs the float model over the calibration samples and keeps what ranges are chosen from.

Two passes: extremes and sums of all values first, then histograms between them, first of the samples whose
gradients weigh them, then of the others. As many samples as there are threads are in memory at once, and of
`AHEAD` more what is counted; and one session of the model.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.build import heap
from modelbuild.errors import ModelbuildError
from modelbuild.graph.alongside import together
from modelbuild.graph.model import Graph
from modelbuild.quantize.covariances import Covariances
from modelbuild.quantize.extremes import Extremes
from modelbuild.quantize.first_look import First, FirstLook
from modelbuild.quantize.looking import Look, Run, Sample, Samples, Seen
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.plan import melted
from modelbuild.quantize.sample_ranges import SampleRanges
from modelbuild.quantize.settings import AHEAD, THREADS
from modelbuild.quantize.tally import Gradients, Tally

__all__ = ["Observations", "TensorObservation", "observe"]

GRADIENT_SAMPLES = 64  # spread evenly; half as many cost MobileNetV2 0.5 dB, more cost time
AT_ONCE = 4  # samples that are counted together, which takes half the time
NOT_FINITE = "infinite"  # why a tensor has no gradient, beside the names of operators


def observe(graph: Graph, samples: Samples, threads: int = THREADS) -> Observations:
    """Run `graph` twice over the samples, each a mapping input name -> array. Each is asked for twice;
    `threads` of them are run at once.

    Raises (exit 1) when a tensor holds NaN or infinity, naming tensor and sample; (exit 2) without samples.
    """
    between = sorted(melted(graph))
    first, sample_ranges = _first(graph, samples, between, threads)
    extremes = first.extremes()
    powers = {name: power / first.samples for name, power in first.powers.items()}
    look = Look(graph, extremes, powers, between)
    counted = _Counted(graph, extremes, between)
    ranges = {name: found.range for name, found in extremes.items()}
    covariances = Covariances(graph, ranges, first.samples)
    _look_at_all(look, samples, covariances, counted, threads)
    weighed = min(first.samples, GRADIENT_SAMPLES)
    factor = first.samples / weighed / look.power
    tensors = {
        name: tally.observation(factor, weighed, first.samples, sample_ranges[name])
        for name, tally in counted.tallies.items()
    }
    weights = {name: found.weight(factor, weighed) for name, found in counted.melted.items()}
    lost = {name for name, tensor in tensors.items() if tensor.histogram.weights is None}
    missing = {name: look.missing.get(name, NOT_FINITE) for name in tensors if name in lost}
    kept = {name: weight for name, weight in weights.items() if weight is not None}
    return Observations(first.samples, tensors, look.outputs, missing, kept, covariances.found())


def _first(
    graph: Graph, samples: Samples, between: Collection[str], threads: int
) -> tuple[First, dict[str, NDArray[np.float64]]]:
    """What the first pass sees in all samples, and the extremes of each by itself (sample_ranges.py)."""
    look, ranges = FirstLook(graph, between), SampleRanges()
    found: First | None = None

    def run(item: tuple[int, Sample]) -> First:
        return look.run(item[1], f"calibration sample {item[0]}")

    numbered = ((number, samples[number - 1]) for number in range(1, len(samples) + 1))
    for seen in together(numbered, run, threads):
        ranges.add(seen.ranges())
        found = found.merged(seen) if found else seen
    if found is None:
        raise ModelbuildError("there is no calibration sample")
    return found, dict(zip(found.sizes, ranges.found(), strict=True))


def _look_at_all(
    look: Look, samples: Samples, covariances: Covariances, counted: _Counted, threads: int
) -> None:
    """The second pass: some samples, spread evenly, with gradients, then the others; a session each."""
    count = len(samples)
    wanted = min(count, GRADIENT_SAMPLES)
    weighed = [index * count // wanted for index in range(wanted)]
    others = sorted({*range(count)} - {*weighed})
    for numbers, opened in ((weighed, look.weighed), (others, look.plain)):
        if numbers:
            _look_at(opened(), covariances.watching(samples, numbers), counted, threads)


def _look_at(run: Run, samples: Iterator[tuple[int, Sample]], counted: _Counted, threads: int) -> None:
    heap.give_back()  # copies of the weights, from which the session was opened
    for seen in together(samples, lambda item: run(*item), threads, AHEAD):
        counted.add(seen)
        del seen  # what is counted of it need not wait for the next one
    counted.finish()  # what waits lies in the session's memory, all of which it would keep


class _Counted:
    """The histograms of all tensors. `AT_ONCE` neighbours are counted together, of each tensor at another
    sample: so less waits, and what runs beside this is never without work."""

    def __init__(self, graph: Graph, extremes: Mapping[str, Extremes], between: Collection[str]) -> None:
        self.tallies = {
            name: Tally.of(graph.shapes[name], graph.dtypes[name], found) for name, found in extremes.items()
        }
        self.melted = {name: Gradients.of(graph.shapes[name]) for name in between}
        self._waiting: dict[str, list[tuple[NDArray[Any] | None, NDArray[Any] | None]]] = {}
        self._samples = 0

    def add(self, seen: Seen) -> None:
        """One more sample."""
        self._samples += 1
        for turn, (name, found) in enumerate(seen.items(), self._samples):
            waiting = self._waiting.setdefault(name, [])
            waiting.append(found)
            if len(waiting) == AT_ONCE or turn % AT_ONCE == 0:
                self._count(name)

    def finish(self) -> None:
        """Counts what waits."""
        for name in self._waiting:
            self._count(name)

    def _count(self, name: str) -> None:
        """Counts what waits of one tensor: all with gradients, or all without."""
        waiting = self._waiting[name]
        values, slopes = (_stacked([found[part] for found in waiting]) for part in (0, 1))
        waiting.clear()
        if values is not None:
            self.tallies[name].add(values, slopes)
        elif slopes is not None:
            self.melted[name].add(slopes)


def _stacked(rows: list[NDArray[Any] | None]) -> NDArray[Any] | None:
    """A row a sample; None where there is none."""
    found = [row for row in rows if row is not None]
    return np.stack(found) if found else None

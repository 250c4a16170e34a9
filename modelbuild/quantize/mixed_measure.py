"""The outputs of fixed-point models beside those of the float model, again and again on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.arithmetic.sessions import session
from modelbuild.graph.after_chip import AfterChip
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.accuracy import FUNCTIONS, SHARES, Measure, TopOf, with_drop
from modelbuild.quantize.measure import Difference, top_k
from modelbuild.quantize.record import Record
from modelbuild.quantize.verify import check_labels

Arrays = Mapping[str, NDArray[Any]]
Runs = Iterable[tuple[Arrays, Arrays]]  # (outputs, inputs) of each sample


class OutputMeter:
    """Keeps the samples and the float outputs. `after`: what runs after the chip; its outputs count, too.

    `classes`: whether top-1 and top-5 are wanted; `labels`: the class of each sample, None: the one that the
    float model gives it. `measures` makes the further measures of one form of the model."""

    def __init__(
        self,
        graph: Graph,
        samples: Iterable[Arrays],
        fixed: Callable[[Record], FixedModel],
        after: AfterChip | None = None,
        *,
        classes: bool = False,
        labels: Sequence[int] | None = None,
        measures: Callable[[], Sequence[Measure]] = tuple,
    ) -> None:
        session = FloatSession(graph)
        self._after, self._fixed, self._measures = after, fixed, measures
        self._known = [(sample, self._whole(session.run(_fed(graph, sample)), sample)) for sample in samples]
        self._outputs = tuple(graph.outputs) if after is None else after.outputs
        self._labels = self._classes(graph, labels) if classes else None
        self._exact = self._scored((expected, sample) for sample, expected in self._known)

    def __call__(self, record: Record) -> dict[str, Any]:
        """What was measured, as fixed.json has it: `outputs` (name, snr_db, snr_db_mean, cosine, max_abs),
        `accuracy` and `functions`."""
        differences: dict[str, Difference] = {}
        found = self._scored(self._compared(record, differences))
        sections = {
            key: {"float": self._exact[key], "fixed": found[key]} if found[key] else {}
            for key in (SHARES, FUNCTIONS)
        }
        return {
            "outputs": [{"name": name, **between.to_json()} for name, between in differences.items()],
            "accuracy": with_drop(sections[SHARES], len(self._known)),
            "functions": sections[FUNCTIONS],
        }

    def _compared(
        self, record: Record, differences: dict[str, Difference]
    ) -> Iterator[tuple[Arrays, Arrays]]:
        """The outputs of the fixed-point model, held against those of the float one as they come."""
        model = self._fixed(record)
        fixed_session = session(model)
        for sample, expected in self._known:
            integers = {name: quantize_array(sample[name], model.tensors[name]) for name in model.inputs}
            found = fixed_session.run(integers)
            real = {name: dequantize_array(found[name], model.tensors[name]) for name in model.outputs}
            whole = self._whole(real, sample)
            for name, values in whole.items():
                differences.setdefault(name, Difference()).add(expected[name], values)
            yield whole, sample

    def _scored(self, runs: Runs) -> dict[str, dict[str, float]]:
        """Section -> measure -> value. Goes through all runs, whether or not anything is measured."""
        top = [] if self._labels is None else [TopOf(self._outputs[0], self._labels)]
        measures: list[Measure] = [*top, *self._measures()]
        for outputs, sample in runs:
            real = {name: np.asarray(outputs[name], np.float32) for name in self._outputs}
            for measure in measures:
                measure.add(real, sample)
        found: dict[str, dict[str, float]] = {SHARES: {}, FUNCTIONS: {}}
        for measure in measures:
            found[measure.section].update(measure.values())
        return found

    def _classes(self, graph: Graph, labels: Sequence[int] | None) -> Sequence[int]:
        first = self._outputs[0]
        if labels is None:
            return [top_k(expected[first], 1)[0] for _, expected in self._known]
        own = self._after is not None and first in self._after.own
        shape = self._after.shape(first) if own and self._after is not None else graph.shapes[first]
        check_labels(labels, first, shape, "calibration")
        return labels

    def _whole(self, outputs: Arrays, sample: Arrays) -> dict[str, NDArray[Any]]:
        return {**outputs, **({} if self._after is None else self._after.run(outputs, sample))}


def _fed(graph: Graph, sample: Arrays) -> dict[str, NDArray[Any]]:
    return {name: sample[name] for name in graph.inputs}

"""The outputs of fixed-point models beside those of the float model, again and again on the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.multiplier_shift import FixedSession
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.graph.after_chip import AfterChip
from modelbuild.graph.model import Graph
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.measure import Difference
from modelbuild.quantize.record import Record

Arrays = Mapping[str, NDArray[Any]]


class OutputMeter:
    """Keeps the samples and the float outputs. `after`: what runs after the chip; its outputs count, too."""

    def __init__(
        self,
        graph: Graph,
        samples: Iterable[Arrays],
        fixed: Callable[[Record], FixedModel],
        after: AfterChip | None = None,
    ) -> None:
        session = FloatSession(graph)
        self._after, self._fixed = after, fixed
        self._known = [(sample, self._whole(session.run(_fed(graph, sample)), sample)) for sample in samples]

    def __call__(self, record: Record) -> list[dict[str, Any]]:
        """The outputs as fixed.json has them: name, snr_db, snr_db_mean, cosine, max_abs."""
        model = self._fixed(record)
        session = FixedSession(model)
        differences: dict[str, Difference] = {}
        for sample, expected in self._known:
            integers = {name: quantize_array(sample[name], model.tensors[name]) for name in model.inputs}
            found = session.run(integers)
            real = {name: dequantize_array(found[name], model.tensors[name]) for name in model.outputs}
            for name, values in self._whole(real, sample).items():
                differences.setdefault(name, Difference()).add(expected[name], values)
        return [{"name": name, **difference.to_json()} for name, difference in differences.items()]

    def _whole(self, outputs: Arrays, sample: Arrays) -> dict[str, NDArray[Any]]:
        return {**outputs, **({} if self._after is None else self._after.run(outputs, sample))}


def _fed(graph: Graph, sample: Arrays) -> dict[str, NDArray[Any]]:
    return {name: sample[name] for name in graph.inputs}

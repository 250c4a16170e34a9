"""Measures the fixed-point model against the float one. Measures, never judges."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.arithmetic.sessions import session
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.graph.after_chip import AfterChip
from modelbuild.graph.model import Graph, Shape
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.accuracy import FUNCTIONS, SHARES, Forms, Measure, of_classes, with_drop
from modelbuild.quantize.equalized import factors_in, restored
from modelbuild.quantize.finite import require_finite
from modelbuild.quantize.measure import WHOLE, Difference, Steady
from modelbuild.quantize.split_graph import Pieces
from modelbuild.quantize.split_record import pieces_in, together

Array = NDArray[Any]
Sample = Mapping[str, Array]


def verify(
    fixed: FixedModel,
    graph: Graph,
    samples: Iterable[Sample],
    labels: Sequence[int] | None = None,
    *,
    after: AfterChip | None = None,
    measures: Callable[[], Sequence[Measure]] = tuple,
    evaluation: str = "",
    optimistic: bool = False,
) -> dict[str, Any]:
    """The object of fixed.json: SNR of every output and layer, top-1/top-5 of the first output, and what
    further `measures` (made for each form) find.

    `samples` yields real inputs (name -> array); `labels` has one class a sample. A layer is a tensor that
    both forms of the model have. With `after`, the outputs that are made after the chip are measured too,
    and the first output is that of the whole model. Raises (exit 1) if the two are not forms of one model,
    or where one makes NaN or infinity.
    """
    float_session, fixed_session = FloatSession(graph, "all"), session(fixed)
    _check_forms(fixed, graph)
    first = fixed.outputs[0] if after is None else after.outputs[0]
    own = after is not None and first in after.own
    whole = (after.dtype(first) if after is not None and own else graph.dtypes[first]) in WHOLE
    if labels is not None:
        shape = after.shape(first) if after is not None and own else graph.shapes[first]
        check_labels(labels, first, shape, whole=whole)
    top = [] if labels is None else [partial(of_classes, first, labels, whole=whole)]
    forms = Forms(("float", "fixed"), lambda: [*(make() for make in top), *measures()])
    compared = _Compared(fixed, graph, after)
    count = 0
    for count, sample in enumerate(samples, 1):
        expected = float_session.run({name: sample[name] for name in graph.inputs})
        integers = {name: quantize_array(sample[name], fixed.tensors[name]) for name in fixed.inputs}
        found: dict[str, Array] = dict(fixed_session.run(integers, "all"))
        exact, made = compared.add(expected, found, sample, count)
        forms.add("float", exact, sample)
        forms.add("fixed", made, sample)
        del expected, found, exact, made  # before the next sample's come: they are every tensor of the model
    if not count:
        raise ModelbuildError("there is no evaluation sample")
    return {
        "samples": count,
        "evaluation": evaluation,
        "optimistic": optimistic,
        **compared.to_json(),
        "accuracy": with_drop(forms.values(SHARES), count),
        **({FUNCTIONS: functions} if (functions := forms.values(FUNCTIONS)) else {}),
    }


class _Compared:
    """Differences of the tensors that both forms have, and of the outputs that are made after the chip."""

    def __init__(self, fixed: FixedModel, graph: Graph, after: AfterChip | None) -> None:
        self._fixed, self._after = fixed, after
        self._own = () if after is None else tuple(after.own)
        self._pieces = pieces_in(fixed.metadata)
        self._layers = _layers(fixed, graph, self._pieces)
        self._on_chip = list(dict.fromkeys([*fixed.outputs, *(name for name, _ in self._layers)]))
        self._factors = factors_in(fixed.metadata)
        self._differences = {name: Difference() for name in (*self._on_chip, *self._own)}
        self._steady = {name: Steady() for name in (*fixed.outputs, *self._own)}

    def add(
        self, expected: Mapping[str, Array], found: Mapping[str, Array], sample: Sample, number: int
    ) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Takes a sample's tensors in; the outputs of the whole model in both forms."""
        fixed, held = self._fixed, self._held(found)
        for name in self._on_chip:
            require_finite(name, expected[name], f"evaluation sample {number}")
            self._differences[name].add(expected[name], held[name])
        exact: Mapping[str, Array] = {name: expected[name] for name in fixed.outputs}
        made: Mapping[str, Array] = _real(found, fixed)
        for name in fixed.outputs:
            self._steady[name].add(exact[name], made[name])
        if self._after is None:
            return exact, made
        exact, made = self._after.run(expected, sample), self._after.run(made, sample)
        for name in self._own:
            require_finite(name, exact[name], f"evaluation sample {number}")
            require_finite(name, made[name], f"the fixed-point form of evaluation sample {number}")
            self._differences[name].add(exact[name], made[name])
            self._steady[name].add(exact[name], made[name])
        return exact, made

    def _held(self, found: Mapping[str, Array]) -> dict[str, Array]:
        """What the fixed form's tensors stand for in the float form's units; pieces are put together."""
        named = {*self._on_chip, *(part for parts in self._pieces.values() for part, _ in parts)}
        held = {
            name: restored(dequantize_array(found[name], self._fixed.tensors[name]), self._factors.get(name))
            for name in named & found.keys()
        }
        return held | together(held, self._pieces)

    def to_json(self) -> dict[str, Any]:
        """`outputs` and `layers` of fixed.json."""
        outputs = [
            {
                "name": name,
                **({"after_chip": True} if name not in self._fixed.outputs else {}),
                **self._differences[name].to_json(),
                **({"constant": True} if self._steady[name].is_lost else {}),
            }
            for name in (*self._fixed.outputs, *self._own)
        ]
        return {"outputs": outputs, "layers": _layer_lines(self._layers, self._differences)}


def _check_forms(fixed: FixedModel, graph: Graph) -> None:
    if list(fixed.inputs) != list(graph.inputs) or list(fixed.outputs) != list(graph.outputs):
        what = "the fixed and the float model do not have the same inputs and outputs"
        raise ModelbuildError(what, exit_code=EXIT_FAILED)


def _real(found: Mapping[str, Array], fixed: FixedModel) -> dict[str, Array]:
    """The outputs of the fixed-point model as float32, as whatever runs after the chip gets them."""
    return {
        name: dequantize_array(found[name], fixed.tensors[name]).astype(np.float32) for name in fixed.outputs
    }


def check_labels(
    labels: Sequence[int], output: str, shape: Shape, use: str = "evaluation", *, whole: bool = False
) -> None:
    """Raises (exit 2) where a label is not a class of `output`, whose values are the classes' scores, or
    (`whole`) the numbers of the best. `use`: what the samples are for."""
    if whole:
        if sum(size > 1 for size in shape) > 1:
            raise ModelbuildError(
                f"the {use} samples have one class each, and the output `{output}` tells {math.prod(shape)}",
                where=use,
                why=f"its shape is {list(shape)}",
                advice="leave the labels out; a function of yours can measure maps of classes",
            )
        return
    classes = math.prod(shape)
    for number, label in enumerate(labels, 1):
        if not 0 <= label < classes:
            raise ModelbuildError(
                f"the label {label} of {use} sample {number} is not a class of the model",
                where=use,
                why=f"the output `{output}` has {classes} values: classes 0 to {classes - 1}",
                advice="labels count from 0; is the list one off, or made for another model?",
            )


def _layers(fixed: FixedModel, graph: Graph, pieces: Mapping[str, Pieces]) -> list[tuple[str, list[str]]]:
    """Floats (and outputs) that both forms make, in the order of execution, and the nodes that they come
    from; of those that are in pieces where the last of these is made."""
    made = {name for node in graph.nodes for name in node.outputs if name}
    made = {name for name in made if graph.dtypes[name].kind == "f" or name in graph.outputs}
    waiting = {whole: {name for name, _ in parts} for whole, parts in pieces.items()}
    found: list[tuple[str, list[str]]] = []
    for operator in fixed.operators:
        for name in operator.outputs:
            if name in made:
                found.append((name, list(operator.origin)))
            for whole, parts in waiting.items():
                if name in parts:
                    parts.discard(name)
                    if not parts and whole in made:
                        found.append((whole, list(operator.origin)))
    return found


def _layer_lines(
    layers: Sequence[tuple[str, list[str]]], differences: Mapping[str, Difference]
) -> list[dict[str, Any]]:
    return [{"name": name, "origin": origin, "snr_db": differences[name].snr_db} for name, origin in layers]

"""Compare two models, or two forms of one, on the same inputs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from modelbuild.arithmetic.number import dequantize_array, quantize_array
from modelbuild.artifacts.comparing_results import Results
from modelbuild.artifacts.feeds import Feed, arrays
from modelbuild.artifacts.output_layouts import alike, shape_alike
from modelbuild.artifacts.postprocess import Postprocess
from modelbuild.artifacts.runner import Array, Arrays, FloatRunner, Runner, run_real
from modelbuild.artifacts.whole_runner import WholeRunner
from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.measure import Difference
from modelbuild.quantize.own_error import OwnErrors
from modelbuild.samples.files import TENSOR_SUFFIXES
from modelbuild.samples.preprocess import Preprocess


@dataclass(frozen=True)
class Comparison:
    """An entry an output, and with layers one a tensor that both forms show, in the reference's order."""

    outputs: tuple[dict[str, Any], ...]
    layers: tuple[dict[str, Any], ...]
    equal: bool
    samples: int
    post: tuple[dict[str, Any], ...] | None = None  # of what postprocessing makes of both
    notes: tuple[str, ...] = ()  # what a comparison of these files has to be told with

    def to_json(self) -> dict[str, Any]:
        """The object of `compare --json`."""
        return {
            "outputs": list(self.outputs),
            "layers": list(self.layers),
            "equal": self.equal,
            "samples": self.samples,
            **({} if self.post is None else {"post": list(self.post)}),
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def compare(
    reference: Runner, candidate: Runner, feed: Feed, layers: bool, post: Postprocess | None = None
) -> Comparison:
    """Runs both on every sample, each with its own preprocessing where it declares any, else the other's; one
    that preprocesses in the model gets the raw picture, and the other what the declaration makes of it.
    What `post` makes of both is compared, too, number by number.

    Outputs are matched by name; where no name agrees and the numbers of outputs do, by order; those of one
    with `output_layout` are laid out like the other's. Raises ModelbuildError where inputs or outputs cannot
    be matched."""
    ports = _matched_outputs(reference, candidate)
    _check_inputs(reference, candidate)
    differences = {name: Difference() for name in ports}
    inner: dict[str, Difference] = {}
    own = _Own(reference, candidate) if layers else None
    results = Results()
    equal = True
    for inputs, others in _inputs(reference, candidate, feed):
        expected, made = run_real(reference, inputs, layers), run_real(candidate, others, layers)
        turned = {name: alike(reference, candidate, made[name]) for name in ports.values()}
        found = {**made, **turned}
        for name, other in ports.items():
            differences[name].add(expected[name], found[other])
            equal = equal and np.array_equal(expected[name], found[other])
        if post is not None:
            renamed = {name: found[other] for name, other in ports.items()}
            results.add(post({name: expected[name] for name in ports}, inputs), post(renamed, inputs))
        for name in _common(expected, found, ports) if layers else ():
            inner.setdefault(name, Difference()).add(expected[name], found[name])
        if own is not None:
            own.add(others, made)
    return Comparison(
        tuple({"name": name, **difference.to_json()} for name, difference in differences.items()),
        _layers(inner, own),
        equal,
        len(feed.samples),
        None if post is None else results.to_json(),
        tuple(note for runner in (reference, candidate) for note in getattr(runner, "notes", ())),
    )


class _Own:
    """The error that each layer adds itself, where a float graph is compared with its quantized form."""

    def __init__(self, reference: Runner, candidate: Runner) -> None:
        chip = reference.chip if isinstance(reference, WholeRunner) else reference
        self._graph: Graph | None = None
        if isinstance(chip, FloatRunner) and candidate.level != "float":
            self._graph = chip.graph
        self._quantized = {port.name: port.quantized for port in candidate.inputs}
        self._errors: OwnErrors | None = None

    def add(self, inputs: Arrays, found: Arrays) -> None:
        """What the candidate was given and all that it shows, in real numbers."""
        if self._graph is None:
            return
        values = {name: self._rounded(name, value) for name, value in inputs.items()} | found
        if self._errors is None:
            try:
                self._errors = OwnErrors(self._graph, values.keys())
            except ModelbuildError:  # a source that was not lowered: its nodes are no chip's layers
                self._graph = None
                return
        self._errors.add(values)

    def _rounded(self, name: str, value: Array) -> Array:
        tensor = self._quantized.get(name)
        return value if tensor is None else dequantize_array(quantize_array(value, tensor), tensor)

    def to_json(self) -> list[dict[str, Any]]:
        """As `OwnErrors`; empty where there is nothing to tell."""
        return [] if self._errors is None else self._errors.to_json()


def _layers(inner: Mapping[str, Difference], own: _Own | None) -> tuple[dict[str, Any], ...]:
    """The errors that have come together up to each tensor, and what its layer adds, so far as is known."""
    added = {} if own is None else {entry["name"]: entry for entry in own.to_json()}
    nothing = {"node": None, "op": None, "own_snr_db": None}
    whole = {name: {"name": name, **difference.to_json()} for name, difference in inner.items()}
    return tuple({**nothing, **entry, **added.get(name, {})} for name, entry in whole.items())


def _inputs(reference: Runner, candidate: Runner, feed: Feed) -> Iterator[tuple[Arrays, Arrays]]:
    """What each of both takes, of one sample after another; the same where the preprocessing is."""
    first, second = _preprocess(reference, candidate), _preprocess(candidate, reference)
    apart = _preprocessed_by_one(reference, candidate)
    _refuse_arrays(feed, apart)
    if first == second and not apart:
        for inputs in arrays(feed, _real_ports(reference, candidate), first, raw=False):
            yield inputs, inputs
        return
    yield from zip(
        arrays(feed, reference.inputs, first, raw=False),
        arrays(feed, candidate.inputs, second, raw=False),
        strict=True,
    )


def _preprocess(runner: Runner, other: Runner) -> dict[str, Preprocess]:
    """What is done before the model: its own; else what the other takes, done by the host."""
    by_host = {name: replace(given, in_model=None) for name, given in other.in_model.items()}
    return {**other.preprocess, **by_host, **runner.preprocess}


def _preprocessed_by_one(reference: Runner, candidate: Runner) -> set[str]:
    """The inputs that one of both preprocesses in the model, and the other does not."""
    return {*reference.in_model} ^ {*candidate.in_model}


def _refuse_arrays(feed: Feed, names: Collection[str]) -> None:
    for sample in feed.samples:
        for name in names:
            if name in sample and sample[name].suffix.lower() in TENSOR_SUFFIXES:
                raise ModelbuildError(
                    f"an array cannot feed `{name}` of both models",
                    where=str(sample[name]),
                    why="one takes raw pixels (`in_model`), the other what preprocessing makes of them",
                    advice="give a picture",
                )


def _real_ports(reference: Runner, candidate: Runner) -> tuple[Any, ...]:
    """Ports to read samples for; an integer input of a float model takes the samples' own integers."""
    return reference.inputs if reference.level == "float" else candidate.inputs


def _check_inputs(reference: Runner, candidate: Runner) -> None:
    """The same names and shapes; but each has its own layout and size of a picture that one preprocesses."""
    first = {port.name: port.shape for port in reference.inputs}
    second = {port.name: port.shape for port in candidate.inputs}
    free = _preprocessed_by_one(reference, candidate)
    if first.keys() != second.keys() or any(first[name] != second[name] for name in {*first} - free):
        raise ModelbuildError(
            "the two models have different inputs",
            why=f"{_listed(first)}; {_listed(second)}",
            advice="compare a model with another form of itself: names and shapes have to be the same",
        )


def _listed(ports: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in ports.items())


def _matched_outputs(reference: Runner, candidate: Runner) -> dict[str, str]:
    """Reference's output -> candidate's."""
    first = {port.name: port.shape for port in reference.outputs}
    second = {port.name: shape_alike(reference, candidate, port.shape) for port in candidate.outputs}
    common = [name for name in first if name in second]
    pairs = {name: name for name in common}
    if not common and len(first) == len(second):
        pairs = dict(zip(first, second, strict=True))
    if not pairs or any(first[name] != second[other] for name, other in pairs.items()):
        raise ModelbuildError(
            "the outputs of the two models do not match",
            why=f"{_listed(first)}; {_listed(second)}",
            advice="compare a model with another form of itself: names or shapes have to be the same",
        )
    return pairs


def _common(expected: Arrays, found: Arrays, outputs: dict[str, str]) -> list[str]:
    """Inner tensors of one name and shape in both."""
    return [
        name
        for name, value in expected.items()
        if name not in outputs and name in found and found[name].shape == value.shape
    ]

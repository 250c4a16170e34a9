"""Cross-layer equalisation as factors: what they make of weights, biases and observations.

A tensor with the factors s holds x / s, channel by channel: the rows of what makes it are divided by s, the
columns of what reads it are multiplied by s, so that the network stays the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph
from modelbuild.quantize.equalize_channels import FIXED, Channels, channels_of
from modelbuild.quantize.histogram import BINS, ChannelHistograms, Histogram
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.plan import Plan, Step
from modelbuild.quantize.record_places import Places, line_of_correction
from modelbuild.quantize.weighted import Weighted

ONE = 4096  # factors are whole numbers of 1/4096, so that products with them are exact on any machine

KEY = "modelbuild.equalized"  # in a fixed-point model's metadata

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Equalization:
    """`values` [channels.count]: the factor of each id, above 0 and at most 1; 1 for what stays."""

    channels: Channels
    values: Real

    @classmethod
    def none(cls, channels: Channels) -> Equalization:
        """Nothing is scaled."""
        return cls(channels, np.ones(channels.count))

    @classmethod
    def read(
        cls,
        graph: Graph,
        plan: Plan,
        lines: Mapping[str, Sequence[int]],
        refuse: Callable[..., NoReturn] | None = None,
    ) -> Equalization:
        """From a record's `correct equalize` lines. `refuse` (`Places`) tells of factors that cannot be."""
        refuse = refuse or Places().refuse
        channels = channels_of(graph, plan) if lines else Channels.none()
        values = np.full(channels.count, -1, np.int64)
        values[FIXED] = ONE
        for name in channels.made:
            ids = channels.ids[name]
            given = np.array(lines.get(name, [ONE] * len(ids)), np.int64)
            if len(given) != len(ids):
                _refuse(refuse, name, f"there are {len(given)} for {len(ids)} channels")
            if given.min() < 1 or given.max() > ONE:
                _refuse(refuse, name, f"each must be from 1 to {ONE}, which stands for 1")
            before = values[ids]
            if ((before >= 0) & (before != given)).any():
                _refuse(
                    refuse, name, "another tensor, to which this one is added or joined, needs the same ones"
                )
            values[ids] = given
        for name in lines:
            if name not in channels.made:
                _refuse(refuse, name, "no operator with constant weights leaves this tensor")
        return cls(channels, np.where(values < 0, ONE, values) / ONE)

    def lines(self) -> dict[str, tuple[int, ...]]:
        """What `read` reads: of each tensor that weights leave and that is scaled, the factors."""
        steps = np.rint(self.values * ONE).astype(np.int64)
        found = {name: steps[self.channels.ids[name]] for name in self.channels.made}
        return {name: tuple(each.tolist()) for name, each in found.items() if (each != ONE).any()}

    def of(self, name: str) -> Real | None:
        """The factors of a tensor's channels, or of its cells (`Channels.ids`); None where all are 1."""
        ids = self.channels.ids.get(name)
        factors = None if ids is None else self.values[ids]
        return None if factors is None or (factors == 1.0).all() else factors

    def metadata(self, names: Iterable[str]) -> dict[str, str]:
        """For the fixed-point model: the factors of these tensors where not all are 1; see `factors_in`."""
        found = {name: self.of(name) for name in names}
        steps = {
            name: np.rint(each * ONE).astype(int).tolist() for name, each in found.items() if each is not None
        }
        return {KEY: json.dumps(steps, sort_keys=True, separators=(",", ":"))} if steps else {}

    def divided(self, name: str, values: NDArray[Any]) -> NDArray[Any]:
        """What the scaled tensor would hold."""
        factors = self.of(name)
        return values if factors is None else values / _along(factors, values.ndim)

    def weighted(self, found: Weighted, x: str, y: str) -> Weighted:
        """The weights of the step that makes `y` from `x`; exact but for the division, which IEEE rounds."""
        read, made = self.of(x), self.of(y)
        if read is None and made is None:
            return found
        weight, bias = found.weight.astype(np.float64), found.bias.astype(np.float64)
        if read is not None:
            rows = weight.reshape(found.group, -1, *weight.shape[1:])
            columns = read.reshape(found.group, 1, -1, *([1] * (weight.ndim - 2)))
            weight = (rows * columns).reshape(weight.shape)
        if made is not None:
            weight, bias = weight / made.reshape(-1, *([1] * (weight.ndim - 1))), bias / made
        return replace(found, weight=weight, bias=bias)

    def observations(self, plan: Plan, observations: Observations) -> Observations:
        """What the scaled tensors would have held."""
        tensors, melted = dict(observations.tensors), dict(observations.melted)
        for step in plan.steps:
            for name in _made(step):
                factors = self.of(step.outputs[0] if len(step.outputs) == 1 else name)
                if factors is not None and factors.ndim > 1:  # the same values, in other places
                    tensors[name] = tensors[step.node.inputs[0]]
                    continue
                if factors is not None and name in tensors:
                    tensors[name] = scaled(tensors[name], factors)
                if factors is not None and name in melted:
                    melted[name] = melted[name] * np.square(factors)
        return replace(observations, tensors=tensors, melted=melted)


def _refuse(refuse: Callable[..., NoReturn], name: str, why: str) -> NoReturn:
    key, what = line_of_correction("equalize", name), f"the record's factors of {name!r} cannot be used"
    advice = "edit its `correct equalize` line, if the record is of this model and chip at all"
    refuse(key, what, why=why, advice=advice)


def factors_in(metadata: Mapping[str, str]) -> dict[str, NDArray[np.float32]]:
    """Tensor -> factors, of a fixed-point model's metadata. Raises on what `metadata` did not write."""
    try:
        steps = json.loads(metadata.get(KEY, "{}"))
        found = {str(name): np.array(each, np.float32) / np.float32(ONE) for name, each in steps.items()}
        if any(each.ndim < 1 or not np.isfinite(each).all() for each in found.values()):
            raise ValueError("factors are lists of numbers")
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelbuildError(f"the model's metadata `{KEY}` is damaged", why=str(error)) from error
    return found


def restored(values: NDArray[Any], factors: NDArray[np.float32] | None) -> NDArray[Any]:
    """What a scaled tensor stands for; as it is where the factors are not those of its channels or cells."""
    if factors is None or values.ndim < 2:
        return values
    along = _along(factors, values.ndim)
    if along.ndim != values.ndim:
        return values
    fits = all(size in (1, own) for size, own in zip(along.shape, values.shape, strict=True))
    return values * along if fits else values


def _along(factors: NDArray[Any], axes: int) -> NDArray[Any]:
    """Factors of channels (axis 1) or of cells, so that they broadcast to a tensor of so many axes."""
    return factors.reshape(1, -1, *([1] * (axes - 2))) if factors.ndim == 1 else factors


def _made(step: Step) -> list[str]:
    """All tensors of a step, those between its nodes, too."""
    return [name for node in step.nodes for name in node.outputs if name]


def scaled(observation: TensorObservation, factors: Real) -> TensorObservation:
    """Of x / factors, a factor a channel. Histograms are put together from those of the channels."""
    squares = np.square(factors)
    weight = None if observation.channel_weight is None else observation.channel_weight * squares
    low, high = observation.channel_low / factors, observation.channel_high / factors
    made = replace(
        observation,
        channel_low=low,
        channel_high=high,
        channel_sum=observation.channel_sum / factors,
        channel_variance=observation.channel_variance / squares,
        channel_weight=weight,
        sample_ranges=observation.sample_ranges[:0],  # whose channel each end was is not known
    )
    channels = observation.channels
    split = _anywhere(observation) if channels is None else channels
    weights = None if split.weights is None else split.weights * squares.astype(np.float32)[:, None]
    split = ChannelHistograms(split.counts, weights)
    joined = put_together(observation, split, low, high)
    return replace(made, channels=None if channels is None else split, histogram=joined)


def _anywhere(observation: TensorObservation) -> ChannelHistograms:
    """Of a tensor whose channels have no histograms (a Flatten's): values lie anywhere in their channel's
    range, as many in each that holds others than 0."""
    histogram = observation.histogram
    filled = (observation.channel_high > observation.channel_low) | (observation.channel_low != 0)
    counts = filled * (float(histogram.counts.sum()) / max(int(filled.sum()), 1))
    rows = counts[:, None].astype(np.float32)
    if histogram.weights is None or observation.channel_weight is None:
        return ChannelHistograms(rows, None)
    shares = observation.channel_weight * filled
    weights = shares / (shares.sum() or 1.0) * histogram.weights.sum()
    return ChannelHistograms(rows, weights[:, None].astype(np.float32))


def put_together(whole: TensorObservation, split: ChannelHistograms, low: Real, high: Real) -> Histogram:
    """One histogram of these channels, each bin of a channel spread over those that it overlaps."""
    ends = float(low.min()), float(high.max())
    parts = [split.counts] if split.weights is None else [split.counts, split.weights]
    counts, *weights = _spread(parts, low, high, ends)
    below = np.rint(np.cumsum(counts)).astype(np.int64)
    before = whole.histogram
    return Histogram(
        *ends, np.diff(below, prepend=0), before.zeros, weights[0] if weights else None, before.zero_weight
    )


def _spread(parts: Sequence[NDArray[Any]], low: Real, high: Real, ends: tuple[float, float]) -> list[Real]:
    """[BINS] between `ends` of each part: what lies in each bin, the values of a bin of its rows being
    anywhere within it."""
    span, bins = ends[1] - ends[0], parts[0].shape[1]
    if span <= 0:
        return [np.concatenate([[rows.sum(dtype=np.float64)], np.zeros(BINS - 1)]) for rows in parts]
    sizes = np.maximum((high - low) * (BINS / span / bins), 1e-6)[:, None]
    edges = (low[:, None] - ends[0]) * (BINS / span) + sizes * np.arange(bins + 1)
    cells = np.clip(edges.astype(np.int64), 0, BINS - 1)
    rest = edges - cells
    found: list[Real] = []
    for rows in parts:
        # The sum below x is that of kink * max(x - edge, 0): kinks, what densities differ by, summed twice.
        kinks = np.diff(rows / sizes, axis=1, prepend=0.0, append=0.0)
        later = kinks * rest
        total = np.zeros(BINS + 2)
        total[1:-1] = np.bincount(cells.reshape(-1), (kinks - later).reshape(-1), BINS)
        total[2:] += np.bincount(cells.reshape(-1), later.reshape(-1), BINS)
        below = np.cumsum(np.cumsum(total))
        found.append(np.asarray(np.maximum(np.diff(below[: BINS + 1]), 0.0)))
    return found

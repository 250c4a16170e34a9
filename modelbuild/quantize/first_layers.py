"""Whether samples are normalised as the model was trained: statistics of its first layer on them.

Where a BatchNormalization follows, it has the mean and variance that training saw; else a bias, whose size
goes with that of the sums it is added to, says what scale the inputs had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.samples.health import channels_last

Array = NDArray[np.generic]
Real = NDArray[np.float64]
Sample = Mapping[str, Array]
# What pictures are normalised to: (scale, mean, std) of y = (x * scale - mean) / std, one number or three
NORMALISATIONS: Mapping[str, tuple[float, Sequence[float], Sequence[float]]] = {
    "pixels as they are, 0..255": (1.0, [0.0], [1.0]),
    "`preset: unit` (x / 255)": (1 / 255, [0.0], [1.0]),
    "`mean: 127.5, std: 127.5` (-1..1)": (1.0, [127.5], [127.5]),
    "`preset: kneron` (x / 256 - 0.5)": (1 / 256, [0.5], [1.0]),
    "`preset: imagenet`": (1 / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
}
# Measured on 23 networks with 5 normalisations each: the divergence below is up to 0.17 with the right one;
# with a wrong one more than 0.2 and 4 to 10^5 times as much. The ratio of sums to biases is 0.2 to 4.5 with
# the right scale, and beyond these bounds where pixels are 60 times too large or too small.
FAR, TIMES = 0.2, 3.0
STRANGE = 2.0  # a divergence that no picture of the field has
LARGEST, SMALLEST = 20.0, 0.035
# `Fit.misfit` of 7 networks without a BatchNormalization: 0.1 to 1.4 with the right normalisation. Two that
# are nearer to each other than EQUAL cannot be told apart.
MISFIT, EQUAL = 2.8, 1.0
EARLY = 6  # convolutions before a BatchNormalization that still speaks of the inputs


@dataclass(frozen=True)
class FirstLayer:
    """The node whose statistics tell, and the tensor that they are of."""

    tensor: str
    mean: Real | None = None  # of training, one a channel
    variance: Real | None = None
    bias: Real | None = None


@dataclass(frozen=True)
class Fit:
    """How samples suit the first layer. `divergence`: Kullback-Leibler, of normal distributions, median over
    channels; `shift`: of means in standard deviations, median; `ratio`: of sums to biases, the farther from 1
    is the worse; `offset`: of a channel's mean, with its bias, to its standard deviation, median: what a
    BatchNormalization that was folded leaves is seldom far from zero."""

    divergence: float | None = None
    overall: float = 0.0  # as `divergence`, but the mean
    shift: float = 0.0
    ratio: float | None = None
    offset: float = 0.0

    @property
    def misfit(self) -> float:
        """The less, the likelier: the divergence, or |log ratio| and log offset, beyond 1, together."""
        if self.ratio is None:
            return (self.divergence or 0.0) + self.overall
        return abs(math.log(max(self.ratio, 1e-30))) + math.log(max(self.offset, 1.0))


def first_layer(graph: Graph) -> FirstLayer | None:
    """The first BatchNormalization, unless too many convolutions come before; else the first bias of a Conv
    or Gemm."""
    biased: FirstLayer | None = None
    convolutions = 0
    for node in graph.nodes:
        if node.op == "BatchNormalization" and all(name in graph.constants for name in node.inputs[1:]):
            epsilon = node.attributes.get("epsilon", 1e-5)
            assert isinstance(epsilon, float | int)
            mean, variance = (graph.constants[name].astype(np.float64) for name in node.inputs[3:5])
            return FirstLayer(node.inputs[0], mean, np.maximum(variance + epsilon, 1e-30))
        if node.op in ("Conv", "Gemm"):
            convolutions += 1
            bias = _bias(graph, node)
            if biased is None and bias is not None:
                biased = FirstLayer(node.outputs[0], bias=bias)
            if convolutions > EARLY:
                return biased
    return biased


def _bias(graph: Graph, node: Node) -> Real | None:
    constant = graph.constants.get(node.inputs[2]) if len(node.inputs) > 2 else None
    if constant is None or constant.size < 4 or not np.any(constant):
        return None
    return constant.astype(np.float64).reshape(-1)


def fit(graph: Graph, layer: FirstLayer, samples: Iterator[Sample]) -> Fit:
    """Runs the graph up to the layer. Sums are kept, no tensors."""
    session = FloatSession(_up_to(graph, layer.tensor), [layer.tensor])
    total: Real = np.zeros(0)
    square: Real = np.zeros(0)
    count = 0
    for sample in samples:
        made = session.run(sample)[layer.tensor].astype(np.float64)
        others = tuple(axis for axis in range(made.ndim) if axis != 1)
        total = total + made.sum(axis=others) if count else made.sum(axis=others)
        square = square + np.square(made).sum(axis=others) if count else np.square(made).sum(axis=others)
        count += made.size // made.shape[1]
    mean = total / count
    variance = np.maximum(square / count - np.square(mean), 1e-30)
    if layer.bias is not None:
        offset = float(np.median(np.abs(mean) / np.sqrt(variance)))
        return Fit(ratio=_ratio(variance, layer.bias), offset=offset)
    assert layer.mean is not None and layer.variance is not None
    shift = np.abs(mean - layer.mean) / np.sqrt(layer.variance)
    parts = variance / layer.variance
    divergence = 0.5 * (parts + np.square(shift) - 1.0 - np.log(parts))
    overall = float(np.minimum(divergence, 50.0).mean())
    return Fit(float(np.median(divergence)), overall, float(np.median(shift)))


def _ratio(variance: Real, bias: Real) -> float:
    """Standard deviation to bias: median or root mean square of channels, whichever is nearer to 1."""
    sizes = np.sqrt(variance), np.abs(bias)
    middle = float(np.median(sizes[0])) / max(float(np.median(sizes[1])), 1e-12)
    whole = float(np.sqrt(variance.mean() / np.square(bias).mean()))
    return min(middle, whole, key=lambda ratio: abs(np.log(max(ratio, 1e-30))))


def _up_to(graph: Graph, tensor: str) -> Graph:
    """The part of the graph that makes the tensor. Inputs that it does not read stay."""
    needed, kept = {tensor}, []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    part = Graph(graph.name, kept[::-1], list(graph.inputs), [tensor], {})
    part.constants = {name: value for name, value in graph.constants.items() if name in needed}
    part.shapes, part.dtypes, part.opset = graph.shapes, graph.dtypes, graph.opset
    return part


def swapped(values: Array) -> Array:
    """A picture with red and blue exchanged."""
    return values[..., ::-1] if channels_last(values.shape) else values[:, ::-1]


def normalised(pixels: Real, name: str) -> NDArray[np.float32]:
    """Pixels 0..255 as one of NORMALISATIONS has them."""
    scale, mean, std = NORMALISATIONS[name]
    form = (1, 1, 1, -1) if channels_last(pixels.shape) else (1, -1, 1, 1)
    count = pixels.shape[-1] if channels_last(pixels.shape) else pixels.shape[1]
    less, by = (
        np.array(given if count == len(given) else [np.mean(given)]).reshape(form) for given in (mean, std)
    )
    return np.asarray((pixels * scale - less) / by, np.float32)

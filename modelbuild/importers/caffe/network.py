"""A parsed prototxt -> inputs and layers as Caffe sees them in phase TEST, old forms renewed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Shape
from modelbuild.importers.caffe.message import Message

# Types of the form `layers { type: CONVOLUTION }` whose present name is not their words capitalised.
_RENAMED: Mapping[str, str] = {
    "ABSVAL": "AbsVal", "ARGMAX": "ArgMax", "BNLL": "BNLL", "EUCLIDEAN_LOSS": "EuclideanLoss",
    "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "IM2COL": "Im2col", "LRN": "LRN", "MVN": "MVN",
    "RELU": "ReLU", "PRELU": "PReLU", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPP": "SPP", "TANH": "TanH",
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One layer. `message` holds its parameters."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    message: Message

    @property
    def label(self) -> str:
        """What errors call it."""
        return f"{self.type} `{self.name}`"


@dataclass(frozen=True)
class Network:
    """The layers of a deployed network in the order of the file, without the Input layers."""

    name: str
    inputs: Mapping[str, Shape]
    layers: tuple[Layer, ...]


def read(message: Message) -> Network:
    """The network that `message` describes, in the phase TEST."""
    inputs = _declared_inputs(message)
    layers: list[Layer] = []
    for part in [*message.messages("layers"), *message.messages("layer")]:
        if not _included(part):
            continue
        layer = _layer(part, "layers" in message.fields)
        if layer.type == "Input":
            for name, shape in _input_layer(layer).items():
                if name in inputs:
                    raise ModelbuildError(f"the input `{name}` is declared twice", where=part.where)
                inputs[name] = shape
        else:
            layers.append(layer)
    if not layers:
        raise ModelbuildError(
            "this prototxt has no layers", advice="name the network itself, not the solver's settings"
        )
    return Network(message.text("name") or "model", inputs, tuple(layers))


def _layer(part: Message, old: bool) -> Layer:
    if part.has("layer"):
        raise ModelbuildError(
            "this layer has the form of Caffe before 2014 (V0)",
            where=part.where,
            advice="bring the file up to date with Caffe's `upgrade_net_proto_text`",
        )
    kind = part.text("type")
    if not kind:
        raise ModelbuildError("this layer has no `type`", where=part.where)
    if old and kind.upper() == kind:
        kind = _RENAMED.get(kind) or "".join(word.capitalize() for word in kind.split("_"))
    tops = tuple(part.texts("top"))
    name = part.text("name") or (tops[0] if tops else kind)
    return Layer(name, kind, tuple(part.texts("bottom")), tops, part)


def _declared_inputs(message: Message) -> dict[str, Shape]:
    """`input: "data"` at the top, with `input_shape` or four `input_dim` each."""
    names, dims = message.texts("input"), message.integers("input_dim")
    shapes = [_shape(part, message) for part in message.messages("input_shape")]
    if names and not shapes:
        if len(dims) != 4 * len(names):
            raise ModelbuildError(
                f"{len(names)} inputs need {4 * len(names)} `input_dim`, not {len(dims)}", where=message.where
            )
        shapes = [_checked(dims[at : at + 4], message) for at in range(0, len(dims), 4)]
    if len(shapes) != len(names) or len(set(names)) != len(names):
        raise ModelbuildError(
            f"the inputs {', '.join(names)} have {len(shapes)} shapes" if names else "a shape has no `input`",
            where=message.where,
        )
    return dict(zip(names, shapes, strict=True))


def _input_layer(layer: Layer) -> dict[str, Shape]:
    shapes = [_shape(part, part) for part in layer.message.message("input_param").messages("shape")]
    if len(shapes) == 1:
        shapes *= len(layer.tops)
    if len(shapes) != len(layer.tops) or not shapes:
        raise ModelbuildError(
            f"{layer.label} has {len(layer.tops)} tops and {len(shapes)} shapes",
            where=layer.message.where,
            advice="write `input_param { shape: { dim: 1 dim: 3 dim: 224 dim: 224 } }`",
        )
    return dict(zip(layer.tops, shapes, strict=True))


def _shape(part: Message, place: Message) -> Shape:
    return _checked(part.integers("dim"), place)


def _checked(dims: list[int], place: Message) -> Shape:
    if not dims or min(dims) < 1 or len(dims) > 8:
        raise ModelbuildError(f"an input cannot have the shape {dims}", where=place.where)
    return tuple(dims)


def _included(part: Message) -> bool:
    """Whether the layer is there in phase TEST, level 0, no stage (Caffe, Net::FilterNet)."""
    include, exclude = part.messages("include"), part.messages("exclude")
    if include and exclude:
        raise ModelbuildError("a layer has either `include` or `exclude`, not both", where=part.where)
    if include:
        return any(_met(rule) for rule in include)
    return not any(_met(rule) for rule in exclude)


def _met(rule: Message) -> bool:
    phase = rule.choice("phase", ("TRAIN", "TEST")) if rule.has("phase") else "TEST"
    low, high = rule.integer("min_level", 0), rule.integer("max_level", 0)
    return phase == "TEST" and low <= 0 <= high and not rule.texts("stage")

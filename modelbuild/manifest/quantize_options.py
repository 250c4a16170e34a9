"""What may stand under `quantize:` (docs/models-yaml.md, docs/knobs.md)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from modelbuild.manifest import other_words, vendors
from modelbuild.manifest.scalars import (
    AS_MAPPING,
    AS_SCALAR,
    BY_KIND,
    AsOneOrMany,
    AsText,
    Integer,
    Number,
    Numbers,
    Switch,
    Text,
    read_plain,
    read_switch,
    wrong,
)
from modelbuild.manifest.shares import Fraction, PercentOfMost
from modelbuild.manifest.strict import Strict, refuse
from modelbuild.manifest.tree import Scalar
from modelbuild.quantize.mixed_settings import MOST_MARGIN_DB
from modelbuild.quantize.settings import SMOOTH

NONE = "none"  # `quantize: none`: the model stays in float
Activations = Literal["int8", "uint8", "int16", "float32", "bfloat16", "mixed"]
Weights = Literal["int8", "uint8", "int4", "int16", "float32", "bfloat16", "mixed"]
Method = Literal["output_error", "mse", "entropy", "minmax", "moving_average", "percentile"]
FormatName = Literal["int8", "uint8", "int4", "int16", "float32", "bfloat16"]
Format = Annotated[FormatName, AsText]
Ports = Annotated[Annotated[Format, AS_SCALAR] | Annotated[dict[str, Format], AS_MAPPING], BY_KIND]


def _read_equalize(value: object) -> bool | str:
    if isinstance(value, Scalar) and value.text == SMOOTH:
        return SMOOTH
    try:
        return read_switch(value)
    except PydanticCustomError:
        raise wrong(f"true, false or {SMOOTH}", value) from None


def _read_none(value: object) -> str:
    if isinstance(value, Scalar) and value.text == NONE:
        return NONE
    known = isinstance(value, Scalar) and value.text in get_args(Activations)
    example = value.text if known and isinstance(value, Scalar) else "int8"
    raise wrong(f"a mapping or {NONE}", value, f"write `quantize: {{activations: {example}}}`")


class Range(Strict):
    """How the range of a tensor is chosen from its calibration histogram."""

    method: Annotated[Method, AsText] | None = Field(
        None,
        description="output_error: least error at the outputs; mse: least squared error of the tensor; "
        "entropy: least KL divergence; minmax: all that was seen; moving_average: of the samples' extremes; "
        "percentile: all but the rarest",
    )
    percentile: PercentOfMost | None = Field(
        None, description="with method percentile: how many percent of the values the range holds"
    )
    percentile_16bit: PercentOfMost | None = Field(
        None, description="with method percentile: the same, for tensors of 16 bits"
    )
    bins: Annotated[Literal[256, 512, 1024, 2048, 4096], BeforeValidator(read_plain)] | None = Field(
        None, description="bins of the histograms in which the method searches"
    )
    max_clipped: Fraction | None = Field(
        None, description="with method mse: the largest share of the values that may lie outside the range"
    )
    outlier_factor: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="with method mse: how much the squared error of a value outside the range counts"
    )
    momentum: Annotated[Number, Field(ge=0, lt=1)] | None = Field(
        None, description="with method moving_average: how much of the average stays with each sample"
    )


def _read_range(value: object) -> object:
    """A word alone may be meant as the method."""
    if isinstance(value, Scalar):
        methods = get_args(Method)
        method = value.text if value.text in methods else other_words.same(value.text)
        if method in methods:  # other words are of biases
            raise wrong("a mapping", value, f"write `range: {{method: {method}}}`")
        near = other_words.advice(value.text, methods) or f"methods: {', '.join(methods)}"
        raise wrong("a mapping", value, f"write `range: {{method: {methods[0]}}}`, or another; {near}")
    return value


class NodeFormats(Strict):
    """Number formats of one node."""

    activations: Format | None = Field(None, description="of what it leaves")
    weights: Format | None = Field(None, description="of its weights")

    @model_validator(mode="after")
    def _some_format(self) -> Self:
        if not self.model_fields_set:
            raise refuse("a node without a format", "write `activations:` or `weights:`, or remove the node")
        return self


def _read_node(value: object) -> object:
    """A word alone may be meant as the format of what the node leaves."""
    if isinstance(value, Scalar):
        form = value.text if value.text in get_args(FormatName) else "int16"
        raise wrong("a mapping", value, f"write `{{activations: {form}}}`, `weights` likewise")
    return value


class Quantize(vendors.Names):
    """Float to integers."""

    other_words: ClassVar[frozenset[str]] = frozenset(vendors.Names.model_fields)
    activations: Annotated[tuple[Annotated[Activations, AsText], ...], AsOneOrMany] | None = Field(
        None, description="number format of activations; of a list, the first that the chip has"
    )
    weights: Annotated[tuple[Annotated[Weights, AsText], ...], AsOneOrMany] | None = Field(
        None, description="number format of weights; of a list, the first that the chip has"
    )
    range: Annotated[Range, BeforeValidator(_read_range)] | None = Field(
        None, description="how ranges are chosen"
    )
    output_function: Annotated[Literal["none", "sigmoid"], AsText] | None = Field(
        None, description="what is applied to the outputs behind the chip: their ranges serve its results"
    )
    symmetric: Switch | None = Field(None, description="activations without a zero point")
    per_channel: Switch | None = Field(None, description="weights with a scale for each output channel")
    mode: (
        Annotated[
            Literal["auto", "mix_light", "mix_balance", "mixbw", "none", 0, 1, 2, 3],
            BeforeValidator(read_plain),
        ]
        | None
    ) = Field(
        None, description="how formats are chosen a layer at a time; a number is Kneron's mode of analysis"
    )
    flops_ratio: Fraction | None = Field(None, description="with mode mixbw: share of MACs in 16 bits")
    max_measurements: Annotated[Integer, Field(ge=1)] | None = Field(
        None, description="with mode auto: how often a choice is measured, at most"
    )
    margin_db: Annotated[Number, Field(ge=0, le=MOST_MARGIN_DB)] | None = Field(
        None, description="with mode auto: what bounds on outputs have in hand on the calibration samples"
    )
    nodes: dict[str, Annotated[NodeFormats, BeforeValidator(_read_node)]] | None = Field(
        None, description="number formats of single nodes, by name"
    )
    inputs: Ports | None = Field(None, description="number format of the inputs, of all or one each")
    outputs: Ports | None = Field(None, description="number format of the outputs, of all or one each")
    cpu_nodes: Format | None = Field(None, description="number format of nodes on the CPU")
    equalize: Annotated[bool | Literal["smooth"], BeforeValidator(_read_equalize)] | None = Field(
        None,
        description="scales of channels, moved between weights by predicted noise; smooth: by a rule",
    )
    split: Switch | None = Field(
        None, description="tensors of channels of unlike ranges, divided by predicted noise"
    )
    bias_correction: Annotated[Literal["auto", "none", "parallel", "sequential"], AsText] | None = Field(
        None, description="how mean errors are taken out of biases: of all layers at once, or one by one"
    )
    weights_range: Annotated[Literal["max", "mse"], AsText] | None = Field(
        None, description="of weights: the largest of them, or what does the least squared error"
    )
    rounding: Annotated[Literal["auto", "nearest", "observed", "squant", "adaround"], AsText] | None = Field(
        None, description="how weights are rounded"
    )
    threads: Annotated[Integer, Field(ge=1, le=64)] | None = Field(
        None, description="samples that are run at once; changes no result"
    )
    ranges: dict[str, Numbers] | None = Field(None, description="[low, high] of tensors, by name")
    export_scheme: Annotated[Literal["none", "by_tensor", "by_channel"], AsText] | None = Field(
        None, description="a QuantScheme.json beside the package: weights with one range, or one a channel"
    )
    scheme: Text | None = Field(None, description="a QuantScheme.json to take ranges from")
    strict: Switch | None = Field(None, description="every tensor's range is the scheme's")
    record: Text | None = Field(
        None, description="a quantization record (.quant.txt) to start from instead of observing samples"
    )


# `quantize: none` is short for a mode.
Quantization = Annotated[
    Annotated[Literal["none"], BeforeValidator(_read_none), AS_SCALAR] | Annotated[Quantize, AS_MAPPING],
    BY_KIND,
]

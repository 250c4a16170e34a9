"""SiMa's names: the fields of `afe`'s QuantizationParams and the arguments of quantize_with_accuracy_feedback
(sima-neat/model-compiler, docs/generated)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from modelbuild.errors import did_you_mean
from modelbuild.manifest.scalars import AsText, AsTuple, Integer, Number, Plain, Switch, Text
from modelbuild.manifest.shares import PercentOfMost
from modelbuild.manifest.strict import Strict
from modelbuild.manifest.vendors.knob import (
    Json,
    Knob,
    NotBuilt,
    Path,
    Said,
    Senseless,
    key,
    not_built,
    words,
)
from modelbuild.quantize.settings import BINS


class Scheme(Strict):
    """`quantization_scheme(asymmetric, per_channel, bits)`, and `bfloat16_scheme()`."""

    asymmetric: Switch | None = Field(None, description="with a zero point")
    per_channel: Switch | None = Field(None, description="a scale for each channel")
    bits: Annotated[Integer, Field(ge=4, le=16)] | None = Field(None, description="4, 8 or 16")
    bf16: Switch | None = Field(None, description="bfloat16; not built yet")


class Names(Strict):
    """What may stand under `quantize:` in SiMa's spelling."""

    calibration_method: (
        Annotated[Literal["min_max", "moving_average", "mse", "entropy", "percentile"], AsText] | None
    ) = Field(None, description="SiMa's name of `range: {method}`")
    percentile_value: PercentOfMost | None = Field(None, description="SiMa's name of `range: {percentile}`")
    num_bins: Annotated[Integer, Field(ge=1)] | None = Field(
        None, description="SiMa's name of `range: {bins}`"
    )
    num_calib_samples: Annotated[Integer, Field(ge=1)] | None = Field(
        None, description="SiMa's name of `count` under `calibration`"
    )
    activation_quantization_scheme: Scheme | None = Field(
        None, description="SiMa's name of `activations` and `symmetric`"
    )
    weight_quantization_scheme: Scheme | None = Field(
        None, description="SiMa's name of `weights` and `per_channel`"
    )
    requantization_mode: Annotated[Literal["sima", "tflite"], AsText] | None = Field(
        None, description="the chip's own, `sima`; not built yet: `tflite`"
    )
    node_names: Annotated[tuple[Text, ...], AsTuple] | None = Field(
        None, description="nodes that are left in float; not built yet"
    )
    custom_quantization_configs: dict[str, Plain] | None = Field(
        None, description="SiMa's name of `nodes`: {NODE: {quantization_precision: A_INT16_W_INT8}}"
    )
    biascorr_type: Annotated[Literal["none", "regular", "iterative"], AsText] | None = Field(
        None, description="SiMa's name of `bias_correction`: regular is parallel, iterative is sequential"
    )
    channel_equalization: Switch | None = Field(None, description="SiMa's name of `equalize`")
    smooth_quant: Switch | None = Field(None, description="SiMa's name of `equalize: smooth`")
    prefer_int8_udf: Switch | None = Field(None, description="tables of 8 bits, as the builtin toolchain has")
    accuracy_score: Text | None = Field(
        None, description="what `target_accuracy` is of: top1, another measure of `accept`, or a function"
    )
    target_accuracy: Number | None = Field(
        None, description="SiMa's name of `mode: auto` with that bound of `accept`"
    )
    max_optimization_steps: Annotated[Integer, Field(ge=1)] | None = Field(
        None, description="SiMa's name of `max_measurements`"
    )


def _scheme(formats: str, switch: str, sense: bool) -> Callable[[Json], Said]:
    """`sense`: whether our switch says the same as SiMa's, or the opposite."""

    def said(value: Json) -> Said:
        if value.get("bf16"):
            raise NotBuilt("fixed-point models hold no floats; leave it out for int8")
        found: dict[Path, Json] = {}
        if "bits" in value:
            found[f"quantize.{formats}"] = [f"int{value['bits']}"]
        if formats == "activations" and value.get("per_channel"):
            raise NotBuilt("SiMa's chips have one scale for each tensor of activations")
        if formats == "weights" and value.get("asymmetric"):
            raise NotBuilt("SiMa's chips have symmetric weights alone")
        given = value.get("asymmetric" if switch == "symmetric" else "per_channel")
        if given is not None:
            found[f"quantize.{switch}"] = given is sense
        return Said(found)

    return said


def _method(name: str) -> Said:
    return Said({"quantize.range.method": name})


_METHODS = {
    "min_max": _method("minmax"),
    "moving_average": _method("moving_average"),
    "mse": _method("mse"),
    "entropy": _method("entropy"),
    "percentile": _method("percentile"),
}
_PRECISION = re.compile(r"A_(INT8|INT16)_W_(INT4|INT8|INT16)")


def _bins(value: Json) -> Said:
    if value not in BINS:
        raise Senseless(
            f"ranges are searched in the {max(BINS)} bins that are observed, or in neighbours joined",
            f"choose one of {', '.join(map(str, BINS))}",
            f"`num_bins: {value}` is no number of bins that there can be",
        )
    return Said({"quantize.range.bins": value})


def _custom(value: Json) -> Said:
    """Precisions of single nodes."""
    nodes: dict[str, Json] = {}
    for name, given in value.items():
        named = given.get("quantization_precision") if isinstance(given, dict) and len(given) == 1 else None
        found = _PRECISION.fullmatch(named) if isinstance(named, str) else None
        if found is None:
            raise NotBuilt("write {NODE: {quantization_precision: A_INT16_W_INT8}}: A_ and W_ with integers")
        nodes[name] = {"activations": found[1].lower(), "weights": found[2].lower()}
    return Said({"quantize.nodes": nodes})


def _equalization(given: Json) -> Said:
    """`false` beside `smooth_quant` leaves equalisation to that."""
    wanted = given["channel_equalization"]
    return Said({} if given.get("smooth_quant") and not wanted else {"quantize.equalize": wanted})


_SHARES = ("top1", "top5", "map", "map50")
_SCORES = (*_SHARES, "snr_db", "snr_db_mean", "cosine")


def _score(given: Json) -> Said:
    """Said by `target_accuracy`."""
    if "target_accuracy" not in given:
        raise Senseless("it says what `target_accuracy` is of, which is not there", "write both, or neither")
    return Said()


def _target(given: Json) -> Said:
    """The score is at least the target."""
    score, target = given.get("accuracy_score", "top1"), given["target_accuracy"]
    if ".py:" in score:
        return Said({"quantize.mode": "auto", ("accept", "function", score, "at_least"): target})
    if score not in _SCORES:
        near, all_of_them = did_you_mean(score, _SCORES), ", ".join(_SCORES)
        raise Senseless(
            "`target_accuracy` is held by a measure of `accept`, or by a function of yours",
            f"{near} choose one of {all_of_them}, or FILE.py:FUNCTION".lstrip(),
            f"`accuracy_score: {score}` is no measure that is known",
        )
    if score in _SHARES and not 0 <= target <= 1:
        raise Senseless(f"{score} is a share of the samples, from 0 to 1", "write 0.7 for 70 %")
    if score == "cosine" and not -1 <= target <= 1:
        raise Senseless("a cosine is from -1 to 1", "write 0.99")
    return Said({"quantize.mode": "auto", f"accept.{score}": target})


_BIAS = {"none": "none", "regular": "parallel", "iterative": "sequential"}
KNOBS = (
    Knob(
        "calibration_method",
        "mse",
        "range.method",
        words(_METHODS),
        examples=tuple(_METHODS),
    ),
    Knob(
        "percentile_value",
        None,
        "range.percentile",
        lambda value: Said({"quantize.range.percentile": value}, {"quantize.range.method": "percentile"}),
        examples=(99.9,),
    ),
    Knob(
        "num_bins",
        None,
        "range.bins",
        _bins,
        examples=(2048,),
    ),
    Knob("num_calib_samples", 50, "calibration.count", key("calibration.count"), examples=(4,)),
    Knob(
        "activation_quantization_scheme",
        {"asymmetric": True, "per_channel": False, "bits": 8},
        "activations, symmetric",
        _scheme("activations", "symmetric", False),
        examples=({"asymmetric": True, "per_channel": False, "bits": 8}, {"asymmetric": False}, {"bits": 16}),
        missing=({"per_channel": True}, {"bf16": True}),
    ),
    Knob(
        "weight_quantization_scheme",
        {"asymmetric": False, "per_channel": True, "bits": 8},
        "weights, per_channel",
        _scheme("weights", "per_channel", True),
        examples=({"asymmetric": False, "per_channel": True, "bits": 8}, {"per_channel": False}),
        missing=({"asymmetric": True}, {"bf16": True}),
    ),
    Knob(
        "requantization_mode",
        "sima",
        "",
        not_built("the chip's recipe says how it rounds", harmless="sima"),
        examples=("sima",),
        missing=("tflite",),
    ),
    Knob(
        "node_names",
        [],
        "",
        not_built("fixed-point models hold no floats; `nodes: {NAME: {activations: int16}}` is near"),
        missing=(["c1"],),
    ),
    Knob(
        "custom_quantization_configs",
        None,
        "nodes",
        _custom,
        examples=({"c1": {"quantization_precision": "A_INT16_W_INT8"}},),
        missing=({"MLA_0/conv2d_12": {"quantization_precision": "A_BF16_W_INT8"}},),
    ),
    Knob(
        "biascorr_type",
        "none",
        "bias_correction",
        key("quantize.bias_correction", _BIAS),
        examples=tuple(_BIAS),
    ),
    Knob(
        "channel_equalization",
        False,
        "equalize",
        _equalization,
        examples=(False, True),
        beside=("smooth_quant",),
    ),
    Knob(
        "smooth_quant",
        False,
        "equalize",
        words({True: Said({"quantize.equalize": "smooth"}), False: Said()}),
        examples=(False, True),
    ),
    Knob(
        "prefer_int8_udf",
        True,
        "",
        not_built(
            "a function has the bits of the tensor that it reads: give that int16 under `nodes:`",
            harmless=True,
        ),
        examples=(True,),
        missing=(False,),
    ),
    Knob(
        "accuracy_score",
        None,
        "the key of `accept`",
        _score,
        examples=("snr_db", "cosine"),
        beside=("target_accuracy",),
    ),
    Knob(
        "target_accuracy",
        None,
        "mode, accept",
        _target,
        examples=(0.7,),
        beside=("accuracy_score",),
    ),
    Knob(
        "max_optimization_steps",
        None,
        "max_measurements",
        key("quantize.max_measurements"),
        examples=(3,),
    ),
)

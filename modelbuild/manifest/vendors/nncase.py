"""nncase's names: `PTQTensorOptions` of 2.x and, where they differ, of 1.9 (kendryte/nncase,
python/nncase/__init__.py and include/nncase/compiler.h)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from modelbuild.manifest.scalars import AsText, Integer, Switch, read_text
from modelbuild.manifest.strict import Strict
from modelbuild.manifest.tree import Scalar
from modelbuild.manifest.vendors.knob import Json, Knob, Said, Senseless, key, not_built, words

Type = Annotated[Literal["uint8", "int8", "int16"], AsText]


def _scheme(value: object) -> str:
    """A path; nncase's own default, an empty text, is none."""
    empty = isinstance(value, Scalar) and value.quoted and not value.text
    return "none" if empty else read_text(value)


class Names(Strict):
    """What may stand under `quantize:` in nncase's spelling."""

    calibrate_method: (
        Annotated[
            Literal["NoClip", "Kld", "no_clip", "l2", "kld_m0", "kld_m1", "kld_m2", "cdf"],
            AsText,
        ]
        | None
    ) = Field(None, description="nncase's name of `range: {method: minmax}`, `entropy` or `mse`")
    samples_count: Annotated[Integer, Field(ge=1)] | None = Field(
        None, description="nncase's name of `count` under `calibration`"
    )
    finetune_weights_method: (
        Annotated[Literal["NoFineTuneWeights", "UseSquant", "UseAdaRound"], AsText] | None
    ) = Field(None, description="nncase's name of `rounding`")
    quant_type: Type | None = Field(None, description="nncase's name of `activations`")
    output_type: Annotated[Literal["float32", "uint8", "int8"], AsText] | None = Field(
        None, description="nncase's name of `outputs`"
    )
    w_quant_type: Type | None = Field(None, description="nncase's name of `weights`")
    use_mix_quant: Switch | None = Field(None, description="nncase's name of `mode: auto`")
    use_mse_quant_w: Switch | None = Field(None, description="nncase's name of `weights_range: mse`")
    split_w_to_act: Switch | None = Field(None, description="not built yet")
    dump_quant_error: Switch | None = Field(None, description="the record always has it")
    dump_quant_error_symmetric_for_signed: Switch | None = Field(None, description="not built yet")
    quant_scheme: Annotated[str, BeforeValidator(_scheme)] | None = Field(
        None, description="a QuantScheme.json to take ranges from"
    )
    quant_scheme_strict_mode: Switch | None = Field(
        None, description="every tensor's range is the scheme's, or the build stops"
    )
    export_quant_scheme: Switch | None = Field(
        None, description="nncase's name of `export_scheme: by_tensor`"
    )
    export_weight_range_by_channel: Switch | None = Field(
        None, description="nncase's name of `export_scheme: by_channel`"
    )


def _method(name: str) -> Said:
    return Said({"quantize.range.method": name})


_METHODS = {
    "NoClip": _method("minmax"),
    "Kld": _method("entropy"),
    "no_clip": _method("minmax"),
    "l2": _method("mse"),
    "kld_m0": _method("entropy"),
    "kld_m1": _method("entropy"),
    "kld_m2": _method("entropy"),
}
_ROUNDING = {"NoFineTuneWeights": "nearest", "UseSquant": "squant", "UseAdaRound": "adaround"}
_EXPORT = "quantize.export_scheme"
_CDF = not_built("write `range: {method: percentile}`")


def _by_channel(given: Json) -> Said:
    if not given["export_weight_range_by_channel"]:
        return Said()
    if not given.get("export_quant_scheme", True):
        raise Senseless("with `export_quant_scheme: false` no scheme is written", "remove one of the two")
    return Said({_EXPORT: "by_channel"})


KNOBS = (
    Knob(
        "calibrate_method",
        "Kld",
        "range.method",
        lambda value: _CDF(value) if value == "cdf" else words(_METHODS)(value),
        examples=tuple(_METHODS),
        missing=("cdf",),
    ),
    Knob("samples_count", 5, "calibration.count", key("calibration.count"), examples=(4,)),
    Knob(
        "finetune_weights_method",
        "NoFineTuneWeights",
        "rounding",
        key("quantize.rounding", _ROUNDING),
        examples=tuple(_ROUNDING),
    ),
    Knob(
        "quant_type",
        "uint8",
        "activations",
        lambda value: Said({"quantize.activations": [value]}),
        examples=("int8", "int16"),
    ),
    Knob(
        "output_type",
        "float32",
        "outputs",
        key("quantize.outputs"),
        examples=("int8",),
    ),
    Knob(
        "w_quant_type",
        "uint8",
        "weights",
        lambda value: Said({"quantize.weights": [value]}),
        examples=("int8", "int16"),
    ),
    Knob(
        "use_mix_quant",
        False,
        "mode",
        words({True: Said({"quantize.mode": "auto"}), False: Said()}),
        examples=(False, True),
    ),
    Knob(
        "use_mse_quant_w",
        False,
        "weights_range",
        words({True: Said({"quantize.weights_range": "mse"}), False: Said()}),
        examples=(False, True),
    ),
    Knob(
        "split_w_to_act",
        False,
        "",
        not_built("`weights: int16`, or `nodes: {NAME: {weights: int16}}`, has weights of more bits", False),
        examples=(False,),
        missing=(True,),
    ),
    Knob(
        "dump_quant_error",
        False,
        "the record's columns `snr` and `output`",
        lambda value: Said(),
        examples=(False, True),
    ),
    Knob(
        "dump_quant_error_symmetric_for_signed",
        True,
        "",
        not_built("signed tensors have the chip's own scheme"),
        missing=(False, True),
    ),
    Knob("quant_scheme", "", "scheme", key("quantize.scheme"), examples=("QuantScheme.json",)),
    Knob(
        "quant_scheme_strict_mode",
        False,
        "strict",
        key("quantize.strict"),
        examples=(False, True),
    ),
    Knob(
        "export_quant_scheme",
        False,
        "export_scheme",
        words({True: Said({}, {_EXPORT: "by_tensor"}), False: Said()}),
        examples=(False, True),
    ),
    Knob(
        "export_weight_range_by_channel",
        False,
        "export_scheme",
        _by_channel,
        examples=(False, True),
        beside=("export_quant_scheme",),
    ),
)

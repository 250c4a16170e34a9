"""Kneron's names: the arguments of `ktc.ModelConfig.analysis` (kneron/document_center, toolchain v0.33.1,
manual_4_bie.md)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelbuild.manifest.scalars import AsText, Integer, Number, Plain, Switch
from modelbuild.manifest.shares import MostOf
from modelbuild.manifest.strict import Strict
from modelbuild.manifest.vendors.compiling import ALONE, BANDWIDTH, SEARCHES, TILINGS
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

Width = Annotated[Literal["int8", "int16"], AsText]
PERCENTAGE_16B = 0.999999
_MIXES = {"mix light": "mix_light", "mix balance": "mix_balance", "mixbw": "mixbw"}


class Names(Strict):
    """What may stand under `quantize:` in Kneron's spelling."""

    quantize_mode: Annotated[Literal["default", "post_sigmoid"], AsText] | None = Field(
        None, description="Kneron's name of `output_function`"
    )
    datapath_range_method: Annotated[Literal["percentage", "mmse"], AsText] | None = Field(
        None, description="Kneron's name of `range: {method: percentile}` or `mse`"
    )
    # not a Fraction: 99.9 is meant as what is kept, and to write 0.999 would clip as much
    percentile: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        None, description="Kneron's name of `range: {max_clipped}`"
    )
    outlier_factor: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="Kneron's name of `range: {outlier_factor}`"
    )
    percentage: MostOf | None = Field(None, description="Kneron's name of `range: {percentile}`, as a share")
    percentage_16b: MostOf | None = Field(
        None, description="Kneron's name of `range: {percentile_16bit}`, as a share"
    )
    datapath_bitwidth_mode: (
        Annotated[Literal["int8", "int16", "mix light", "mix balance", "mixbw"], AsText] | None
    ) = Field(None, description="Kneron's name of `activations`")
    weight_bitwidth_mode: (
        Annotated[Literal["int8", "int16", "int4", "mix light", "mix balance", "mixbw"], AsText] | None
    ) = Field(None, description="Kneron's name of `weights`")
    model_in_bitwidth_mode: Width | None = Field(None, description="Kneron's name of `inputs`")
    model_out_bitwidth_mode: Width | None = Field(None, description="Kneron's name of `outputs`")
    cpu_node_bitwidth_mode: Width | None = Field(None, description="Kneron's name of `cpu_nodes`")
    const_in_bitwidth_mode: Width | None = Field(None, description="format of constant inputs; not built yet")
    quan_config: dict[str, Plain] | None = Field(
        None, description="Kneron's name of `nodes`: {NODE: {bitwidth: {all: 8 or 15}}}"
    )
    compiler_tiling: Annotated[Literal["default", "deep_search", "partial_graph_search"], AsText] | None = (
        Field(None, description="Kneron's name of `tiling` under `compile`")
    )
    optimize: Annotated[Integer, Field(ge=0, le=4)] | None = Field(
        None, description="Kneron's name of `bias_correction`: 1 parallel, 3 sequential; 2 and 4 with tiling"
    )
    export_dynasty_dump: Switch | None = Field(None, description="not built yet")
    weight_bandwidth: Number | None = Field(None, description="not built yet")
    dma_bandwidth: Number | None = Field(None, description="not built yet")


def percent(share: float) -> float:
    """0.999 -> 99.9, without the noise of binary fractions."""
    return round(share * 100, 9)


def _percentage(value: Json) -> Said:
    """Alone it says the method, too: it is the vendor's default."""
    wider = percent(max(value, PERCENTAGE_16B))
    implied: dict[Path, Json] = {
        "quantize.range.method": "percentile",
        "quantize.range.percentile_16bit": wider,
    }
    return Said({"quantize.range.percentile": percent(value)}, implied)


_SIXTEEN: dict[Path, Json] = {"quantize.range.percentile_16bit": percent(PERCENTAGE_16B)}
_RANGE_METHODS = {
    "percentage": Said(
        {"quantize.range.method": "percentile"}, {"quantize.range.percentile": percent(0.999), **_SIXTEEN}
    ),
    "mmse": Said({"quantize.range.method": "mse"}),
}


def _bits(path: str) -> dict[Json, Said]:
    formats = {name: Said({path: [name]}) for name in ("int4", "int8", "int16")}
    mixed = {name: Said({path: ["mixed"], "quantize.mode": mode}) for name, mode in _MIXES.items()}
    return {**formats, **mixed}


def _quan_config(value: Json) -> Said:
    """Bits of the output of single nodes."""
    formats = {8: "int8", 15: "int16", 16: "int16"}
    nodes: dict[str, Json] = {}
    for name, given in value.items():
        bits = given.get("bitwidth") if isinstance(given, dict) and given.keys() == {"bitwidth"} else None
        if not isinstance(bits, dict) or bits.keys() != {"all"}:
            raise NotBuilt("write {NODE: {bitwidth: {all: 8}}}, or 15 for 16 bits")
        if bits["all"] not in formats:
            what = f"`quan_config`: {bits['all']} of `{name}` is no bitwidth"
            raise Senseless(
                "int8 is 8, int16 is 15 (or 16)", f"write {{{name}: {{bitwidth: {{all: 8}}}}}}", what
            )
        nodes[name] = {"activations": formats[bits["all"]]}
    return Said({"quantize.nodes": nodes})


_DEEP: dict[Path, Json] = {"compile.tiling": "deep"}
_OPTIMIZE = {
    0: Said({"quantize.bias_correction": "none"}),
    1: Said({"quantize.bias_correction": "parallel"}),
    2: Said({"quantize.bias_correction": "parallel", **_DEEP}),
    3: Said({"quantize.bias_correction": "sequential"}),
    4: Said({"quantize.bias_correction": "sequential", **_DEEP}),
}


def analysis_mode(value: Json) -> Said:
    """How much is proven on the compiled model. Words are ours."""
    if isinstance(value, str):
        return Said({"quantize.mode": value})
    if value == 0:
        raise NotBuilt(
            "`modelbuild build MODEL@TARGET --until evaluate` predicts the speed and quantizes nothing"
        )
    return Said({"verify.hardware": ("none", "first", "all")[value - 1]})


_CONSTANTS = "remove it: constants have the format of the tensors beside them, which `nodes:` sets by name"
KNOBS = (
    Knob("threads", 4, "threads", key("quantize.threads"), examples=(1, 4)),
    Knob(
        "quantize_mode",
        "default",
        "output_function",
        key("quantize.output_function", {"default": "none", "post_sigmoid": "sigmoid"}),
        examples=("default", "post_sigmoid"),
    ),
    Knob(
        "datapath_range_method",
        "percentage",
        "range.method",
        words(_RANGE_METHODS),
        examples=("percentage", "mmse"),
    ),
    Knob("percentage", 0.999, "range.percentile", _percentage, examples=(0.999, 1.0)),
    Knob(
        "percentage_16b",
        PERCENTAGE_16B,
        "range.percentile_16bit",
        lambda value: Said(
            {"quantize.range.percentile_16bit": percent(value)},
            {"quantize.range.method": "percentile", "quantize.range.percentile": percent(0.999)},
        ),
        examples=(0.9999,),
    ),
    Knob("percentile", 0.001, "range.max_clipped", key("quantize.range.max_clipped"), examples=(0.01,)),
    Knob(
        "outlier_factor", 1.0, "range.outlier_factor", key("quantize.range.outlier_factor"), examples=(2.0,)
    ),
    Knob(
        "datapath_bitwidth_mode",
        "int8",
        "activations, mode",
        words(_bits("quantize.activations")),
        examples=("int8", "int16", *_MIXES),
    ),
    Knob(
        "weight_bitwidth_mode",
        "int8",
        "weights, mode",
        words(_bits("quantize.weights")),
        examples=("int8", "int16", "int4", *_MIXES),
    ),
    Knob("model_in_bitwidth_mode", "int8", "inputs", key("quantize.inputs"), examples=("int8", "int16")),
    Knob("model_out_bitwidth_mode", "int8", "outputs", key("quantize.outputs"), examples=("int8", "int16")),
    Knob(
        "cpu_node_bitwidth_mode", "int8", "cpu_nodes", key("quantize.cpu_nodes"), examples=("int8", "int16")
    ),
    Knob("const_in_bitwidth_mode", "int16", "", not_built(_CONSTANTS), missing=("int8", "int16")),
    Knob("flops_ratio", 0.2, "flops_ratio", key("quantize.flops_ratio"), examples=(0.2,)),
    Knob("quan_config", None, "nodes", _quan_config, examples=({"c1": {"bitwidth": {"all": 15}}},)),
    Knob(
        "compiler_tiling",
        "default",
        "compile.tiling",
        words(TILINGS),
        examples=SEARCHES,
        note=ALONE,
    ),
    Knob("mode", 1, "verify.hardware", analysis_mode, examples=(1, 2, 3), missing=(0,)),
    Knob("optimize", 0, "bias_correction, compile.tiling", words(_OPTIMIZE), examples=(0, 1, 2, 3, 4)),
    Knob(
        "export_dynasty_dump",
        False,
        "",
        not_built("`modelbuild compare --layers` compares every tensor", harmless=False),
        examples=(False,),
        missing=(True,),
    ),
    Knob("weight_bandwidth", None, "", not_built(BANDWIDTH), missing=(1.0,)),
    Knob("dma_bandwidth", None, "", not_built(BANDWIDTH), missing=(1.0,)),
)

"""Settings: what may stand in `defaults`, targets, models and recipes (docs/models-yaml.md)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from modelbuild.manifest import vendors
from modelbuild.manifest.accept import Accept
from modelbuild.manifest.edits import Edit, Texts, tail_comes_last
from modelbuild.manifest.ignored import Checks
from modelbuild.manifest.quantize_options import NONE, Quantization
from modelbuild.manifest.scalars import (
    AS_MAPPING,
    AS_SCALAR,
    BY_KIND,
    AsText,
    AsTuple,
    Integer,
    NameText,
    Number,
    Plain,
    Switch,
)
from modelbuild.manifest.strict import Strict
from modelbuild.npu.choices import MOST_BATCH, Tiling

MOST_SECONDS = 7 * 24 * 3600  # a week


class Optimize(Strict):
    """Which passes run, of those that may be left out, and how they are watched."""

    skip: Texts | None = Field(None, description="passes not to run")
    only: Texts | None = Field(
        None, description="the only passes to run, beside those that cannot be left out"
    )
    paranoid: Switch | None = Field(None, description="run the guard after each pass, and name the wrong one")


_OF_INPUTS = (
    "preprocess", "mean", "std", "swapRB", "letterbox_value", "input_type", "input_range", "input_shape",
    "input_layout", "output_layout",
)  # fmt: skip


# nncase's CompileOptions and PTQ options that are none of compiling here.
_ELSEWHERE = {
    "output_type": "write `quantize: {outputs: …}`",
    "quant_type": "write it under `quantize:`",
    "w_quant_type": "write it under `quantize:`",
    "target": "remove it: a target says `chip:`",
    "dump_asm": "remove it: `modelbuild build --dump DIR` leaves the program as text",
    "dump_ir": "remove it: `modelbuild build --dump DIR` leaves what each stage made",
    "is_fpga": "remove it: programs are for the chip itself",
    "benchmark_only": "remove it: `modelbuild evaluate` tells the speed without samples",
}


class Compile(vendors.CompileNames):
    """What the compiler is told."""

    @classmethod
    def advice_of_key(cls, key: str) -> str:
        """nncase's CompileOptions have an input's preprocessing, too, and the format of outputs."""
        if key in _ELSEWHERE:
            return _ELSEWHERE[key]
        ours = "in_model: true" if key == "preprocess" else f"in_model: true, {key}: …"
        return f"write `preprocess: {{{ours}}}` at the input" if key in _OF_INPUTS else ""

    other_words: ClassVar[frozenset[str]] = frozenset(vendors.CompileNames.model_fields)
    tiling: Annotated[Tiling, AsText] | None = Field(
        None, description="how maps are cut to on-chip memory; deep searches tilings and fusions"
    )
    dedicated_output_buffer: Switch | None = Field(
        None, description="no output of the model shares memory with working buffers"
    )
    weight_compress: Switch | None = Field(None, description="weights are stored compressed, without loss")
    flatbuffer: Switch | None = Field(
        None, description="the form of a NEF's setup, on chips whose vendor has two"
    )
    batch: Annotated[Integer, Field(ge=1, le=MOST_BATCH)] | None = Field(
        None, description="pictures a run; the model's own dimension 0 if left out"
    )
    sram_bytes: Annotated[Integer, Field(ge=1)] | None = Field(
        None, description="on-chip memory that programs may use, in place of the chip's own"
    )


class SampleChoice(Strict):
    """A sample set, or evenly spaced samples of it."""

    set: NameText | None = Field(None, description="name of a sample set")
    count: Annotated[Integer, Field(ge=1)] | None = Field(
        None, description="how many samples, evenly spaced over the sorted set; all of them if left out"
    )


Choice = Annotated[Annotated[NameText, AS_SCALAR] | Annotated[SampleChoice, AS_MAPPING], BY_KIND]


class Verify(Strict):
    """What is proven on the packaged bytes, and how long what measures may take."""

    hardware: Annotated[Literal["none", "first", "all"], AsText] | None = Field(
        None, description="on how many evaluation samples the simulator runs the packaged bytes"
    )
    timeout_seconds: Annotated[Number, Field(gt=0, le=MOST_SECONDS)] | None = Field(
        None, description="how long a call of a function of yours may take"
    )


class Settings(Strict):
    """Settings: the nearest to the model wins."""

    edit: Annotated[tuple[Edit, ...], AsTuple, AfterValidator(tail_comes_last)] | None = Field(
        None, description="changes of the graph, in order"
    )
    optimize: Optimize | None = Field(None, description="which passes run")
    quantize: Quantization | None = Field(
        None, description="number formats and ranges; or `none`: the model stays in float"
    )
    compile: Compile | None = Field(None, description="what the compiler is told")
    accept: Accept | None = Field(None, description="bounds that decide whether a package is shipped")
    toolchain_options: dict[str, Plain] | None = Field(None, description="options of the vendor's toolchain")
    calibration: Choice | None = Field(None, description="samples that ranges are observed on")
    evaluation: Choice | None = Field(None, description="samples that accuracy is measured on")
    verify: Verify | None = Field(None, description="what is proven on the packaged bytes")
    checks: Checks | None = Field(None, description="what `modelbuild check` is told")


SETTINGS = tuple(Settings.model_fields)


def written(settings: Settings) -> dict[str, Any]:
    """The settings as written, in JSON types. What was not written is absent, and so is a key with nothing
    after it, save where nothing has a meaning: a bound, `calibration` or `evaluation` that is taken away.
    `faces` is written out as {set: faces, count: None}: as a scalar it replaces all that it stands for."""
    dumped: dict[str, Any] = settings.model_dump(mode="json", include=set(SETTINGS), exclude_unset=True)
    if dumped.get("quantize") == NONE:
        dumped["quantize"] = {"mode": NONE}
    for key in _CHOICES:
        if isinstance(dumped.get(key), str):
            dumped[key] = {"count": None, "set": dumped[key]}
    kept = {key: value if key in _NULLABLE else _without_nulls(value) for key, value in dumped.items()}
    return {key: value for key, value in kept.items() if value is not None or key in _CHOICES}


_CHOICES = ("calibration", "evaluation")
_NULLABLE = (*_CHOICES, "accept", "toolchain_options")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value

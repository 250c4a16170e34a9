"""Vendors' names of options of compiling: the arguments of `ktc.compile` (kneron/document_center, toolchain
v0.33.1, manual_5_nef.md, and of editions before) and of SiMa's `Model.compile`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from modelbuild.manifest.scalars import AsText, Integer, Number, Switch, read_switch, wrong
from modelbuild.manifest.strict import Strict
from modelbuild.manifest.tree import Scalar
from modelbuild.manifest.vendors.knob import Json, Knob, Said, key, not_built, words
from modelbuild.npu.choices import MOST_BATCH

SEARCHES = ("default", "deep_search", "partial_graph_search")
_CUTS = ("default", "deep_search")


def _read_cut(value: object) -> bool | str:
    """`fm_cut` was a flag in some editions, a word in others."""
    if isinstance(value, Scalar) and value.text in _CUTS:
        return value.text
    try:
        return read_switch(value)
    except PydanticCustomError:
        raise wrong(f"true, false or {' or '.join(_CUTS)}", value) from None


Cut = Annotated[bool | Literal["default", "deep_search"], BeforeValidator(_read_cut)]


class Names(Strict):
    """What may stand under `compile:` in a vendor's spelling."""

    compiler_tiling: Annotated[Literal["default", "deep_search", "partial_graph_search"], AsText] | None = (
        Field(None, description="Kneron's name of `tiling`")
    )
    fm_cut: Cut | None = Field(None, description="Kneron's name of `tiling`, before toolchain 0.24")
    hardware_cut_opt: Switch | None = Field(None, description="Kneron's name of `tiling: deep`")
    weight_bandwidth: Number | None = Field(None, description="not built yet")
    dma_bandwidth: Number | None = Field(None, description="not built yet")
    compress: Switch | None = Field(None, description="SiMa's name of `weight_compress`")
    batch_size: Annotated[Integer, Field(ge=1, le=MOST_BATCH)] | None = Field(
        None, description="SiMa's name of `batch`"
    )


def tiling(deep: Json) -> Said:
    """Kneron's search for the best cut, or none."""
    return Said({"compile.tiling": "deep" if deep else "default"})


TILINGS: dict[Json, Said] = {name: tiling(name != "default") for name in SEARCHES}
BANDWIDTH = "write a recipe of your own that extends the chip's, with its `hardware`"
ALONE = "Kneron's own compiler has the default alone on a KL520"
KNERON = (
    Knob(
        "compiler_tiling",
        "default",
        "tiling",
        words(TILINGS),
        examples=SEARCHES,
        note=ALONE,
    ),
    Knob(
        "fm_cut",
        "default",
        "tiling",
        words({**TILINGS, True: tiling(True), False: tiling(False)}),
        examples=("default", "deep_search", True, False),
        note=ALONE,
    ),
    Knob(
        "hardware_cut_opt",
        False,
        "tiling",
        words({True: tiling(True), False: tiling(False)}),
        examples=(True, False),
        note=ALONE,
    ),
    Knob("weight_bandwidth", None, "", not_built(BANDWIDTH), missing=(1.0,)),
    Knob("dma_bandwidth", None, "", not_built(BANDWIDTH), missing=(1.0,)),
)
SIMA = (
    Knob("compress", True, "weight_compress", key("compile.weight_compress"), examples=(True, False)),
    Knob("batch_size", 1, "batch", key("compile.batch"), examples=(1, 16)),
)

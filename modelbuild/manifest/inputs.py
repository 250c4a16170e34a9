"""A model's inputs as they stand in models.yaml: shape, layout and preprocessing."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from modelbuild.manifest.scalars import AsText, AsTuple, Integer, Number, Numbers, Switch
from modelbuild.manifest.strict import Strict, refuse
from modelbuild.samples.preprocess import from_settings, host_part, to_json

Layout = Annotated[Literal["NCHW", "NHWC"], AsText]
_OF_NNCASE = {
    "preprocess": "write `in_model: true`",
    "model_layout": "write `layout`, that of the model's input",
    "output_type": "remove it: outputs hold float32",
    "output_range": "remove it: outputs hold float32",
    "quant_type": "write it under `quantize:`",
}


class Preprocess(Strict):
    """Picture to tensor: y = (x * scale - mean) / std a channel, after resizing."""

    preset: Annotated[Literal["imagenet", "unit", "kneron"], AsText] | None = Field(
        None, description="scale, mean and std of a known family; keys beside it win"
    )
    resize: Annotated[Literal["stretch", "letterbox", "crop"], AsText] | None = Field(
        None, description="how a picture of another size becomes the input's size"
    )
    fill: Numbers | None = Field(
        None, description="border value of letterbox, 0..255: a number or one a channel"
    )
    filter: Annotated[Literal["bilinear", "nearest", "bicubic", "area"], AsText] | None = Field(
        None, description="how pixels are interpolated"
    )
    colour: Annotated[Literal["rgb", "bgr", "gray"], AsText] | None = Field(None, description="channel order")
    color: Annotated[Literal["rgb", "bgr", "gray"], AsText] | None = Field(
        None, description="another spelling of colour"
    )
    scale: Numbers | None = Field(None, description="factor on 0..255: a number or one a channel")
    mean: Numbers | None = Field(None, description="subtracted after scaling: a number or one a channel")
    std: Numbers | None = Field(
        None, description="divides after the mean is subtracted: a number or one a channel"
    )
    layout: Layout | None = Field(None, description="the same as `layout` of the input")
    in_model: Switch | None = Field(
        None, description="true: the model takes raw pictures and preprocesses by itself"
    )
    input_type: Annotated[Literal["uint8", "float32"], AsText] | None = Field(
        None, description="with in_model: what the raw picture holds (uint8)"
    )
    input_range: Annotated[tuple[Number, ...], AsTuple] | None = Field(
        None, description="with in_model: what 0 and 255 become before mean and std; instead of scale"
    )
    input_layout: Layout | None = Field(
        None, description="with in_model: order of the raw picture's dimensions (the model's own)"
    )
    input_colour: Annotated[Literal["rgb", "bgr"], AsText] | None = Field(
        None, description="with in_model: channel order of the raw picture (rgb)"
    )
    input_shape: Annotated[tuple[Annotated[Integer, Field(ge=1)], ...], AsTuple] | None = Field(
        None, description="with in_model: shape of the raw picture, where `resize` is done in the model"
    )
    output_layout: Layout | None = Field(
        None, description="with in_model: order of the dimensions of the model's outputs"
    )
    swapRB: Switch | None = Field(
        None, description="nncase's name, with in_model: whether the model exchanges red and blue"
    )
    letterbox_value: Number | None = Field(
        None, description="nncase's name of `fill`, in units of input_range"
    )

    @classmethod
    def advice_of_key(cls, key: str) -> str:
        """Of the rest of nncase's CompileOptions that speak of inputs."""
        return _OF_NNCASE.get(key, "")

    @model_validator(mode="after")
    def _one_spelling(self) -> Self:
        if self.colour is not None and self.color is not None:
            raise refuse("`colour` and `color` are the same key", "keep one of the two")
        return self


class Input(Strict):
    """One input of the model."""

    shape: Annotated[tuple[Annotated[Integer, Field(ge=1)], ...], AsTuple, Field(min_length=1)] | None = (
        Field(None, description="fixes a dynamic shape")
    )
    preprocess: Preprocess | None = Field(None, description="how pictures become this input")
    layout: Layout | None = Field(None, description="order of the input tensor's dimensions")

    @model_validator(mode="after")
    def _one_layout(self) -> Self:
        inner = self.preprocess.layout if self.preprocess else None
        if inner is not None and self.layout is not None and inner != self.layout:
            raise refuse(
                f"`layout: {self.layout}` here and `layout: {inner}` under preprocess", "keep one of the two"
            )
        return self

    def settings(self) -> dict[str, Any]:
        """The preprocessing in full, as `samples.preprocess.to_json` has it, however it was written."""
        return _in_full(tuple(sorted(self.written().items())))

    def host_settings(self) -> dict[str, Any]:
        """As `settings`, of what is done before the model: with `in_model`, the raw picture."""
        return to_json(host_part(from_settings(self.settings())))

    def written(self) -> dict[str, Any]:
        """What was written, as `samples.preprocess.from_settings` takes it."""
        chosen: dict[str, Any] = self.preprocess.model_dump(exclude_none=True) if self.preprocess else {}
        if "color" in chosen:
            chosen["colour"] = chosen.pop("color")
        if self.layout is not None:
            chosen["layout"] = self.layout
        return chosen


@lru_cache(maxsize=256)  # most inputs of a large manifest are declared alike
def _in_full(written: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return to_json(from_settings(dict(written)))

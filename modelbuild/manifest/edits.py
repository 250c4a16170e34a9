"""Edits of the graph as they stand in the manifest: one class a kind (docs/models-yaml.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from modelbuild.manifest.scalars import AsOneOrMany, AsText, AsTuple, Integer, Numbers, Plain, Text
from modelbuild.manifest.strict import Strict, refuse

Texts = Annotated[tuple[Text, ...], AsTuple]
Sizes = Annotated[tuple[Annotated[Integer, Field(ge=1)], ...], AsTuple, Field(min_length=1)]
Layout = Annotated[Literal["NCHW", "NHWC"], AsText]


class Cut(Strict):
    """Where the graph begins and ends: names of tensors or nodes."""

    inputs: Texts = Field((), description="tensors (or nodes) that become the model's inputs")
    outputs: Texts = Field((), description="tensors (or nodes) that become the model's outputs")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.inputs and not self.outputs:
            raise refuse("`cut` without `inputs` and `outputs`", "name the tensors to cut at")
        return self


class Remove(Strict):
    """Nodes to take out; what they read goes on to who read them."""

    nodes: Annotated[tuple[Text, ...], AsOneOrMany] | None = Field(None, description="names of nodes")
    types: Annotated[tuple[Text, ...], AsOneOrMany] | None = Field(
        None, description="operators: every node of that type"
    )

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.nodes and not self.types:
            raise refuse("`remove` without `nodes` and `types`", "write `remove: {nodes: [name]}`")
        return self


class Normalize(Strict):
    """x * scale + bias behind an input."""

    input: Text | None = Field(
        None, description="name of the input; may be left out where it is the only one"
    )
    scale: Numbers | None = Field(None, description="factor: a number or one a channel")
    bias: Numbers | None = Field(None, description="added after scaling: a number or one a channel")
    axis: Annotated[Integer, Field(ge=0)] | None = Field(None, description="which dimension has the channels")

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if self.scale is None and self.bias is None:
            raise refuse("`normalize` without `scale` and `bias`", "write `normalize: {scale: 0.0078125}`")
        return self


class SwapChannels(Strict):
    """The channels of an input in another order."""

    input: Text | None = Field(
        None, description="name of the input; may be left out where it is the only one"
    )
    order: Annotated[tuple[Annotated[Integer, Field(ge=0)], ...], AsTuple, Field(min_length=1)] | None = (
        Field(
            None,
            description="which channel of the new input each channel of the model's is; reversed if left out",
        )
    )


class Insert(Strict):
    """An operator behind a tensor."""

    at: Text = Field(description="the tensor (or node: its first output) that it reads")
    op: Text = Field(
        description="Conv, BatchNormalization, Relu, Softmax ...: docs/models-yaml.md lists them"
    )
    name: Text | None = Field(None, description="name of the new node")
    weights: Text | None = Field(
        None, description="path of an .npz of its constants, or an .npy of the first"
    )
    constants: dict[str, Plain] | None = Field(None, description="its constants, written out")
    attributes: dict[str, Plain] | None = Field(None, description="its attributes")


class Edit(Strict):
    """One change of the graph: exactly one of the keys."""

    cut: Cut | None = Field(None, description="keep what lies between these inputs and outputs")
    rename: dict[str, Text] | None = Field(None, description="old name: new name, of tensors and nodes")
    remove: Remove | None = Field(None, description="take nodes out; what they read passes through")
    shape: dict[str, Sizes] | None = Field(None, description="name: shape, of inputs and outputs")
    normalize: Normalize | None = Field(None, description="x * scale + bias behind an input")
    swap_channels: SwapChannels | None = Field(None, description="RGB for BGR at an input")
    layout: dict[str, Layout] | None = Field(None, description="name: layout, of inputs and outputs")
    insert: Insert | None = Field(None, description="an operator behind a tensor")
    tail: Annotated[Literal["auto"], AsText] | None = Field(
        None, description="auto: what the chip's NPU does not run, and all that follows, runs after the chip"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise refuse(
                f"an edit has exactly one of the keys {', '.join(KINDS)}", "make each edit an item of its own"
            )
        for name in ("rename", "shape", "layout"):
            if getattr(self, name) == {}:
                raise refuse(f"`{name}` names nothing", f"write `{name}: {{NAME: ...}}`")
        return self


KINDS = tuple(Edit.model_fields)
TAIL = {"tail": "auto"}


def tail_comes_last(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Refuses `tail: auto` in front of other edits: it acts on what all of them leave."""
    if any(edit.tail is not None for edit in edits[:-1]):
        raise refuse(
            "`tail: auto` is not the last edit",
            "it acts on what the other edits and the optimizer leave: write it once, at the end",
        )
    return edits


def files(edits: Sequence[Mapping[str, Any]]) -> list[str]:
    """The files that edits in their canonical form name."""
    named = (edit.get("insert", {}).get("weights") for edit in edits)
    return [str(path) for path in named if path is not None]


def canonical(edit: Mapping[str, Any]) -> dict[str, Any]:
    """One edit, as written, in its one form: what was left out is left out, what is given is in full."""
    (kind, settings), *_ = edit.items()
    return {kind: _CANONICAL.get(kind, _sorted)(settings)}


def _sorted(settings: Any) -> Any:
    return dict(sorted(settings.items())) if isinstance(settings, Mapping) else settings


def _cut(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(settings.get(key) or ()) for key in ("inputs", "outputs")}


_CANONICAL: Mapping[str, Callable[[Any], Any]] = {"cut": _cut}

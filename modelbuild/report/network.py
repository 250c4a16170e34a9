"""The network of one model, as `report.json` holds it: its file, its borders, what was done to it."""

from __future__ import annotations

from typing import Any

from modelbuild.report.item import Item


class Source(Item):
    """The file that the model came in."""

    format: str = ""
    producer: str = ""
    opset: int | None = None
    ir_version: int | None = None
    nodes: int | None = None


class Port(Item):
    """An input or output. `preprocess` is the declaration in full; `ranges` is what results from pictures of
    0..255: (low, high), one pair or one a channel. With `in_model`, the declaration of what the model itself
    does, `preprocess` is what is left for who feeds it, and `ranges` is behind what the model does."""

    name: str
    dtype: str = ""
    shape: tuple[int, ...] = ()
    scale: float | None = None
    zero_point: int | None = None
    preprocess: dict[str, Any] | None = None
    in_model: dict[str, Any] | None = None
    ranges: tuple[tuple[float, float], ...] = ()


class Pass(Item):
    """One pass over the graph and what it did."""

    name: str
    nodes_before: int
    nodes_after: int
    changes: int


class OutputError(Item):
    """Largest error of an output, relative to its range."""

    name: str
    error: float


class Difference(Item):
    """A rewritten graph held against the one before it."""

    outputs: tuple[OutputError, ...] = ()
    bound: float | None = None


class Finding(Item):
    """What `check` has to say about a node."""

    code: str
    severity: str
    message: str
    advice: str = ""
    node: str = ""


class Removed(Item):
    """A node that `tail: auto` cut off; `reason` is why the NPU does not run it, empty where it follows one
    that the NPU does not run."""

    name: str
    op: str = ""
    origin: tuple[str, ...] = ()
    reason: str = ""

"""Appends ONNX nodes for a source whose tensors end with their channels; Transposes where needed only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Attribute, Graph, Shape
from modelbuild.importers.appending import Appender

Order = tuple[int, ...]  # order[i] is the source's axis that is stored as axis i
BORDER_RANKS = (4, 5)  # inputs and outputs of these ranks become channels-first
_LAYOUTS = {3: "NWC", 4: "NHWC", 5: "NDHWC"}


def channels_first(rank: int) -> Order:
    """The order in which ONNX's spatial operators want a channels-last tensor of `rank` (NHWC -> NCHW)."""
    return (0, rank - 1, *range(1, rank - 1)) if rank >= 3 else tuple(range(rank))


def source_order(rank: int) -> Order:
    """The axes as the source has them."""
    return tuple(range(rank))


class Writer(Appender):
    """A graph under construction. To the caller, tensors have the source's names, shapes and axes.

    Inside, each is stored in some order of its axes: after a spatial operator channels-first. Operators that
    take any order keep that of their inputs; a Transpose is written where an operator needs another one.
    `channels_last_operators` has what is built on `emit`.
    """

    def __init__(self, name: str, tensors: Iterable[str] = (), layers: Iterable[str] = ()) -> None:
        super().__init__(name, tensors, layers)
        self._stored: dict[str, dict[Order, str]] = {}  # source tensor -> its forms, the original first
        self._constants: dict[str, Array] = {}
        self._made = set[str]()
        self.widened: dict[str, str] = {}  # tensor between nodes -> the source tensor that it holds, wider

    # ---- what there is

    def input(self, name: str, shape: Shape, dtype: Any = np.float32, keep_order: bool = False) -> None:
        """A model input of the source's `shape`. Ranks 4 and 5 become channels-first, unless `keep_order`."""
        order = _border_order(len(shape), keep_order)
        self.graph.inputs.append(self._claim(name))
        self.graph.shapes[name] = tuple(int(shape[axis]) for axis in order)
        self.graph.dtypes[name] = np.dtype(dtype)
        self._stored[name] = {order: name}

    def constant(self, name: str, value: Array) -> None:
        """A constant of the source; it enters the graph when, and in the order that, an operator reads it."""
        self._claim(name)
        self._constants[name] = value
        self._stored[name] = {}

    def is_constant(self, name: str) -> bool:
        """Whether `name` is a constant of the source, not made by nodes."""
        return name in self._constants

    def has(self, name: str) -> bool:
        """Whether the source tensor `name` has been written."""
        return name in self._stored

    def shape(self, name: str) -> Shape:
        """The shape of a source tensor, in the source's axes."""
        if name in self._constants:
            return tuple(self._constants[name].shape)
        order, tensor = self._first(name)
        found = dict(zip(order, self.graph.shapes[tensor], strict=True))
        return tuple(found[axis] for axis in range(len(order)))

    def dtype(self, name: str) -> np.dtype[Any]:
        """The element type of a source tensor."""
        if name in self._constants:
            return self._constants[name].dtype
        return self.graph.dtypes[self._first(name)[1]]

    def value(self, name: str) -> Array | None:
        """The value of a source tensor, in the source's axes, where it is the same for all inputs."""
        if name in self._constants:
            return self._constants[name]
        order, tensor = self._first(name)
        known = self._known.get(tensor)
        return None if known is None else np.transpose(known, np.argsort(order))

    def order(self, name: str) -> Order:
        """The order in which `name` is stored; the source's own for a constant."""
        if name in self._constants:
            return source_order(self._constants[name].ndim)
        return self._first(name)[0]

    def forms(self, name: str) -> Mapping[Order, str]:
        """The graph's tensors that hold the source tensor `name`, by their order; that of a constant which
        was widened to broadcast has more axes."""
        return self._stored.get(name, {})

    # ---- writing

    def ordered(self, name: str, order: Order | None = None) -> str:
        """The graph's tensor that holds the source tensor `name` in `order` (None: the source's own)."""
        if order is None:
            order = source_order(len(self.shape(name)))
        forms = self._stored[name]
        if order in forms:
            return forms[order]
        if len(order) != len(self.shape(name)):
            raise ModelbuildError(
                f"the layer `{self._layer}` takes `{name}` for a tensor of {len(order)} axes",
                why=f"it has the shape {list(self.shape(name))}",
            )
        if name in self._constants:
            value = np.transpose(self._constants[name], order)
            own = name not in forms.values() and order == source_order(len(order))
            forms[order] = self._place(name if own else self.scratch(f"{name}_{_suffix(order)}"), value)
        else:
            stored, tensor = self._first(name)
            target = self.scratch(f"{name}_{_suffix(order)}")
            perm = [stored.index(axis) for axis in order]
            self._append("Transpose", [tensor], [target], {"perm": perm})
            forms[order] = target
        return forms[order]

    def emit(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Mapping[str, Order | None],
        attributes: Mapping[str, Attribute] | None = None,
    ) -> None:
        """Appends a node. `inputs` are the graph's tensors ("" is absent), of `ordered` and `parameter`;
        `outputs` new source tensors or `scratch` names with the order they come in (None: the source's)."""
        for output in outputs:
            self._claim(output)
        self._append(op, inputs, list(outputs), attributes or {})
        for output, order in outputs.items():
            rank = len(self.graph.shapes[output])
            if order is not None and len(order) != rank:
                raise ModelbuildError(f"{op} `{self._layer}` gives {rank} axes where {len(order)} belong")
            self._stored[output] = {order or source_order(rank): output}

    def common_order(self, names: Sequence[str]) -> Order:
        """The order that costs least for an operator that wants `names` in one: that of the largest tensor
        among those of the highest rank; constants follow."""
        rank = max(len(self.shape(name)) for name in names)
        full = [n for n in names if n not in self._constants and len(self.shape(n)) == rank]
        orders = [self.order(name) for name in sorted(full, key=lambda n: -int(np.prod(self.shape(n))))]
        return orders[0] if orders else source_order(rank)

    def aligned(self, name: str, order: Order) -> str:
        """The graph's tensor for `name` that broadcasts as the source's does to tensors in `order`, whose
        rank may be higher."""
        shape = self.shape(name)
        missing = len(order) - len(shape)
        if missing <= 0 or not shape:
            return self.ordered(name, order if shape else ())
        wide = (*[1] * missing, *shape)
        if name in self._constants:
            forms = self._stored[name]
            if order not in forms:
                value = self._constants[name].reshape(wide).transpose(order)
                forms[order] = self.parameter(f"{name}_{_suffix(order)}", value)
            return forms[order]
        if order == source_order(len(order)):
            return self.ordered(name)
        target = self.integers(f"{self._layer}_shape", wide)
        widened = self.scratch(f"{name}_wide")
        self.widened[widened] = name
        self.emit("Reshape", [self.ordered(name), target], {widened: None})
        return self.ordered(widened, order)

    # ---- the end

    def finish(self, outputs: Sequence[str], keep_order: Collection[str] = ()) -> Graph:
        """The graph with `outputs`, of rank 4 and 5 channels-first unless they are in `keep_order`."""
        for name in dict.fromkeys(outputs):
            if name not in self._stored:
                raise ModelbuildError(f"nothing makes the model's output `{name}`")
            if name in self.graph.inputs:
                raise ModelbuildError(
                    f"the output `{name}` is an input of the model", advice="cut the model at another tensor"
                )
            self.begin(name)
            self._name_output(name, _border_order(len(self.shape(name)), name in keep_order))
            self.graph.outputs.append(name)
        used = {name for node in self.graph.nodes for name in node.inputs}
        self.graph.constants = {n: value for n, value in self.graph.constants.items() if n in used}
        return self.graph

    def layouts(self, graph: Graph, edits: Sequence[Mapping[str, Any]] = ()) -> dict[str, str]:
        """Of the inputs and outputs of `graph` (this one after `edits`) that are channels-first but not in
        the source: the source's layout, such as NHWC."""
        orders = {tensor: order for forms in self._stored.values() for order, tensor in forms.items()}
        channels = {name: shape[1] for name, shape in self.graph.shapes.items() if len(shape) > 1}
        made = {node.name: node.outputs[0] for node in self.graph.nodes}
        for edit in edits:
            names = edit.get("rename", {})  # all at once
            orders = {names.get(name, name): order for name, order in orders.items()}
            channels = {names.get(name, name): count for name, count in channels.items()}
            made = {layer: names.get(name, name) for layer, name in made.items()}
            if edit.get("insert", {}).get("op") == "Transpose":
                at = edit["insert"]["at"]
                at = at if at in orders else made.get(at, at)
                if at not in graph.inputs:  # an input keeps its name before the Transpose
                    orders.pop(at, None)
            for name, shape in edit.get("shape", {}).items():
                if name in orders and (len(shape) != len(orders[name]) or shape[1] != channels.get(name)):
                    del orders[name]  # a Reshape, whose axes are the user's own
            for name, layout in edit.get("layout", {}).items():
                rank = len(orders.get(name, ()))
                orders[name] = channels_first(rank) if layout == "NCHW" else source_order(rank)
        found = {name: orders.get(name, ()) for name in (*graph.inputs, *graph.outputs)}
        moved = {name: o for name, o in found.items() if o and o == channels_first(len(o)) and len(o) > 2}
        return {name: _LAYOUTS.get(len(order), f"rank {len(order)}") for name, order in moved.items()}

    def _first(self, name: str) -> tuple[Order, str]:
        return next(iter(self._stored[name].items()))

    def _name_output(self, name: str, order: Order) -> None:
        holder = self.ordered(name, order)
        if name in self._constants:
            if holder == name:
                self._rename(name, self.scratch(f"{name}_constant"))
            self._append("Identity", [self._stored[name].pop(order)], [name], {})
            self._stored[name][order] = name
        elif holder != name:
            self._rename(name, self.scratch(f"{name}_{_suffix(self._first(name)[0])}"))
            self._rename(holder, name)

    def _rename(self, old: str, new: str) -> None:
        super()._rename(old, new)
        for forms in self._stored.values():
            for order, tensor in forms.items():
                if tensor == old:
                    forms[order] = new

    def _claim(self, name: str) -> str:
        if not name or name in self._made or name in self.graph.shapes:
            raise ModelbuildError(f"the tensor `{name}` is made twice" if name else "a tensor has no name")
        self._made.add(name)
        self._tensors.add(name)
        return name


def _border_order(rank: int, keep: bool) -> Order:
    return channels_first(rank) if rank in BORDER_RANKS and not keep else source_order(rank)


def _suffix(order: Order) -> str:
    names = {source_order(len(order)): "channels_last", channels_first(len(order)): "channels_first"}
    return names.get(order, "transposed")

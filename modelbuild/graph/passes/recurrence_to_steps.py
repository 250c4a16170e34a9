"""LSTM, GRU and RNN -> a Gemm of all inputs, and for each step a Gemm of the state with functions behind it.

Why: a chip without recurrences has all of this.
Legal: it is ONNX's own definition. Weights are constants, all sequences are as long as the tensor is, nothing
is clipped, the activations are known without numbers of their own, and there are at most 256 steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from modelbuild.graph.model import Array, Attribute, Graph, Node, Shape
from modelbuild.graph.passes.matching import is_read
from modelbuild.graph.passes.standardize import made
from modelbuild.graph.rewrite import Editor

MOST_STEPS = 256
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_FUNCTIONS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_KNOWN = ("Relu", "Sigmoid", "Softplus", "Softsign", "Tanh")
_FORM: Mapping[str, Attribute] = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}


def run(graph: Graph) -> int:
    """Number of nodes replaced."""
    editor = Editor(graph)
    for node in editor.nodes(*_GATES):
        form = _form(editor, node)
        if form is not None:
            _unroll(editor, node, form)
            editor.changes += 1
    return editor.close()


@dataclass(frozen=True)
class _Form:
    """Of a node: steps, batch, inputs and hidden values; the weights of each direction."""

    steps: int
    batch: int
    hidden: int
    reverse: tuple[bool, ...]
    functions: tuple[tuple[str, ...], ...]
    w: Array  # [directions, gates * hidden, inputs]
    r: Array  # [directions, gates * hidden, hidden]
    b: Array  # [directions, 2 * gates * hidden]


def _input(node: Node, index: int) -> str:
    return node.inputs[index] if index < len(node.inputs) else ""


def _form(editor: Editor, node: Node) -> _Form | None:
    w, r, b = (editor.constant(node, index) for index in (1, 2, 3))
    shape, lengths = editor.shape(node.inputs[0]), editor.constant(node, 4)
    steps, batch = (shape[1], shape[0]) if node.int("layout", 0) else shape[:2]
    if w is None or r is None or (b is None and _input(node, 3)) or steps * len(w) > MOST_STEPS:
        return None
    if _input(node, 4) and (lengths is None or (lengths != steps).any()):
        return None
    direction = str(node.attributes.get("direction", "forward"))
    named = node.attributes.get("activations", [])
    given = [str(name) for name in named] if isinstance(named, list) else []
    known = {name.lower(): name for name in _KNOWN}
    count = len(_FUNCTIONS[node.op])
    functions = [known.get(name.lower(), "") for name in given] or [*_FUNCTIONS[node.op]] * len(w)
    odd = "clip" in node.attributes or node.int("input_forget", 0) or _input(node, 7)
    if odd or not all(functions) or len(functions) != count * len(w) or w.dtype != np.float32:
        return None
    gates, hidden = _GATES[node.op], r.shape[2]
    return _Form(
        steps,
        batch,
        hidden,
        {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[direction],
        tuple(tuple(functions[start : start + count]) for start in range(0, len(functions), count)),
        w,
        r,
        np.zeros((len(w), 2 * gates * hidden), np.float32) if b is None else b,
    )


@dataclass
class _Cell:
    """One direction of a node while its steps are written."""

    editor: Editor
    node: Node
    form: _Form
    number: int
    gates: int
    h: str
    c: str

    @property
    def functions(self) -> tuple[str, ...]:
        """The activations."""
        return self.form.functions[self.number]

    def make(self, op: str, inputs: Sequence[str], attributes: Mapping[str, Attribute] | None = None) -> str:
        """A node whose output is as large as its inputs are together."""
        shape = np.broadcast_shapes(*(self.editor.shape(name) for name in inputs))
        return made(self.editor, self.node, op, list(inputs), shape, dict(attributes or {}))

    def gemm(self, source: str, weights: Array, bias: Array | None) -> str:
        """Rows of `source` times weights [outputs, inputs]."""
        inputs = [source, self.editor.add_constant(f"{self.node.name}_weights", weights)]
        if bias is not None:
            inputs.append(self.editor.add_constant(f"{self.node.name}_bias", bias))
        shape = (self.editor.shape(source)[0], len(weights))
        return made(self.editor, self.node, "Gemm", inputs, shape, dict(_FORM))

    def part(self, source: str, axis: int, start: int, count: int) -> str:
        """Rows or columns of a matrix."""
        shape = list(self.editor.shape(source))
        if count == shape[axis]:
            return source
        shape[axis] = count
        numbers = (start, start + count, axis, 1)
        return made(
            self.editor, self.node, "Slice", [source, *_longs(self.editor, self.node, numbers)], tuple(shape)
        )

    def own(self, weights: Array, gates: slice) -> Array:
        """The rows of some gates."""
        size = self.form.hidden
        return np.ascontiguousarray(weights[gates.start * size : gates.stop * size])

    def state(self, gates: slice, source: str, bias: Array | None = None) -> str:
        """The state times the weights of some gates."""
        return self.gemm(source, self.own(self.form.r[self.number], gates), bias)

    def gate(self, sums: str, place: int) -> str:
        """The columns of one gate."""
        return self.part(sums, 1, place * self.form.hidden, self.form.hidden)

    def added(self, sums: str, more: str) -> str:
        """Their sum; of no state nothing is added."""
        return self.make("Add", [sums, more]) if more else sums


def _lstm(cell: _Cell, sums: str) -> None:
    """i, o, f, c in this order."""
    all_gates = slice(0, 4)
    total = cell.added(sums, cell.state(all_gates, cell.h) if cell.h else "")
    inward, out, forget = (cell.make(cell.functions[0], [cell.gate(total, place)]) for place in range(3))
    fresh = cell.make(cell.functions[1], [cell.gate(total, 3)])
    new = cell.make("Mul", [inward, fresh])
    cell.c = cell.make("Add", [cell.make("Mul", [forget, cell.c]), new]) if cell.c else new
    cell.h = cell.make("Mul", [out, cell.make(cell.functions[2], [cell.c])])


def _gru(cell: _Cell, sums: str) -> None:
    """z, r, h in this order."""
    first, second = slice(0, 2), slice(2, 3)
    size, linear = cell.form.hidden, cell.node.int("linear_before_reset", 0)
    gates = cell.part(sums, 1, 0, 2 * size)
    total = cell.added(gates, cell.state(first, cell.h) if cell.h else "")
    update, reset = (cell.make(cell.functions[0], [cell.gate(total, place)]) for place in range(2))
    own, bias = cell.gate(sums, 2), np.ascontiguousarray(cell.form.b[cell.number][5 * size :])
    if linear:
        if cell.h:
            before = cell.state(second, cell.h, bias)
        else:
            before = cell.editor.add_constant(f"{cell.node.name}_bias", bias.reshape(1, -1))
        own = cell.make("Add", [own, cell.make("Mul", [reset, before])])
    elif cell.h:
        own = cell.make("Add", [own, cell.state(second, cell.make("Mul", [reset, cell.h]))])
    fresh = cell.make(cell.functions[1], [own])
    one = cell.editor.add_constant(f"{cell.node.name}_one", np.ones((1, 1), np.float32))
    new = cell.make("Mul", [cell.make("Sub", [one, update]), fresh])
    cell.h = cell.make("Add", [new, cell.make("Mul", [update, cell.h])]) if cell.h else new


def _rnn(cell: _Cell, sums: str) -> None:
    total = cell.added(sums, cell.state(slice(0, 1), cell.h) if cell.h else "")
    cell.h = cell.make(cell.functions[0], [total])


_STEPS: Mapping[str, Callable[[_Cell, str], None]] = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}


def _unroll(editor: Editor, node: Node, form: _Form) -> None:
    source, layout = node.inputs[0], node.int("layout", 0)
    if layout:
        turned = [editor.shape(source)[axis] for axis in (1, 0, 2)]
        source = made(editor, node, "Transpose", [source], tuple(turned), {"perm": [1, 0, 2]})
    flat = _reshaped(editor, node, source, (form.steps * form.batch, editor.shape(source)[2]))
    states: list[list[str]] = [[""] * form.steps for _ in form.reverse]
    last: list[_Cell] = []
    for number, reverse in enumerate(form.reverse):
        h, c = (_initial(editor, node, index, number, form) for index in (5, 6))
        cell = _Cell(editor, node, form, number, _GATES[node.op], h, c)
        sums = cell.gemm(flat, form.w[number], _bias(node, form, number))
        for step in reversed(range(form.steps)) if reverse else range(form.steps):
            _STEPS[node.op](cell, cell.part(sums, 0, step * form.batch, form.batch))
            states[number][step] = cell.h
        last.append(cell)
    ends = [[cell.h for cell in last], [cell.c for cell in last]]
    _give(editor, node, form, states, ends)


def _bias(node: Node, form: _Form, number: int) -> Array:
    """What is added to the inputs' products: both biases, but that of the state where it is reset first."""
    half = form.b.shape[1] // 2
    own, state = form.b[number][:half], form.b[number][half:].copy()
    if node.op == "GRU" and node.int("linear_before_reset", 0):
        state[2 * form.hidden :] = 0
    return np.asarray(own + state, np.float32)


def _initial(editor: Editor, node: Node, index: int, number: int, form: _Form) -> str:
    """A direction's first state [batch, hidden]; nothing where it is 0."""
    name = _input(node, index)
    if not name or (node.op != "LSTM" and index == 6):
        return ""
    value = editor.graph.constants.get(name)
    axis = 1 if node.int("layout", 0) else 0
    if value is not None:
        state = np.ascontiguousarray(np.take(value, number, axis))
        return editor.add_constant(f"{node.name}_state", state) if state.any() else ""
    shape = editor.shape(name)
    if shape[axis] > 1:
        numbers = _longs(editor, node, (number, number + 1, axis, 1))
        cut = tuple(1 if place == axis else size for place, size in enumerate(shape))
        name = made(editor, node, "Slice", [name, *numbers], cut)
    return _reshaped(editor, node, name, (form.batch, form.hidden))


def _longs(editor: Editor, node: Node, numbers: Sequence[int]) -> list[str]:
    """Constants of one number each."""
    return [editor.add_constant(f"{node.name}_cut", np.array([number], np.int64)) for number in numbers]


def _reshaped(editor: Editor, node: Node, source: str, shape: Shape, target: str = "") -> str:
    to = editor.add_constant(f"{node.name}_shape", np.array(shape, np.int64))
    if not target:
        return made(editor, node, "Reshape", [source, to], shape)
    editor.insert(node, "Reshape", [source, to], [target])
    return target


def _joined(editor: Editor, node: Node, parts: Sequence[str], axis: int) -> str:
    if len(parts) == 1:
        return parts[0]
    shape = list(editor.shape(parts[0]))
    shape[axis] = sum(editor.shape(part)[axis] for part in parts)
    return made(editor, node, "Concat", list(parts), tuple(shape), {"axis": axis})


def _give(
    editor: Editor, node: Node, form: _Form, states: list[list[str]], ends: Sequence[Sequence[str]]
) -> None:
    """What is read of the node's outputs: all states, and the last ones, in its layout."""
    layout, outputs = node.int("layout", 0), list(node.outputs)
    wanted = [name for name in outputs if is_read(editor, name)]
    editor.remove(node)
    for place, name in enumerate(outputs):
        if name not in wanted:
            continue
        if place == 0:
            inner: Shape = (form.batch, 1, 1, form.hidden) if layout else (1, 1, form.batch, form.hidden)
            shaped = [[_reshaped(editor, node, one, inner) for one in side] for side in states]
            sides = [_joined(editor, node, side, 1 if layout else 0) for side in shaped]
            whole = _joined(editor, node, sides, 2 if layout else 1)
        else:
            inner = (form.batch, 1, form.hidden) if layout else (1, form.batch, form.hidden)
            parts = [_reshaped(editor, node, one, inner) for one in ends[place - 1]]
            whole = _joined(editor, node, parts, 1 if layout else 0)
        _reshaped(editor, node, whole, editor.shape(name), name)

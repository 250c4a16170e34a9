"""Add of one constant a channel behind an input of codes -> the codes' zero point, or a channel of its own.

Why: a mean that is subtracted in front of a padded Conv cannot go into its bias, as padded cells are the mean
and no pixel of 0; left alone it is a pass of floats over the whole picture. One mean for all channels that is
a whole code is the zero point: padded cells have that code. Others are the product of one more channel, which
holds the same code in every cell and the zero point beyond the border, with weights of its own.
Legal: between the input and the Add data only move, are resized, or get a border of one value; of the second
form all that read the Add are Convs of one group with constant weights. Sums are the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from modelbuild.graph import kept_quantization
from modelbuild.graph.constant_operators import ordered_sum
from modelbuild.graph.kept_quantization import Kept
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes import affine
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.quantized_border import is_port, scale_and_zero
from modelbuild.graph.rewrite import Editor, merged

Vector = NDArray[np.float64]
_CODES = 255
_WHOLE = 1e-3  # of a code: means are float32
_ONE = 1e-5  # off the sum of what a resize adds up
_MOVES = ("Transpose", "Pad", "Slice")


def run(graph: Graph) -> int:
    """Number of Adds replaced."""
    editor = Editor(graph)
    for node in editor.nodes("DequantizeLinear"):
        if not is_port(graph, node.inputs[0]) or str(graph.dtypes[node.inputs[0]]) != "uint8":
            continue
        add, moved = _behind(editor, node)
        if add is not None and _replace(editor, node, add, moved):
            editor.changes += 1
    return editor.close()


def _behind(editor: Editor, node: Node) -> tuple[Node | None, str]:
    """The Add that alone reads the codes' values, and what it reads: these, moved."""
    source = node.outputs[0]
    while editor.private(source):
        (reader,) = editor.consumers(source)
        if reader.op == "Add" and not reader.domain:
            return reader, source
        if not _moves(editor, reader, source):
            break
        source = reader.outputs[0]
    return None, ""


def _moves(editor: Editor, node: Node, source: str) -> bool:
    """Whether what is true of codes, their scale and zero point, is true of what the node makes of them."""
    if node.domain or node.inputs.count(source) != 1:
        return False
    if node.op == "MatMul":
        return _resizes(editor, node, source)
    if node.op not in _MOVES:
        return False
    constants = [editor.constant(node, index) is not None for index, name in enumerate(node.inputs) if name]
    return all(constants[1:]) and node.attributes.get("mode", "constant") == "constant"


def _resizes(editor: Editor, node: Node, source: str) -> bool:
    """Whether each value is a mean of some: an offset of all of them is its own."""
    matrix = editor.constant(node, 1)
    if node.inputs[0] != source or matrix is None or matrix.ndim != 2 or not matrix.size:
        return False
    weights = matrix.astype(np.float64)
    return bool(weights.min() >= 0 and np.abs(ordered_sum(weights, (0,)) - 1).max() <= _ONE)


def _replace(editor: Editor, port: Node, add: Node, source: str) -> bool:
    """Whether the Add is gone."""
    value = editor.constant(add, 1 - add.inputs.index(source))
    if value is None or value.dtype != np.float32 or editor.shape(add.outputs[0]) != editor.shape(source):
        return False
    scale, zero = scale_and_zero(editor.graph, port)
    zeros = zero - value.astype(np.float64) / scale  # the codes that are 0 behind the Add
    middle = min(max(int(np.rint((zeros.min() + zeros.max()) / 2)), 0), _CODES)
    if np.abs(zeros - middle).max() <= _WHOLE:
        _set_zero(editor, port, middle)
        return editor.bypass(add, source)
    turn = sole_reader(editor, add.outputs[0], "Transpose")
    perm = None if turn is None else turn.ints("perm", [])
    made = add.outputs[0] if turn is None else turn.outputs[0]
    if perm is not None:
        zeros = zeros.reshape((1,) * (len(perm) - zeros.ndim) + zeros.shape).transpose(perm)
    shape = editor.shape(made)
    found = affine.per_channel(zeros.astype(np.float32), len(shape), shape[1]) if len(shape) == 4 else None
    if found is None or not _is_read_by_products(editor, made):
        return False
    _set_zero(editor, port, middle)
    if turn is None:
        editor.bypass(add, source)
    else:
        editor.set_inputs(turn, [source])
        editor.remove(add)
    _widen(editor, source if turn is None else made, add, scale, middle - found, middle)
    return True


def _is_read_by_products(editor: Editor, tensor: str) -> bool:
    readers = editor.consumers(tensor)
    inner = bool(readers) and tensor not in editor.graph.outputs
    return inner and all(_takes(editor, reader, tensor) for reader in readers)


def _takes(editor: Editor, node: Node, tensor: str) -> bool:
    plain = node.domain == "" and node.op == "Conv" and node.int("group", 1) == 1
    reads = node.inputs[0] == tensor and node.inputs.count(tensor) == 1
    return plain and reads and affine.foldable(editor, node)


def _widen(editor: Editor, tensor: str, add: Node, scale: float, missing: Vector, zero: int) -> None:
    """A further channel of a code that is `step` away from `zero`, for `missing`: codes that each channel of
    what the Convs read lacks. The step leaves the largest weights of a row what they are, where it can, so
    that none is rounded more; it is the smallest such one, as it multiplies the rounding of the new ones."""
    readers, maker = editor.consumers(tensor), editor.producer(tensor)
    assert maker is not None
    weights = [editor.graph.constants[reader.inputs[1]].astype(np.float64) for reader in readers]
    sums = [ordered_sum(weight * missing.reshape(1, -1, 1, 1), (1,))[:, None] for weight in weights]
    step = _step(weights, sums, zero)
    batch, channels, *size = editor.shape(tensor)
    wide = editor.tensor(f"{tensor}_wide", (batch, channels + 1, *size))
    pads = editor.add_constant(f"{add.name}_pads", np.array([0, 0, 0, 0, 0, 1, 0, 0], np.int64))
    value = editor.add_constant(f"{add.name}_value", np.float32(step * scale))
    editor.insert(maker, "Pad", [tensor, pads, value], [wide], {"mode": "constant"}, add.origin, behind=True)
    for reader, weight, total in zip(readers, weights, sums, strict=True):
        both = np.concatenate([weight, total / step], axis=1).astype(np.float32)
        name = editor.add_constant(f"{reader.inputs[1]}_wide", both)
        editor.set_inputs(reader, [wide, name, *reader.inputs[2:]])
        reader.origin = merged(add.origin, reader.origin)


def _step(weights: Sequence[Vector], sums: Sequence[Vector], zero: int) -> int:
    """How far the code of the further channel is from the zero point."""
    wanted = 1
    for weight, total in zip(weights, sums, strict=True):
        most = np.abs(weight).max(axis=(1, 2, 3))
        needed = np.abs(total).max(axis=(1, 2, 3))[most > 0] / most[most > 0]
        wanted = max(wanted, int(np.ceil(needed.max(initial=1.0))))
    above = _CODES - zero
    if wanted <= above:
        return wanted
    return -wanted if wanted <= zero else above if above >= zero else -zero


def _set_zero(editor: Editor, port: Node, zero: int) -> None:
    """The port's codes stand for what they are above `zero` from now on, and so do those of borders."""
    graph, tensor = editor.graph, port.outputs[0]
    scale, before = scale_and_zero(graph, port)
    old = kept_quantization.entry(graph, tensor)
    code = editor.add_constant(f"{port.inputs[0]}_zero_point", np.uint8(zero))
    editor.set_inputs(port, [*port.inputs[:2], code])
    entry = Kept("uint8", (scale,) if old is None else old.scale, (zero,))
    kept_quantization.keep(graph, {tensor: entry})
    while editor.private(tensor):
        (reader,) = editor.consumers(tensor)
        if not _moves(editor, reader, tensor):
            break
        if reader.op == "Pad":
            _shift_border(editor, reader, (before - zero) * scale)
        tensor = reader.outputs[0]
        kept_quantization.keep(graph, {tensor: entry})


def _shift_border(editor: Editor, pad: Node, shift: float) -> None:
    value = editor.constant(pad, 2)
    border = (0.0 if value is None else float(value.reshape(-1)[0])) + shift
    name = editor.add_constant(f"{pad.name}_value", np.float32(border))
    editor.set_inputs(pad, [*pad.inputs[:2], name, *pad.inputs[3:]])

"""MatMul with constant weights -> Gemm; every Gemm with constant weights as x · Wᵀ + bias.

Why: fully connected layers then have one form: weights [outputs, inputs], bias [outputs].
Legal: the weights are a constant of rank 2, and x has rank 2 or all its leading dimensions are 1. alpha and
beta are multiplied into weights and bias; transA becomes a Transpose. A vector of weights is a matrix of one
column, whose axis a Reshape takes away.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from modelbuild.graph import kept_quantization
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.passes import affine
from modelbuild.graph.passes.matching import sole_reader
from modelbuild.graph.rewrite import Editor, merged

_FORM = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 1}


def run(graph: Graph) -> int:
    """Number of nodes changed."""
    changes = 0
    for op, step in (("MatMul", _matmul), ("Gemm", _gemm), ("Gemm", _take_bias)):
        editor = Editor(graph)
        for node in editor.nodes(op):
            editor.changes += step(editor, node)
        changes += editor.close()
    return changes


def _is_float(value: Array | None) -> bool:
    return value is not None and value.dtype == np.float32


def _matmul(editor: Editor, node: Node) -> bool:
    weights, shape = editor.constant(node, 1), editor.shape(node.inputs[0])
    if weights is None or not _is_float(weights) or len(shape) < 2:
        return False
    if weights.ndim == 1:
        return _matmul_of_vector(editor, node)
    if weights.ndim != 2:
        return False
    if any(size != 1 for size in shape[:-2]):
        return False
    name = editor.laid_out(f"{node.name}_weight", node.inputs[1], np.transpose)
    if len(shape) == 2:
        editor.replace(node, "Gemm", [node.inputs[0], name], {**_FORM})
        return True
    made = editor.shape(node.outputs[0])
    flat, result = (
        editor.tensor(f"{node.outputs[0]}_{which}", size)
        for which, size in (("flat", shape[-2:]), ("gemm", made[-2:]))
    )
    to_flat = editor.add_constant(f"{node.name}_flat", np.array(shape[-2:], np.int64))
    back = editor.add_constant(f"{node.name}_shape", np.array(made, np.int64))
    editor.insert(node, "Reshape", [node.inputs[0], to_flat], [flat])
    editor.insert(node, "Gemm", [flat, name], [result], {**_FORM})
    editor.replace(node, "Reshape", [result, back])
    return True


def _matmul_of_vector(editor: Editor, node: Node) -> bool:
    source, made = node.inputs[0], editor.shape(node.outputs[0])
    column = editor.laid_out(f"{node.name}_weight", node.inputs[1], lambda vector: vector.reshape(-1, 1))
    wide = editor.tensor(f"{node.outputs[0]}_wide", (*made, 1))
    back = editor.add_constant(f"{node.name}_shape", np.array(made, np.int64))
    _matmul(editor, editor.insert(node, "MatMul", [source, column], [wide]))
    editor.replace(node, "Reshape", [wide, back])
    return True


def _gemm(editor: Editor, node: Node) -> bool:
    """Brings a Gemm into the one form."""
    weights, bias = editor.constant(node, 1), editor.constant(node, 2)
    if not _is_float(weights) or weights is None:
        return False
    if node.int("transA", 0):
        source = node.inputs[0]
        turned = editor.tensor(f"{source}_turned", editor.shape(source)[::-1])
        editor.insert(node, "Transpose", [source], [turned], {"perm": [1, 0]})
        editor.set_inputs(node, [turned, *node.inputs[1:]])
        node.attributes["transA"] = 0
        _gemm(editor, node)
        return True
    alpha, beta = (np.float32(cast(float, node.attributes.get(name, 1.0))) for name in ("alpha", "beta"))
    wide: Any = weights if node.int("transB", 0) else weights.T
    inputs = list(node.inputs)
    if len(inputs) > 2 and inputs[2]:
        full = _bias(bias, wide.shape[0])
        if full is None:
            return False
        if bias is None or bias.shape != full.shape or beta != 1:
            inputs[2] = editor.add_constant(f"{node.name}_bias", full * beta)
    if wide is not weights or alpha != 1:
        turned = node.inputs[1]
        if wide is not weights:
            turned = editor.laid_out(f"{node.name}_weight", turned, np.transpose)
        inputs[1] = turned
        if alpha != 1:
            inputs[1] = editor.add_constant(f"{node.name}_weight", wide * alpha)
            kept_quantization.scaled(editor.graph, turned, inputs[1], np.float64(alpha).reshape(1), 0)
    if inputs == node.inputs and node.attributes == _FORM:
        return False
    editor.replace(node, "Gemm", [name for name in inputs if name], {**_FORM})
    return True


def _bias(value: Array | None, outputs: int) -> Any:
    """`value` as [outputs], if it is the same for every row."""
    if value is None or value.dtype != np.float32 or any(size != 1 for size in value.shape[:-1]):
        return None
    row = value.reshape(-1)
    return np.broadcast_to(row, (outputs,)) if row.size in (1, outputs) else None


def _take_bias(editor: Editor, node: Node) -> bool:
    """Adds the constant of a following Add, also one behind the Reshape back to leading 1s."""
    if len(node.inputs) > 2 or not affine.foldable(editor, node):
        return False
    reshape = sole_reader(editor, node.outputs[0], "Reshape")
    if reshape is not None:
        shape = editor.shape(reshape.outputs[0])
        if shape[-2:] != editor.shape(node.outputs[0]) or any(size != 1 for size in shape[:-2]):
            return False
    source = (reshape or node).outputs[0]
    add = sole_reader(editor, source, "Add")
    if add is None:
        return False
    index = 1 - add.inputs.index(source)
    outputs = editor.shape(node.inputs[1])[0]
    bias = _bias(editor.constant(add, index), outputs)
    if bias is None or editor.shape(add.outputs[0]) != editor.shape(source):
        return False
    editor.set_inputs(node, [*node.inputs, editor.add_constant(f"{node.name}_bias", bias)])
    node.origin = merged(node.origin, add.origin)
    editor.absorb(reshape or node, add)
    return True

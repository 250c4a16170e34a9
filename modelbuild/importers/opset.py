"""Any operator set from 7 to the newest -> 17, by rules of our own, one operator at a time.

onnx.version_converter is not used. That of onnx 1.23 silently changes the values of an Upsample with mode
linear, refuses Pad and Resize with axes, Gelu and Mish, names no node when it stops, and adds nodes without
an origin. A node that no rule covers and that set 17 does not accept is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx

from modelbuild.errors import ModelbuildError
from modelbuild.graph import shapes
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.rewrite import Editor
from modelbuild.importers import function_operators, opset_newer, opset_older

WORKING = 17
OLDEST = 7
Rule = Callable[[Editor, Node], None]


def check_format(version: int) -> None:
    """Raises for an IR version (that of the file format itself) that the installed onnx lacks."""
    if version > onnx.IR_VERSION:
        raise ModelbuildError(
            f"the model file has IR version {version}",
            why=f"the newest that this installation reads is {onnx.IR_VERSION}",
            advice="save it again with an older onnx, or with `model.ir_version = 10`",
        )


def check_version(version: int) -> None:
    """Raises where a model's operator set is out of reach."""
    newest = int(onnx.defs.onnx_opset_version())
    if not OLDEST <= version <= newest:
        raise ModelbuildError(
            f"the model uses ONNX operator set {version}",
            why=f"modelbuild reads {OLDEST} to {newest}",
            advice=f"export the model again with `opset_version={WORKING}`",
        )


def convert(graph: Graph, notes: list[str]) -> None:
    """Rewrites the nodes of `graph`, whose shapes are known, to the working operator set."""
    function_operators.expand(graph)
    before, values = graph.opset, shapes.known_values(graph)
    editor = Editor(graph)
    for node in editor.nodes():
        rules = _rules(node.op, before)
        if rules:
            _take_known_inputs(editor, node, values)
        for rule in rules:
            rule(editor, node)
    editor.close()
    graph.opset = WORKING
    for node in graph.nodes:
        if not onnx.defs.has(node.op, WORKING, node.domain):
            raise ModelbuildError(
                f"{node.op} `{node.name}` of operator set {before} is not supported",
                advice=f"export the model with `opset_version={WORKING}`",
            )
    if before != WORKING:
        notes.append(f"operator set {before} converted to {WORKING}")


def _take_known_inputs(editor: Editor, node: Node, values: Mapping[str, Array]) -> None:
    """Makes parameters that shape arithmetic computes constants, so that the rules can read them."""
    inputs = [
        editor.add_constant(f"{node.name}_{name}", values[name])
        if index and name in values and name not in editor.graph.constants
        else name
        for index, name in enumerate(node.inputs)
    ]
    if inputs != node.inputs:
        editor.set_inputs(node, inputs)


def _rules(op: str, version: int) -> list[Rule]:
    older = [rule for since, rule in opset_older.RULES.get(op, ()) if version < since]
    newer = [rule for since, rule in opset_newer.RULES.get(op, ()) if version >= since]
    return older or newer

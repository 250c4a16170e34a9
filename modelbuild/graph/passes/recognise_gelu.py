"""Every spelling of GELU -> one: x · (g + 1/2), where g is Erf or Tanh of a polynomial of x, times 1/2.

Why: exporters write 0.5 · x · (1 + erf(x / sqrt(2))) and the form with tanh in every order of factors; later
stages then meet one. What stands inside of Erf or Tanh stays as it is.
Legal: multiplication may be regrouped; it differs in rounding only. Constants may be off by 1e-5.
Source: Hendrycks and Gimpel, Gaussian Error Linear Units, 2016: both forms.
"""

from __future__ import annotations

import numpy as np

from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import factors, near, with_number
from modelbuild.graph.rewrite import Editor, merged


def run(graph: Graph) -> int:
    """Number of GELUs rewritten."""
    editor = Editor(graph)
    for node in editor.nodes("Mul"):
        editor.changes += _rewrite(editor, node)
    return editor.close()


def _rewrite(editor: Editor, node: Node) -> bool:
    tensors, scale, nodes = factors(editor, node.outputs[0])
    if len(tensors) != 2 or not near(scale, 0.5):
        return False
    for shifted, source in (tensors, tensors[::-1]):
        add = editor.producer(shifted, "Add")
        one = with_number(editor, add, "Add")
        if add is None or one is None or not near(one[1], 1.0) or not editor.private(shifted):
            continue
        bell = editor.producer(one[0], "Erf", "Tanh")
        if bell is None or not editor.private(one[0]) or not _from(editor, bell.inputs[0], source, depth=8):
            continue
        _write(editor, node, source, bell, [*nodes[1:], add])
        return True
    return False


def _from(editor: Editor, name: str, source: str, depth: int) -> bool:
    """Whether the tensor `name` is made of `source` and constants by products, sums and powers alone."""
    if name == source or name in editor.graph.constants:
        return True
    maker = editor.producer(name, "Mul", "Add", "Pow", "Div")
    return (
        maker is not None
        and depth > 0
        and all(_from(editor, item, source, depth - 1) for item in maker.inputs)
    )


def _write(editor: Editor, node: Node, source: str, bell: Node, parts: list[Node]) -> None:
    """x · (bell · 1/2 + 1/2) in place of what `node` and `parts` compute."""
    shape = editor.shape(source)
    half = editor.add_constant(f"{node.name}_half", np.array(0.5, np.float32))
    halved, gate = (editor.tensor(f"{node.outputs[0]}_{which}", shape) for which in ("halved", "gate"))
    node.origin = merged(*(part.origin for part in parts), bell.origin, node.origin)
    editor.set_inputs(node, [source, gate])
    for part in parts:
        editor.remove(part)
    editor.insert(node, "Mul", [bell.outputs[0], half], [halved])
    editor.insert(node, "Add", [halved, half], [gate])

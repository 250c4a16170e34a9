"""Conv, MaxPool, a rising function of one number -> Conv, the function, MaxPool.

Why: PyTorch's relu(max_pool2d(conv(x))). A layer that has functions and a pool has them in this order; behind
its pool the CPU would compute the function, and the map would leave the chip's memory for it.
Legal: the largest of a window stays the largest under a function that never falls. Nothing else reads what is
between, nor what the Conv makes; not where the source quantizes either. What no Relu or Clip is moves behind
Convs of one group alone, which a layer has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.graph import kept_quantization
from modelbuild.graph.chains import Chains
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.passes.matching import number, sole_reader
from modelbuild.graph.rewrite import Editor

_PICTURE = 4


def _at_least_zero(key: str, default: float) -> Callable[[Node, float | None], bool]:
    def check(node: Node, _: float | None) -> bool:
        value = node.attributes.get(key, default)
        return isinstance(value, int | float) and value >= 0

    return check


def _always(_: Node, __: float | None) -> bool:
    return True


def _with_number(_: Node, constant: float | None) -> bool:
    return constant is not None


def _positive(_: Node, constant: float | None) -> bool:
    return constant is not None and constant > 0


# Operators that rise with their first input -> whether this node does, by its constant if it has one.
_RISING: Mapping[str, Callable[[Node, float | None], bool]] = {
    **dict.fromkeys(("Clip", "Erf", "Exp", "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"), _always),
    "Add": _with_number,
    "Div": _positive,
    "Elu": _at_least_zero("alpha", 1.0),
    "HardSigmoid": _at_least_zero("alpha", 0.2),
    "LeakyRelu": _at_least_zero("alpha", 0.01),
    "Mul": _positive,
    "Sub": _with_number,
}
_BOUNDS = ("Clip", "Relu")


def run(graph: Graph) -> int:
    """Number of functions that changed places with a pool."""
    editor, chains = Editor(graph), None
    for pool in editor.nodes("MaxPool"):
        if _function(editor, pool) is None:
            continue
        chains = chains or Chains(graph)
        conv = _layer(chains, pool)
        while conv is not None:
            function = _function(editor, pool)
            if function is None or (function.op not in _BOUNDS and conv.int("group", 1) != 1):
                break
            pool = _swapped(editor, pool, function)
            editor.changes += 1
    return editor.close()


def _layer(chains: Chains, pool: Node) -> Node | None:
    """The Conv whose map, or functions of it, the pool alone reads."""
    for conv in chains.layers_before(pool, ["Conv"]):
        end = chains.behind(conv.outputs[0]).end
        reader = chains.sole_reader(end)
        if end == pool.inputs[0] and reader is not None and reader.name == pool.name:
            return conv
    return None


def _function(editor: Editor, pool: Node) -> Node | None:
    """The rising function that alone reads what the pool makes."""
    if len([name for name in pool.outputs if name]) > 1 or editor.rank(pool.inputs[0]) != _PICTURE:
        return None
    source, made = pool.inputs[0], pool.outputs[0]
    node = sole_reader(editor, made, *_RISING)
    if node is None or editor.shape(node.outputs[0]) != editor.shape(made):
        return None
    others = [name for name in node.inputs if name and name != made]
    numbers = [number(editor, name) for name in others]
    at = 0 if node.op not in ("Add", "Mul") else node.inputs.index(made)
    if node.inputs[at] != made or None in numbers or any(editor.rank(name) > _PICTURE for name in others):
        return None
    kept = any(
        kept_quantization.entry(editor.graph, name) is not None for name in (source, made, *node.outputs)
    )
    return node if not kept and _RISING[node.op](node, numbers[0] if numbers else None) else None


def _swapped(editor: Editor, pool: Node, function: Node) -> Node:
    """The pool behind the function."""
    source, between, made = pool.inputs[0], pool.outputs[0], function.outputs[0]
    whole = editor.tensor(f"{made}_whole", editor.shape(source), editor.graph.dtypes[made])
    editor.set_inputs(function, [source if name == between else name for name in function.inputs])
    editor.remove(pool)
    editor.retarget(function, made, whole)
    behind = editor.insert(
        function, "MaxPool", [whole], [made], dict(pool.attributes), pool.origin, behind=True
    )
    behind.name = pool.name
    return behind

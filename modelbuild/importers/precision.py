"""Half, bfloat16 and double precision -> float32, the one float type of the rooms below."""

from __future__ import annotations

from collections import Counter

import numpy as np

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Array, Graph, Node
from modelbuild.graph.tensors import dtype_of, element_type_of

_FLOAT = element_type_of(np.dtype(np.float32))


def to_float32(graph: Graph, notes: list[str]) -> bool:
    """Converts constants, inputs and the types that nodes name; whether there was anything to convert.

    Raises where a double is too large.
    """
    before = len(notes)
    kinds = Counter[str]()
    for name, value in graph.constants.items():
        if _other_float(value.dtype):
            kinds[str(value.dtype)] += 1
            graph.constants[name] = _converted(name, value)
    notes += [
        f"`{name}` is float32 here; it is {graph.dtypes[name]} in the source"
        for name in [*graph.inputs, *graph.outputs]
        if name in graph.dtypes and _other_float(graph.dtypes[name])
    ]
    graph.dtypes.update({n: np.dtype(np.float32) for n, kind in graph.dtypes.items() if _other_float(kind)})
    casts = sum([_convert_attributes(node) for node in graph.nodes])
    if casts:
        notes.append(f"{casts} nodes work in float32 instead of another precision")
    notes += [f"{count} {kind} constants converted to float32" for kind, count in sorted(kinds.items())]
    return len(notes) > before


def _other_float(dtype: np.dtype[np.generic]) -> bool:
    return dtype != np.float32 and (np.issubdtype(dtype, np.floating) or str(dtype) == "bfloat16")


def _converted(name: str, value: Array) -> Array:
    with np.errstate(over="ignore"):
        result = value.astype(np.float32)
    if not np.array_equal(np.isfinite(result), np.isfinite(value.astype(np.float64))):
        raise ModelbuildError(f"the constant `{name}` has values too large for float32")
    return result


def _convert_attributes(node: Node) -> bool:
    changed = False
    for key, value in node.attributes.items():
        if isinstance(value, np.ndarray) and _other_float(value.dtype):
            node.attributes[key] = _converted(node.name, value)
            changed = True
    key = "to" if node.op == "Cast" else "dtype"
    code = node.attributes.get(key)
    if isinstance(code, int) and _other_float(dtype_of(code, node.name)):
        node.attributes[key] = _FLOAT
        changed = True
    return changed

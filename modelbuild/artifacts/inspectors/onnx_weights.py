"""The constants of an ONNX model: how many numbers of which type, and whether their bytes are there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import onnx
from onnx import TensorProto

from modelbuild.artifacts.inspectors.onnx_operators import all_graphs, inner_graphs, text
from modelbuild.artifacts.inspectors.onnx_shapes import MAX_RANK

_SHOWN = 4  # constants that the check names
_DIMS = 8  # of a shape that are shown
# Bits of an element where they are not those of numpy's type, and how many of them an entry of the typed
# fields holds
_BITS: Mapping[int, int] = {
    **dict.fromkeys((TensorProto.UINT4, TensorProto.INT4, TensorProto.FLOAT4E2M1), 4),
    **{code: 2 for name, code in TensorProto.DataType.items() if name in ("UINT2", "INT2")},
    **{code: 6 for name, code in TensorProto.DataType.items() if name in ("FLOAT6E2M3", "FLOAT6E3M2")},
}
_FIELDS: Mapping[int, str] = {
    TensorProto.FLOAT: "float_data",
    TensorProto.COMPLEX64: "float_data",
    TensorProto.DOUBLE: "double_data",
    TensorProto.COMPLEX128: "double_data",
    TensorProto.INT64: "int64_data",
    TensorProto.UINT32: "uint64_data",
    TensorProto.UINT64: "uint64_data",
    TensorProto.STRING: "string_data",
}
_PAIRS = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)  # two entries an element
# Attributes of Constant that are no tensors, with the type of their numbers
_SINGLE: Mapping[str, str] = {
    f"value_{name}{end}": dtype
    for end in ("", "s")
    for name, dtype in (("float", "float32"), ("int", "int64"), ("string", "object"))
}


class Constant(NamedTuple):
    """`numbers` of a type; `why` they cannot be what the file says, else empty."""

    name: str
    dtype: str | None
    numbers: int
    why: str = ""


def constants(model: onnx.ModelProto, files: Mapping[str, int | None]) -> list[Constant]:
    """Initializers and Constant nodes of the graph, of the graphs in its nodes, and of the model's functions.
    `files` has the sizes of those beside the model, None of one that is not there."""
    found: list[Constant] = []
    bodies = [node for function in model.functions for node in function.node]
    for graph in (*all_graphs(model.graph), *inner_graphs(bodies)):
        found += (_of_tensor(tensor, files) for tensor in graph.initializer)
        found += (_of_tensor(sparse.values, files) for sparse in graph.sparse_initializer)
        found += _of_nodes(graph.node, files)
    found += _of_nodes(bodies, files)
    return found


def types(found: Iterable[Constant]) -> dict[str, int]:
    """Type -> how many numbers; those that cannot be there are left out."""
    counts = Counter[str]()
    for constant in found:
        if not constant.why:
            counts[constant.dtype or "not told"] += constant.numbers
    return dict(sorted(counts.items()))


def check(found: Sequence[Constant]) -> list[dict[str, Any]]:
    """The rule that the bytes of the constants are there; nothing of a model without constants."""
    bad = [f"{constant.name or 'one without a name'}: {constant.why}" for constant in found if constant.why]
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    why = "; ".join(bad[:_SHOWN]) + more
    what = "weights have the bytes that their shapes ask for"
    return [{"what": what, "ok": not bad, "why": why or None}] if found else []


def dtype(code: int) -> str | None:
    """The name of an element type; None where the file does not tell any."""
    try:
        return str(onnx.helper.tensor_dtype_to_np_dtype(code)) if code else None
    except (KeyError, ValueError):
        return f"unknown ({code})"


def _of_nodes(nodes: Iterable[onnx.NodeProto], files: Mapping[str, int | None]) -> Iterator[Constant]:
    for node in nodes:
        if node.op_type == "Constant" and node.domain in ("", "ai.onnx"):
            name = text(node.output[0]) if node.output else ""
            for item in node.attribute:
                if item.name in ("value", "sparse_value"):
                    tensor = item.t if item.name == "value" else item.sparse_tensor.values
                    yield _of_tensor(tensor, files)._replace(name=name)
                elif item.name in _SINGLE:
                    many = len(item.floats) + len(item.ints) + len(item.strings)
                    yield Constant(name, _SINGLE[item.name], many if item.name.endswith("s") else 1)


def _of_tensor(tensor: TensorProto, files: Mapping[str, int | None]) -> Constant:
    dims = list(tensor.dims)
    if len(dims) > MAX_RANK or any(dim < 0 for dim in dims):
        return Constant(text(tensor.name), dtype(tensor.data_type), 0, f"no shape is {_shape(dims)}")
    count = math.prod(dims)
    why = _lacking(tensor, count, files)
    return Constant(
        text(tensor.name), dtype(tensor.data_type), count, why and f"of the shape {_shape(dims)} {why}"
    )


def _shape(dims: Sequence[int]) -> str:
    return f"[{', '.join(map(str, dims[:_DIMS]))}{', …' if len(dims) > _DIMS else ''}]"


def _lacking(tensor: TensorProto, count: int, files: Mapping[str, int | None]) -> str:
    """What is wrong with the number of bytes, else empty."""
    bits = _bits(tensor.data_type)
    if tensor.data_location == TensorProto.EXTERNAL:
        return _lacking_beside(tensor, count, bits, files)
    if bits is not None and tensor.HasField("raw_data"):
        wanted = (count * bits + 7) // 8
        return "" if len(tensor.raw_data) == wanted else f"it has {len(tensor.raw_data)} bytes"
    if bits is None and tensor.data_type != TensorProto.STRING:  # a type that nobody knows
        held = len(tensor.raw_data)
        return "" if count <= 8 * held else f"it has {held} bytes"
    held = len(getattr(tensor, _FIELDS.get(tensor.data_type, "int32_data")))
    each = 2 if tensor.data_type in _PAIRS else 1
    packed = _BITS.get(tensor.data_type, 8)
    wanted = (count * packed + 7) // 8 if packed < 8 else count * each
    return "" if held in (wanted, count * each) else f"it has {held // each} values"


def _lacking_beside(
    tensor: TensorProto, count: int, bits: int | None, files: Mapping[str, int | None]
) -> str:
    """Of a tensor in another file: what that file, or the length that the model tells, cannot hold."""
    told = {entry.key: text(entry.value) for entry in tensor.external_data}
    wanted = (count * (8 if bits is None else bits) + 7) // 8
    length, offset = _number(told.get("length", "")), _number(told.get("offset", "")) or 0
    if bits is not None and length is not None and length != wanted:
        return f"it has {length} bytes"
    size = files.get(told.get("location", ""))
    if size is not None and offset + wanted > size:
        return f"its file ends after {max(0, size - offset)} bytes of it"
    # nothing tells a size: no file can be larger than that
    return "" if wanted < 1 << 48 else "no file can hold it"


def _number(value: str) -> int | None:
    return int(value) if value.isascii() and value.isdecimal() and len(value) < 20 else None


def _bits(code: int) -> int | None:
    """Bits of an element; None of texts and of types that nobody knows."""
    if code in _BITS:
        return _BITS[code]
    try:
        found = onnx.helper.tensor_dtype_to_np_dtype(code)
    except (KeyError, ValueError):
        return None
    return None if found.kind == "O" else found.itemsize * 8

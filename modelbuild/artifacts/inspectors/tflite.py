"""A TFLite model as `inspect` shows it: borders, operators, constants and quantization of each subgraph."""

from __future__ import annotations

import math
import struct
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts.inspectors.tflite_macs import MACS, Reading
from modelbuild.formats import flatbuffer, tflite_schema, zip_directory
from modelbuild.formats.flatbuffer import Table
from modelbuild.formats.parts import Part, covered, filled
from modelbuild.formats.tflite_schema import (
    BufferSlot,
    CodeSlot,
    ModelSlot,
    OperatorSlot,
    QuantizationSlot,
    SubGraphSlot,
    TensorSlot,
)

_METADATA, _SIGNATURES = 6, 7  # slots of Model
_ZIP = b"PK\x03\x04"
_NAMED = 4  # constants that a check names
_MOST_MACS = 1 << 53  # what every reader of JSON can hold
_MAX_RANK = 64
_SHOWN = 64  # characters of a metadata's text
_KNOWN = frozenset(tflite_schema.OPERATORS) - {"CUSTOM", "PLACEHOLDER_FOR_GREATER_OP_CODES"}


@dataclass(frozen=True)
class _Tensor:
    """A tensor of a subgraph. `stored` is the bytes of its values in the file, 0 of what is computed; `why`
    they cannot be those of its shape, else empty."""

    name: str | None
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: str
    stored: int
    scales: int
    scale: float | None
    zero_point: int | None
    outside: bool
    why: str


def describe(path: Path) -> dict[str, Any]:
    """Every subgraph, metadata and signatures. Errors: ModelbuildError with the offset."""
    model = flatbuffer.root(input_file.read(path), "TFLite")
    codes = [_operator(table) for table in model.tables(ModelSlot.OPERATOR_CODES)]
    buffers = [_stored(table) for table in model.tables(ModelSlot.BUFFERS)]
    graphs = model.tables(ModelSlot.SUBGRAPHS)
    tensors = [[_tensor(item, buffers) for item in table.tables(SubGraphSlot.TENSORS)] for table in graphs]
    described = {
        "version": str(model.integer(ModelSlot.VERSION, "I")),
        "silicon": None,
        "description": model.string(ModelSlot.DESCRIPTION),
        "metadata": _metadata(model),
        "signatures": [_signature(table) for table in model.tables(_SIGNATURES)],
        "operator_versions": _versions(model, codes),
        "checksums": [],
        "checks": _checks([tensor for each in tensors for tensor in each]),
        "models": [_subgraph(table, codes, each) for table, each in zip(graphs, tensors, strict=True)],
    }
    return described | {"parts": _parts(model)}


def _parts(model: Table) -> list[dict[str, Any]]:
    """The FlatBuffer as far as it is read, values behind it, and what lies behind all that: a ZIP of files
    that go with the model, zeros, or what nobody knows."""
    data, end = model.buffer.data, model.buffer.end
    found = {(0, end): Part(0, end, "FlatBuffer")}
    for table in model.tables(ModelSlot.BUFFERS):
        start, size = table.integer(BufferSlot.OFFSET, "Q"), table.integer(BufferSlot.SIZE, "Q")
        if start > 1 and size and start + size <= len(data):
            found[start, size] = Part(start, size, "values of a constant")
            end = max(end, start + size)
    if bytes(data[end : end + len(_ZIP)]) == _ZIP:
        size = zip_directory.end_of(data, end) - end
        what = "ZIP of files that go with the model" if size > 0 else "ZIP without its end"
        found[end, 0] = Part(end, size if size > 0 else len(data) - end, what, size > 0)
    return [asdict(part) for part in covered(filled([*found.values()], memoryview(data)), len(data))]


def _operator(table: Table) -> str:
    name = tflite_schema.operator_name(table.integer(CodeSlot.OLD, "b"), table.integer(CodeSlot.NEW, "i"))
    return f"{name} {table.string(CodeSlot.CUSTOM) or ''}".strip() if name == "CUSTOM" else name


def _versions(model: Table, codes: Sequence[str]) -> dict[str, list[int]]:
    """Operator -> the versions that the file asks for; those of a single version 1 are left out."""
    found = defaultdict[str, set[int]](set)
    for name, table in zip(codes, model.tables(ModelSlot.OPERATOR_CODES), strict=True):
        found[name].add(table.integer(2, "i", 1))
    return {name: sorted(versions) for name, versions in sorted(found.items()) if versions != {1}}


def _metadata(model: Table) -> dict[str, str]:
    """Name -> its text, or how many bytes it has where it is none."""
    buffers = model.tables(ModelSlot.BUFFERS)
    found = {}
    for table in model.tables(_METADATA):
        index = table.integer(1, "I")
        start, size = buffers[index].span(BufferSlot.DATA, 1) if index < len(buffers) else (0, 0)
        text = bytes(model.buffer.data[start : start + min(size, _SHOWN)]).rstrip(b"\0")
        shown = text.decode("ascii", "replace")
        found[table.string(0) or ""] = shown if size <= _SHOWN and shown.isprintable() else f"{size} bytes"
    return dict(sorted(found.items()))


def _signature(table: Table) -> dict[str, Any]:
    return {
        "name": table.string(2),
        "subgraph": table.integer(4, "I"),
        "inputs": [item.string(0) for item in table.tables(0)],
        "outputs": [item.string(0) for item in table.tables(1)],
    }


def _stored(table: Table) -> int:
    """Bytes of a buffer's values: in the FlatBuffer, or behind it in large files."""
    size = table.span(BufferSlot.DATA, 1)[1]
    return size or (table.integer(BufferSlot.SIZE, "Q") if table.integer(BufferSlot.OFFSET, "Q") > 1 else 0)


def _checks(tensors: Sequence[_Tensor]) -> list[dict[str, Any]]:
    """Whether the bytes of constants are as many as their shapes ask for."""
    bad = [f"{tensor.name or 'one without a name'}: {tensor.why}" for tensor in tensors if tensor.why]
    more = f"; and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    what = "constants have the bytes that their shapes ask for"
    return [{"what": what, "ok": not bad, "why": "; ".join(bad[:_NAMED]) + more or None}]


def _lacking(shape: Sequence[int], dtype: str, stored: int, is_sparse: bool) -> str:
    """Why the bytes of a constant cannot be those of its shape; empty where they can, or nobody knows."""
    told = f"[{', '.join(map(str, shape[:8]))}{', …' if len(shape) > 8 else ''}]"
    if any(size < 0 for size in shape):
        return f"no shape is {told}"
    if math.prod(shape) >= 1 << 48:
        return f"no file can hold the shape {told}"
    form = tflite_schema.STORED.get(dtype)
    if form is None or is_sparse or not stored:
        return ""
    count = math.prod(shape)
    wanted = (count + 1) // 2 if dtype == "int4" else count * form.itemsize
    return "" if stored == wanted else f"of the shape {told} it has {stored} bytes"


def _subgraph(table: Table, codes: list[str], tensors: Sequence[_Tensor]) -> dict[str, Any]:
    nodes = table.tables(SubGraphSlot.OPERATORS)
    operators = Counter(_code(item, codes) for item in nodes)
    constants = [tensor for tensor in tensors if (tensor.stored or tensor.outside) and not tensor.why]
    types = Counter[str]()
    for tensor in constants:
        types[tensor.dtype] += math.prod(tensor.shape)
    return {
        "id": None,
        "name": table.string(SubGraphSlot.NAME),
        "version": None,
        "inputs": _ports(table.integers(SubGraphSlot.INPUTS, "i"), tensors),
        "outputs": _ports(table.integers(SubGraphSlot.OUTPUTS, "i"), tensors),
        "nodes": len(nodes),
        "operators": {name: operators[name] for name in sorted(operators)},
        "tensors": len(tensors),
        "parameters": sum(types.values()),
        "parameter_types": dict(sorted(types.items())),
        "stored_bytes": sum(tensor.stored for tensor in constants),
        **dict(zip(("macs", "macs_why"), _macs(nodes, codes, tensors), strict=True)),
        "unknown_operators": [
            {"op": name, "count": count, "why": _why_unknown(name)}
            for name, count in sorted(operators.items())
            if name not in _KNOWN
        ],
        "quantization": _quantization(tensors),
        "external_tensors": sum(tensor.outside for tensor in tensors),
    }


def _why_unknown(name: str) -> str:
    if name.startswith("CUSTOM"):
        return "a custom operator: the application brings it"
    return "of StableHLO" if name.startswith("STABLEHLO") else "no operator of TFLite"


def _code(table: Table, codes: Sequence[str]) -> str:
    index = table.integer(OperatorSlot.CODE, "I")
    return codes[index] if index < len(codes) else "unknown"


def _tensor(table: Table, buffers: Sequence[int]) -> _Tensor:
    details = table.table(TensorSlot.QUANTIZATION)
    index = table.integer(TensorSlot.BUFFER, "I")
    shape = _sizes(table, TensorSlot.SHAPE)
    start, scales = details.span(QuantizationSlot.SCALE, 4) if details else (0, 0)
    points, zeros = details.span(QuantizationSlot.ZERO_POINT, 8) if details else (0, 0)
    data = table.buffer.data
    scale = float(struct.unpack_from("<f", data, start)[0]) if scales else None
    if scale is not None and (not math.isfinite(scale) or (scales == 1 and scale == 0.0)):
        scale, scales = None, 0  # a scale of 0 is how older converters say that there is none
    dtype = _dtype(table.integer(TensorSlot.TYPE, "b"))
    stored = buffers[index] if index < len(buffers) else 0
    is_sparse = table.table(TensorSlot.SPARSITY) is not None
    outside = bool(table.integer(TensorSlot.EXTERNAL_BUFFER, "I"))
    return _Tensor(
        table.string(TensorSlot.NAME),
        shape,
        _sizes(table, TensorSlot.SHAPE_SIGNATURE) or shape,
        dtype,
        stored,
        scales,
        scale,
        int(struct.unpack_from("<q", data, points)[0]) if zeros and scales else 0 if scales else None,
        outside,
        _lacking(shape, dtype, stored, is_sparse) if stored or outside else "",
    )


def _sizes(table: Table, slot: int) -> tuple[int, ...]:
    """A tensor's sizes; their product, its size, could have millions of digits if there were many."""
    found = table.integers(slot, "i")
    if len(found) > _MAX_RANK:
        raise flatbuffer.damaged(f"a tensor has {len(found)} axes", "TFLite", table.position)
    return found


def _ports(indices: Sequence[int], tensors: Sequence[_Tensor]) -> list[dict[str, Any]]:
    """With sizes as the file has them; in the signature those that are open are null."""
    found = (tensors[index] for index in indices if 0 <= index < len(tensors))
    return [
        {
            "name": tensor.name,
            "shape": list(tensor.shape),
            "dtype": tensor.dtype,
            "signature": [None if size == -1 else size for size in tensor.signature],
            "scale": tensor.scale if tensor.scales == 1 else None,
            "zero_point": tensor.zero_point if tensor.scales == 1 else None,
        }
        for tensor in found
    ]


def _dtype(code: int) -> str:
    types = tflite_schema.TENSOR_TYPES
    return types[code] if 0 <= code < len(types) else f"unknown ({code})"


def _quantization(tensors: Sequence[_Tensor]) -> dict[str, Any] | None:
    """{form, activations, weights, per_channel, types}, how many tensors have scales; None where none has
    any. `form` is `integer` where what is computed has scales, `weights` where constants alone have, and
    `float16` where none has and constants are of that type."""
    found = [tensor for tensor in tensors if tensor.scales]
    halves = sum(tensor.dtype == "float16" and tensor.stored > 0 for tensor in tensors)
    if not found and halves:
        types = {"float16": halves}
        return {"form": "float16", "activations": 0, "weights": halves, "per_channel": 0, "types": types}
    if not found:
        return None
    weights = sum(tensor.stored > 0 for tensor in found)
    types = Counter(tensor.dtype for tensor in found)
    return {
        "form": "integer" if weights < len(found) else "weights",
        "activations": len(found) - weights,
        "weights": weights,
        "per_channel": sum(tensor.scales > 1 for tensor in found),
        "types": dict(sorted(types.items())),
    }


def _macs(
    nodes: Sequence[Table], codes: Sequence[str], tensors: Sequence[_Tensor]
) -> tuple[int | None, str | None]:
    """Of convolutions and products; None and why, where one has a shape that is not told."""
    total = 0
    for table in nodes:
        name = _code(table, codes)
        count = MACS.get(name)
        if count is None:
            continue
        inputs = [_shape(index, tensors) for index in table.integers(OperatorSlot.INPUTS, "i")]
        outputs = [_shape(index, tensors) for index in table.integers(OperatorSlot.OUTPUTS, "i")]
        try:
            total += count(Reading(inputs, outputs, table.table(OperatorSlot.OPTIONS)))
        except LookupError:
            return None, f"the shapes at a {name} are open"
    if not 0 <= total < _MOST_MACS:
        return None, "the shapes are larger than any that can run"
    return total, None


def _shape(index: int, tensors: Sequence[_Tensor]) -> tuple[int, ...]:
    """Empty for what is not there, or has an open size."""
    if not 0 <= index < len(tensors) or -1 in tensors[index].signature[1:]:
        return ()
    return tensors[index].shape

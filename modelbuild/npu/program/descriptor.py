"""The I/O descriptor: what a program's tensors are called, mean, and where they lie. Canonical JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program.encoding import ElementType
from modelbuild.npu.program.header import MAX_DRAM

MAX_RANK = 8
DRAM, CHIP = "dram", "chip"


@dataclass(frozen=True)
class TensorPlace:
    """A tensor in DRAM, dense, row-major, little endian: real = scale * (integer - zero_point)."""

    name: str
    shape: tuple[int, ...]
    bits: int
    signed: bool
    scale: float
    zero_point: int
    address: int  # bytes from the program's DRAM base
    size: int  # bytes
    where: str = DRAM  # or CHIP: a layer's output that never reaches DRAM, whose address is 0

    @property
    def type(self) -> ElementType:
        """How one element lies in memory."""
        return ElementType((2 if self.bits > 8 else 0) + (1 if self.signed else 0))

    @property
    def low(self) -> int:
        """The smallest integer that the tensor can hold."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The largest integer that the tensor can hold."""
        return (1 << (self.bits - (1 if self.signed else 0))) - 1


@dataclass(frozen=True)
class LayerPlace:
    """One operator of the fixed model, and where its results lie when it is done."""

    name: str
    kind: str
    unit: str  # npu | cpu
    outputs: tuple[TensorPlace, ...]


@dataclass(frozen=True)
class ProgramInterface:
    """What a program is called with and answers."""

    name: str
    arithmetic: str
    chip: str
    inputs: tuple[TensorPlace, ...]
    outputs: tuple[TensorPlace, ...]
    layers: tuple[LayerPlace, ...]
    metadata: Mapping[str, str]


def encode_descriptor(interface: ProgramInterface) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces."""
    return _canonical(
        {
            "arithmetic": interface.arithmetic,
            "chip": interface.chip,
            "inputs": [_tensor_to_json(tensor) for tensor in interface.inputs],
            "layers": [
                {
                    "kind": layer.kind,
                    "name": layer.name,
                    "outputs": [
                        _tensor_to_json(tensor) | {"where": tensor.where} for tensor in layer.outputs
                    ],
                    "unit": layer.unit,
                }
                for layer in interface.layers
            ],
            "metadata": dict(interface.metadata),
            "name": interface.name,
            "outputs": [_tensor_to_json(tensor) for tensor in interface.outputs],
        }
    )


def _canonical(data: object) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _tensor_to_json(tensor: TensorPlace) -> dict[str, object]:
    return {name: getattr(tensor, name) for name in _TENSOR_KEYS} | {"shape": list(tensor.shape)}


_TENSOR_KEYS = {
    "name": str,
    "shape": list,
    "bits": int,
    "signed": bool,
    "scale": float,
    "zero_point": int,
    "address": int,
    "size": int,
}
_LAYER_TENSOR_KEYS = {**_TENSOR_KEYS, "where": str}
_LAYER_KEYS = {"name": str, "kind": str, "unit": str, "outputs": list}
_INTERFACE_KEYS = {
    "arithmetic": str,
    "chip": str,
    "inputs": list,
    "layers": list,
    "metadata": dict,
    "name": str,
    "outputs": list,
}


def decode_descriptor(data: bytes, dram_size: int) -> ProgramInterface:
    """The inverse of `encode_descriptor`; a ModelbuildError for anything that it would not have written."""
    try:
        parsed = json.loads(data.decode())
        canonical = _canonical(parsed)
    except (ValueError, RecursionError) as error:
        raise _malformed("it is not JSON", str(error)[:200]) from None
    if canonical != data:
        raise _malformed("the JSON is not in canonical form")
    top = _object(parsed, _INTERFACE_KEYS, "descriptor")
    metadata = top["metadata"]
    if not all(isinstance(value, str) for value in metadata.values()):
        raise _malformed("metadata must be text")
    return ProgramInterface(
        name=top["name"],
        arithmetic=top["arithmetic"],
        chip=top["chip"],
        inputs=_tensors(top["inputs"], dram_size, "inputs"),
        outputs=_tensors(top["outputs"], dram_size, "outputs"),
        layers=tuple(_layer(item, dram_size) for item in top["layers"]),
        metadata=metadata,
    )


def _malformed(what: str, why: str = "") -> ModelbuildError:
    return ModelbuildError(f"malformed program: {what}", where="I/O descriptor", why=why)


def _object(value: object, keys: Mapping[str, type], what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or value.keys() != keys.keys():
        raise _malformed(f"{what} must have exactly the keys {', '.join(sorted(keys))}")
    for key, kind in keys.items():
        if type(value[key]) is not kind:
            raise _malformed(f"{key} of {what} must be of type {kind.__name__}")
    return value


def _layer(value: object, dram_size: int) -> LayerPlace:
    item = _object(value, _LAYER_KEYS, "layer")
    if item["unit"] not in ("npu", "cpu"):
        raise _malformed(f"unit of layer {item['name']!r} is neither npu nor cpu")
    outputs = _tensors(item["outputs"], dram_size, f"outputs of layer {item['name']!r}", _LAYER_TENSOR_KEYS)
    return LayerPlace(item["name"], item["kind"], item["unit"], outputs)


def _tensors(
    values: list[object], dram_size: int, what: str, keys: Mapping[str, type] = _TENSOR_KEYS
) -> tuple[TensorPlace, ...]:
    tensors = tuple(_tensor(value, dram_size, keys) for value in values)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _malformed(f"two of the {what} have the same name")
    return tensors


def _tensor(value: object, dram_size: int, keys: Mapping[str, type]) -> TensorPlace:
    item = _object(value, keys, "tensor")
    shape = item.pop("shape")
    if len(shape) > MAX_RANK or not all(type(extent) is int and 0 < extent < 2**31 for extent in shape):
        raise _malformed(f"shape of tensor {item['name']!r}")
    tensor = TensorPlace(shape=tuple(shape), **item)
    if not 1 <= tensor.bits <= 16 or not tensor.low <= tensor.zero_point <= tensor.high:
        raise _malformed(f"bits or zero_point of tensor {tensor.name!r}")
    if not 0 < tensor.scale < math.inf:
        raise _malformed(f"scale of tensor {tensor.name!r}")
    if tensor.size != math.prod(shape) * tensor.type.size:
        raise _malformed(f"size of tensor {tensor.name!r} does not follow from its shape")
    if tensor.where == CHIP:
        if tensor.address or tensor.size > MAX_DRAM:
            raise _malformed(f"tensor {tensor.name!r} lies on the chip: it has no address")
    elif tensor.where != DRAM:
        raise _malformed(f"tensor {tensor.name!r} is neither in dram nor on the chip")
    elif tensor.address < 0 or tensor.address + tensor.size > dram_size:
        raise _malformed(f"tensor {tensor.name!r} does not lie in DRAM")
    return tensor

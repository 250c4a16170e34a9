"""Writes small caffemodels, field by field: the tests' own half of the wire format."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Blob = NDArray[np.float32]
Blobs = Mapping[str, Sequence[Blob]]


def varint(value: int) -> bytes:
    """A number in groups of seven bits."""
    result = bytearray()
    while value >= 0x80:
        result.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*result, value])


def field(number: int, value: int | bytes | str) -> bytes:
    """One field: a varint, or bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def blob(values: Blob, form: str = "new") -> bytes:
    """A BlobProto; `form` is new, old (four sizes), single (unpacked numbers) or double."""
    shape = values.shape
    if form == "old":
        sizes = (*[1] * (4 - len(shape)), *shape)
        head = b"".join(field(number, size) for number, size in enumerate(sizes, 1))
    else:
        head = field(7, field(1, b"".join(varint(size) for size in shape)))
    if form == "single":
        return head + b"".join(varint(5 << 3 | 5) + struct.pack("<f", v) for v in values.reshape(-1))
    if form == "double":
        return head + field(8, values.astype("<f8").tobytes())
    return head + field(5, values.astype("<f4").tobytes())


def caffemodel(blobs: Blobs, form: str = "new", layers: str = "layer") -> bytes:
    """A NetParameter with nothing but weights; `layers` is layer, or layers for the older form."""
    name, values, number = (1, 7, 100) if layers == "layer" else (4, 6, 2)
    return field(1, "net") + b"".join(
        field(number, field(name, layer) + b"".join(field(values, blob(array, form)) for array in arrays))
        for layer, arrays in blobs.items()
    )


def saved(folder: Path, prototxt: str, model: bytes = b"") -> tuple[Path, Path]:
    """The two files of a network."""
    text, weights = folder / "net.prototxt", folder / "net.caffemodel"
    text.write_text(prototxt, encoding="utf-8")
    weights.write_bytes(model or caffemodel({}))
    return text, weights


def network(body: str, shape: Sequence[int] = (1, 4, 6, 8), name: str = "data") -> str:
    """A prototxt with one input `data` and the layers `body`."""
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'name: "net"\ninput: "{name}"\ninput_shape {{ {dims} }}\n{body}\n'


_PARAMETERS = {
    "BatchNorm": "batch_norm", "ConvolutionDepthwise": "convolution", "Deconvolution": "convolution",
    "InnerProduct": "inner_product", "Normalize": "norm", "PriorBox": "prior_box",
    "ShuffleChannel": "shuffle_channel",
}  # fmt: skip


def layer(kind: str, settings: str = "", bottoms: Sequence[str] = ("data",), name: str = "out") -> str:
    """One layer whose top is its name; `settings` are the fields of the message of its type."""
    message = f"{_PARAMETERS.get(kind, kind.lower())}_param"
    parameters = f"{message} {{ {settings} }}" if settings else ""
    wires = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
    return f'layer {{ name: "{name}" type: "{kind}" {wires} top: "{name}" {parameters} }}\n'


def numbers(*shape: int, seed: int = 0) -> Blob:
    """Numbers around 0."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)

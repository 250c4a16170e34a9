"""setup.bin of KL520, and of KL720 before the FlatBuffer form: a header of words, then nodes."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from modelbuild.errors import ModelbuildError
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.fw_info import Record
from modelbuild.formats.nef_tensor import NefTensor, geometry, input_format, layout_bytes

MAGIC = 0x8EB5A462
NAME = "NEF setup"
_COMMON = ("magic", "version", "node_end", "model_type", "app_type", "working_address", "working_size")
HEADERS: dict[str, tuple[str, ...]] = {
    "520": (
        *_COMMON,
        "input_row",
        "input_column",
        "input_channel",
        "command_address",
        "command_size",
        "weight_address",
        "weight_size",
        "input_address",
        "input_size",
        "input_radix",
        "outputs",
    ),
    "720": (
        *_COMMON,
        "command_address",
        "command_size",
        "weight_address",
        "weight_size",
        "input_address",
        "input_size",
        "inputs",
        "outputs",
    ),
}
NODES = {0: "in", 1: "cpu", 2: "output", 3: "data", 4: "super", 5: "input"}
# Words a node takes, by platform. On 520 a CPU node carries two (data 11 + super 8) inline.
_WORDS = {
    "520": {0: 2, 1: 15 + 2 * 19, 2: 12, 3: 11, 4: 8},
    "720": {0: 2, 1: 15, 2: 12, 3: 11, 4: 8, 5: 9},
}
_MAX_DIMENSION = 1 << 24


@dataclass(frozen=True)
class CpuNode:
    """An operator that the setup gives to the chip's processor.

    `op` is its name where the vendor's table has one. `code` is the number that stands for it, `layer` its
    place in the network, `options` the kind of its options, `inputs` and `outputs` are names of tensors.
    """

    name: str
    op: str
    code: int = 0
    layer: int | None = None
    options: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class LegacySetup:
    """What the block says. `header` has the words by name; `nodes` counts the kinds of nodes, which stop at
    the byte `end`. What follows is padding, or `stopped` says why it could not be read."""

    header: dict[str, int]
    inputs: tuple[NefTensor, ...]
    outputs: tuple[NefTensor, ...]
    cpu_nodes: tuple[CpuNode, ...]
    nodes: dict[str, int]
    end: int = 0
    stopped: str = ""


def decode(data: bytes, platform: str) -> LegacySetup:
    """Read the block, up to a node that is none. Errors: ModelbuildError with the offset inside it."""
    names, header = _header(data, platform)
    if header["magic"] != MAGIC:
        raise damaged(f"it begins with 0x{header['magic']:08x}, not 0x{MAGIC:08X}", NAME, 0)
    placed, end, stopped = _nodes(data, 4 * len(names), _end(data, header), platform)
    nodes = [node[1:] for node in placed]
    outputs = [_output(words, platform) for kind, words in nodes if kind == 2]
    supers = _supers_of_outputs(nodes)
    outputs = [replace(tensor, address=address) for tensor, address in zip(outputs, supers, strict=True)]
    inputs = [_input_node_of(words) for kind, words in nodes if kind == 5]
    if "input_channel" in header:
        inputs = [_input_in_header(header, platform)]
    cpu = tuple(CpuNode("", f"type {words[2]}", words[2]) for kind, words in nodes if kind == 1)
    counts = Counter(NODES[kind] for kind, _ in nodes)
    return LegacySetup(header, tuple(inputs), tuple(outputs), cpu, dict(counts), end, stopped)


def encode(platform: str, record: Record, inputs: Sequence[NefTensor], outputs: Sequence[NefTensor]) -> bytes:
    """The block for a model whose regions are in `record` (absolute addresses).

    A tensor that is not NCHW is described by `geometry`. KL520's header has room for one input: the first is
    described, `input_size` covers all of them.
    """
    first = inputs[0]
    channel, row, column = geometry(first.shape)
    values = {
        "magic": MAGIC,
        "version": 1,
        "node_end": 1,
        "model_type": 0,
        "app_type": 0,
        "working_address": record.working.address,
        "working_size": record.working.size,
        "input_row": row,
        "input_column": column,
        "input_channel": channel,
        "command_address": record.command.address,
        "command_size": record.command.size,
        "weight_address": record.weight.address,
        "weight_size": record.weight.size,
        "input_address": record.input.address,
        "input_size": record.input.size,
        "input_radix": first.radix & 0xFFFFFFFF,
        "inputs": len(inputs),
        "outputs": len(outputs),
    }
    parts = [struct.pack("<I", values[name]) for name in HEADERS[platform]]
    if 5 in _WORDS[platform]:
        parts += [_input_node(index, tensor, record) for index, tensor in enumerate(inputs)]
    parts.append(struct.pack("<2I", 0, 1))
    parts += [_output_nodes(index, tensor, record) for index, tensor in enumerate(outputs)]
    return b"".join(parts)


def addresses(data: bytes, platform: str) -> list[tuple[int, str, int]]:
    """(offset, region, value) of every word that holds an address: those of the header, whose region is known
    ("working", "command", "weight", "input"), and those of the nodes ("").

    Errors: ModelbuildError with the offset inside the block."""
    names, words = _header(data, platform)
    found = [
        (4 * index, name.removesuffix("_address"), words[name])
        for index, name in enumerate(names)
        if name.endswith("_address")
    ]
    nodes, end, stopped = _nodes(data, 4 * len(names), _end(data, words), platform)
    if stopped:
        raise damaged(stopped, NAME, end)
    for place, kind, node in nodes:
        found += [(place + 4 * index, "", node[index]) for index in _node_addresses(kind, len(node))]
    return found


def _node_addresses(kind: int, words: int) -> tuple[int, ...]:
    """The words of a node that hold an address: those of supers, inside CPU nodes too, and network inputs."""
    if kind == 1:
        return tuple(range(15 + 11 + 1, words, 19))
    return {4: (1,), 5: (6,)}.get(kind, ())


def _header(data: bytes, platform: str) -> tuple[tuple[str, ...], dict[str, int]]:
    names = HEADERS.get(platform)
    if names is None:
        raise ModelbuildError(f"platform {platform} has no setup of this form", where=NAME)
    return names, dict(zip(names, _words(data, 0, len(names)), strict=True))


def _end(data: bytes, header: dict[str, int]) -> int:
    """Where the nodes end. The vendor's reader takes the third word for it where it is a plausible length."""
    size = 4 * len(header)
    return header["node_end"] if size <= header["node_end"] <= len(data) else len(data)


def _input_node(index: int, tensor: NefTensor, record: Record) -> bytes:
    channel, row, column = geometry(tensor.shape)
    address = record.input.address + tensor.address
    return struct.pack(
        "<8Ii", 5, index, tensor.format, row, column, channel, address, tensor.size, tensor.radix
    )


def _output_nodes(index: int, tensor: NefTensor, record: Record) -> bytes:
    channel, row, column = geometry(tensor.shape)
    address = record.output.address + tensor.address
    node = struct.pack(
        "<10Iif", 2, 1, tensor.format, 0, 0, 0, row, column, channel, index, tensor.radix, tensor.scale
    )
    return node + struct.pack("<8I", 4, address, 0, 0, 0, row, column, channel)


def _nodes(
    data: bytes, place: int, end: int, platform: str
) -> tuple[list[tuple[int, int, tuple[int, ...]]], int, str]:
    """(offset, kind, words) of each node; where they stop; and why, if not for the end or padding."""
    found: list[tuple[int, int, tuple[int, ...]]] = []
    filled = len(data[:end].rstrip(b"\0"))  # zeros to the end are padding: no node is all zeros
    while place < filled:
        if place + 4 > end:
            return found, place, "a node is cut off"
        kind = _words(data, place, 1)[0]
        count = _WORDS[platform].get(kind)
        if count is None:
            return found, place, f"a node has the unknown kind {kind}"
        if place + 4 * count > end:
            return found, place, f"a node of kind {kind} is cut off"
        found.append((place, kind, _words(data, place, count)))
        place += 4 * count
    return found, place, ""


def _supers_of_outputs(nodes: list[tuple[int, tuple[int, ...]]]) -> list[int]:
    """The address of the first super node after each output node."""
    addresses: list[int] = []
    waiting = False
    for kind, words in nodes:
        if kind == 2:
            addresses.append(0)
            waiting = True
        elif kind == 4 and waiting:
            addresses[-1] = words[1]
            waiting = False
    return addresses


def _output(words: tuple[int, ...], platform: str) -> NefTensor:
    row, column, channel = words[6:9]
    radix, scale = struct.unpack("<if", struct.pack("<2I", words[10], words[11]))
    shape = (1, channel, row, column)
    return _tensor(shape, words[2], radix, scale, 0, layout_bytes(platform, words[2], shape))


def _input_node_of(words: tuple[int, ...]) -> NefTensor:
    row, column, channel = words[3:6]
    radix = struct.unpack("<i", struct.pack("<I", words[8]))[0]
    return _tensor((1, channel, row, column), words[2], radix, 1.0, words[6], words[7])


def _input_in_header(header: dict[str, int], platform: str) -> NefTensor:
    shape = (1, header["input_channel"], header["input_row"], header["input_column"])
    radix = struct.unpack("<i", struct.pack("<I", header["input_radix"]))[0]
    code = input_format(platform, 8)
    return _tensor(shape, code, radix, 1.0, header["input_address"], header["input_size"])


def _tensor(
    shape: tuple[int, ...], code: int, radix: int, scale: float, address: int, size: int
) -> NefTensor:
    if any(axis > _MAX_DIMENSION for axis in shape):
        raise damaged(f"a tensor has the impossible shape {shape}", NAME, 0)
    return NefTensor("", shape, code, radix, scale, address, size)


def _words(data: bytes, place: int, count: int) -> tuple[int, ...]:
    if place + 4 * count > len(data):
        raise damaged(f"it ends after {len(data)} bytes", NAME, place)
    return struct.unpack_from(f"<{count}I", data, place)

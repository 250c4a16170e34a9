"""The constants of modelbuild's own programs as numbers: weights, biases and factors of each convolution."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from modelbuild.artifacts.differing_weights import Array, Weight, blob
from modelbuild.errors import ModelbuildError
from modelbuild.npu.program import Instruction, decode
from modelbuild.npu.program.descriptor import LayerPlace
from modelbuild.npu.program.setups import ConvolutionSetup
from modelbuild.npu.program.tiles import Convolution
from modelbuild.npu.program.transfers import RAW, Layer, LoadConstants
from modelbuild.npu.simulator.decompress import unpack_short

Weights = dict[str, Weight]
_KINDS = ("conv", "gemm")  # layers whose tiles are convolutions
_MOST_RUNS = 1 << 16  # of the transfers of a program; what more have are not followed
_NARROW = np.dtype([("bias", "<i4"), ("multiplier", "<i4"), ("shift", "u1")])
_WIDE = np.dtype([("bias", "u1", 6), ("multiplier", "<i2"), ("shift", "u1")])
_PACKED = "constants as the program loads them; those of convolutions stand as numbers under their own names"
_MIXED = "constants as the program loads them; which of them are whose cannot be told"


def constants(label: str, command: bytes, weights: bytes) -> Weights:
    """What each group of layers loads as bytes, and of each convolution `/weights` (codes [outputs, inputs,
    rows, columns]), `/bias` and `/factor` (of the accumulator) as numbers. Nothing of a program that is
    damaged: `inspect` says so."""
    try:
        program = decode(command)
    except ModelbuildError:
        return {}
    layers = program.interface.layers
    found: Weights = {}
    for first, end, code in _groups(program.instructions, len(layers)):
        name = f"{label}/{layers[first].name}"
        loads = dict.fromkeys(one for one in code if isinstance(one, LoadConstants))
        places = dict.fromkeys((one.dram, _extent(one)) for one in loads)
        if not places:
            continue
        numbers = _numbers(label, layers[first:end], code, weights)
        data = b"".join(weights[start : start + size] for start, size in places)
        found[name] = blob(data, _MIXED if numbers is None else _PACKED)
        found |= numbers or {}
    return found


def _groups(code: Sequence[Instruction], count: int) -> Iterator[tuple[int, int, list[Instruction]]]:
    """(first layer, layer after the last, instructions) of each group."""
    starts = [place for place, one in enumerate(code) if isinstance(one, Layer) and one.index < count]
    for place, after in zip(starts, [*starts[1:], len(code)], strict=True):
        head, behind = code[place], code[after] if after < len(code) else None
        assert isinstance(head, Layer)
        end = behind.index if isinstance(behind, Layer) else count
        yield head.index, end, list(code[place + 1 : after])


def _extent(load: LoadConstants) -> int:
    """Bytes from the first to the last that a load reads."""
    return load.stored + sum((loop.count - 1) * loop.dram_stride for loop in load.loops)


@dataclass(frozen=True)
class _Chunk:
    """The constants of one tile: some output channels of a convolution."""

    setup: ConvolutionSetup
    codes: Array
    bias: Array
    factor: Array


def _numbers(
    label: str, layers: Sequence[LayerPlace], code: Sequence[Instruction], weights: bytes
) -> Weights | None:
    """Those of the group's convolutions; None where the tiles do not add up to the layers."""
    try:
        chunks = _chunks(code, weights)
    except (ModelbuildError, ValueError):
        return None
    shared = _shared(layers, chunks)
    if shared is None:
        return None
    found: Weights = {}
    for layer, own in shared:
        name = f"{label}/{layer.name}"
        for what in ("codes", "bias", "factor"):
            values = np.concatenate([getattr(chunk, what) for chunk in own])
            key = f"{name}/{'weights' if what == 'codes' else what}"
            found[key] = Weight(partial(_same, values))
    return found


def _same(values: Array) -> Array:
    return values


def _shared(
    layers: Sequence[LayerPlace], chunks: Sequence[_Chunk]
) -> list[tuple[LayerPlace, list[_Chunk]]] | None:
    """Each convolution with its chunks, by its channels and columns; None where any is left."""
    wanted = [layer for layer in layers if layer.kind in _KINDS and layer.unit == "npu"]
    own: list[list[_Chunk]] = [[] for _ in wanted]
    left = [_channels(layer) for layer in wanted]
    for chunk in chunks:
        count = len(chunk.bias)
        for index, layer in enumerate(wanted):
            alike = all(other.setup == chunk.setup for other in own[index])
            if alike and count <= left[index] and _columns(layer) == chunk.setup.output_width:
                own[index].append(chunk)
                left[index] -= count
                break
        else:
            return None
    return None if any(left) else list(zip(wanted, own, strict=True))


def _channels(layer: LayerPlace) -> int:
    shape = layer.outputs[0].shape if layer.outputs else (0,)
    return shape[1] if len(shape) > 1 else shape[0]


def _columns(layer: LayerPlace) -> int:
    shape = layer.outputs[0].shape if layer.outputs else ()
    return shape[-1] if len(shape) > 2 else 1


def _chunks(code: Sequence[Instruction], weights: bytes) -> list[_Chunk]:
    """The constants of each tile that has others than those before it, in the order of their first use."""
    memory = _Memory(weights)
    found: dict[tuple[object, ...], _Chunk] = {}
    setup: ConvolutionSetup | None = None
    for one in code:
        if isinstance(one, LoadConstants):
            memory.load(one)
        elif isinstance(one, ConvolutionSetup):
            setup = one
        elif isinstance(one, Convolution) and setup is not None:
            key = (memory.source(one.weights), setup, one.groups, one.group_outputs)
            if key not in found:
                found[key] = _chunk(memory, setup, one)
    return list(found.values())


def _chunk(memory: _Memory, setup: ConvolutionSetup, tile: Convolution) -> _Chunk:
    channels = tile.groups * tile.group_outputs
    shape = channels, setup.group_inputs, setup.kernel_height, setup.kernel_width
    count = channels * setup.group_inputs * setup.kernel_height * setup.kernel_width
    dtype = np.dtype("<i2" if setup.weight_type > 1 else "i1")
    narrow = setup.input_type < 2 and setup.weight_type < 2
    record = _NARROW if narrow else _WIDE
    size = count * dtype.itemsize
    data = memory.read(tile.weights, size + channels * record.itemsize)
    codes = np.frombuffer(data, dtype, count).reshape(shape)
    records = np.frombuffer(data, record, channels, size)
    bias = records["bias"] if narrow else _i48(records["bias"])
    factor = records["multiplier"].astype(np.float64) * np.exp2(-records["shift"].astype(np.float64))
    return _Chunk(setup, codes, np.ascontiguousarray(bias), factor)


def _i48(data: NDArray[np.uint8]) -> Array:
    wide = np.zeros((len(data), 8), np.uint8)
    wide[:, 2:] = data
    return wide.view("<i8")[:, 0] >> 16


class _Memory:
    """The constants in SRAM: which bytes lie where, and where they come from."""

    def __init__(self, weights: bytes) -> None:
        self._weights = weights
        self._runs = 0
        self._starts: list[int] = []
        self._pieces: list[tuple[bytes, int]] = []  # bytes, and their place in the weights section
        self._unpacked: dict[tuple[int, int, int], bytes] = {}

    def load(self, load: LoadConstants) -> None:
        """Raises ValueError beyond the section, or for more runs than are followed."""
        if load.codec != RAW:
            key = load.dram, load.stored, load.length
            if key not in self._unpacked:
                stored = np.frombuffer(self._stored(load.dram, load.stored), np.uint8)
                if load.length > 8 * load.stored:  # as much as flags of one bit can stand for
                    raise ValueError("packed constants that cannot be so long")
                self._unpacked[key] = unpack_short(stored, load.length).tobytes()
            self._put(load.sram, self._unpacked[key], load.dram)
            return
        for counters in product(*(range(loop.count) for loop in load.loops)):
            steps = list(zip(counters, load.loops, strict=True))
            dram = load.dram + sum(count * loop.dram_stride for count, loop in steps)
            sram = load.sram + sum(count * loop.sram_stride for count, loop in steps)
            self._put(sram, self._stored(dram, load.length), dram)

    def _stored(self, start: int, size: int) -> bytes:
        if start + size > len(self._weights):
            raise ValueError("constants beyond the section")
        return self._weights[start : start + size]

    def _put(self, start: int, data: bytes, source: int) -> None:
        """In the place of what lay there; of a piece that is partly covered the rest is forgotten."""
        self._runs += 1
        if self._runs > _MOST_RUNS:
            raise ValueError("too many transfers")
        first = bisect_right(self._starts, start)
        if first and self._starts[first - 1] + len(self._pieces[first - 1][0]) > start:
            first -= 1
        last = bisect_right(self._starts, start + len(data) - 1)
        self._starts[first:last] = [start]
        self._pieces[first:last] = [(data, source)]

    def source(self, start: int) -> int | None:
        """Where in the section the byte at `start` comes from; of packed ones, where these begin."""
        place = bisect_right(self._starts, start) - 1
        if place < 0 or start >= self._starts[place] + len(self._pieces[place][0]):
            return None
        return self._pieces[place][1] + start - self._starts[place]

    def read(self, start: int, size: int) -> bytes:
        """Bytes that may lie in several pieces. Raises ValueError where any was not loaded."""
        place = bisect_right(self._starts, start) - 1
        parts: list[bytes] = []
        end = start + size
        while start < end:
            if not 0 <= place < len(self._starts) or not (
                self._starts[place] <= start < self._starts[place] + len(self._pieces[place][0])
            ):
                raise ValueError("constants that were not loaded")
            skip = start - self._starts[place]
            parts.append(self._pieces[place][0][skip : skip + end - start])
            start += len(parts[-1])
            place += 1
        return b"".join(parts)

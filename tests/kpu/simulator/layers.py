"""Random layers of the KPU between upload and download, as kmodels of one module of the stack machine and one
of the KPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelbuild.formats.kmodel import kpu_geometry, kpu_tables
from modelbuild.formats.kmodel.kpu_registers import POOL_STRIDES, POOLS, RAM_BYTES, map_bytes
from modelbuild.formats.kmodel.kpu_tables import BatchNorm, Segment
from tests.kpu.simulator.handmade import (
    INPUT,
    OUTPUT,
    U8,
    Code,
    Module,
    at,
    conv2d,
    download,
    kmodel,
    upload,
)

_ALIGNMENT = 256


@dataclass(frozen=True)
class Layer:
    """One layer by its numbers; `weights` (output channels, input channels or 1, kernel, kernel)."""

    shape: tuple[int, int, int, int]
    weights: np.ndarray
    norms: tuple[BatchNorm, ...]
    segments: tuple[Segment, ...]
    pool: int = 0
    depthwise: bool = False
    pad_value: int = 0
    arg_x: int = 0
    shr_x: int = 0
    arg_w: int = 0
    shr_w: int = 0
    arg_add: int = 0

    @property
    def out(self) -> tuple[int, int, int, int]:
        """The shape of the result."""
        stride = POOL_STRIDES[self.pool]
        return self.shape[0], len(self.weights), self.shape[2] // stride, self.shape[3] // stride


def random_layer(random: np.random.Generator, *, width: int | None = None, channels: int = 0) -> Layer:
    """A layer whose values use the whole range of the table, and sometimes leave it."""
    pool = int(random.integers(10))
    low = POOL_STRIDES[pool]
    width = width or int(random.choice([4, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 130]))
    height = int(random.integers(max(4, low), 12))
    depthwise, kernel = bool(random.integers(2)), int(random.choice([1, 3]))
    source = channels or int(random.integers(1, 11))
    target = source if depthwise else channels or int(random.integers(1, 11))
    batches = int(random.choice([1, 1, 1, 2]))
    inner = 1 if depthwise else source
    weights = random.integers(0, 256, (target, inner, kernel, kernel)).astype(np.uint8)
    area = kernel * kernel * inner
    shift = int(random.integers(16))
    # What the sums can be at most, times the factor, must stay within 36 bits.
    most = area * (255 * 255 + 2 * 300 * 255 + (1 << 16))
    mul = int(min(random.integers(1 << 14, 1 << 22), (1 << 34 + shift) // (2 * most)))
    spread = 255 * 255 * area**0.5
    norms = tuple(
        BatchNorm(
            int(mul * random.uniform(0.5, 1.5)) * int(random.choice([-1, 1])),
            int(random.integers(-1 << 20, 1 << 20)),
            shift,
        )
        for _ in range(target)
    )
    zero = int(random.integers(256))
    reach = int(spread * mul / (1 << shift)) * 4 + (1 << 21)
    return Layer(
        (batches, source, height, width), weights, norms, _table(random, min(reach, (1 << 35) - 2)), pool,
        depthwise, zero, int(random.integers(-300, 300)), int(random.integers(3)),
        int(random.integers(-300, 300)), int(random.integers(3)), int(random.integers(-1 << 16, 1 << 16)),
    )  # fmt: skip


def _table(random: np.random.Generator, reach: int) -> tuple[Segment, ...]:
    starts = np.sort(random.integers(-reach, reach, 15))
    found = [Segment(-(1 << 35), 0, 0, int(random.integers(256)))]
    for start in starts.tolist():
        shift = int(random.integers(44))
        mul = int(random.integers(-(1 << 15), 1 << 15))
        if shift and random.integers(2):
            # A slope that stays within the bytes.
            mul = int(np.clip((1 << shift) * random.uniform(-200, 200) / reach, -(1 << 15), (1 << 15) - 1))
        found.append(Segment(start, mul, shift, int(random.integers(256))))
    return tuple(found)


def chain(*layers: Layer, main: bool = False) -> bytes:
    """A kmodel that runs layers one behind the other, from and to bytes; with `main` the last one writes its
    result to main memory itself."""
    rdata, text = bytearray(), b""
    first, last = layers[0], layers[-1]
    sizes = [first.shape, *(layer.out for layer in layers)]
    places = [0 if index % 2 == 0 else RAM_BYTES // 2 for index in range(len(sizes))]
    text += upload(at(INPUT, 0, 1), places[0], first.shape)
    for index, layer in enumerate(layers):
        tables = []
        for data in (
            kpu_tables.pack_activation(layer.segments),
            kpu_tables.pack_batch_norm(layer.norms),
            layer.weights.tobytes(),
        ):
            rdata += bytes(-len(rdata) % _ALIGNMENT)
            tables.append(len(rdata))
            rdata += data
        target, source = layer.out, layer.shape
        registers = kpu_geometry.layer(
            source[1:],
            target[1],
            kernel=layer.weights.shape[2],
            depthwise=layer.depthwise,
            pool=POOLS[layer.pool],
            src=places[index],
            dst=places[index + 1],
            pad_value=layer.pad_value,
            arg_w=layer.arg_w,
            arg_x=layer.arg_x,
            arg_add=layer.arg_add,
            shr_w=layer.shr_w,
            shr_x=layer.shr_x,
        )
        ends = main and index == len(layers) - 1
        result = at(OUTPUT, 0, int(np.prod(target))) if ends else bytes(12)
        text += conv2d(tables[2], tables[1], tables[0], registers, result, source[0])
    if not main:
        text += download(places[-1], at(OUTPUT, 0, 1), last.out)
    source, target = (U8, first.shape), (U8, last.out)
    code = Code().call(1, [((INPUT, 0), source)], [((OUTPUT, 0), target)]).op("ret")
    return kmodel(
        Module("stackvm", bytes(code.data), [source], [target]),
        Module("k210", text, [source], [target], bytes(rdata)),
    )


def fits(layer: Layer) -> bool:
    """Whether both maps have room in the halves of the RAM."""
    return all(
        batches * map_bytes(width, height, channels) <= RAM_BYTES // 2
        for batches, channels, height, width in (layer.shape, layer.out)
    )

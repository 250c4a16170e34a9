"""Version 3 of kmodel (nncase 0.1, K210): a header without magic, outputs, and layers."""

from __future__ import annotations

from collections.abc import Iterator

from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import convolutions, kpu_registers, layers
from modelbuild.formats.kmodel.filling import filled
from modelbuild.formats.kmodel.layers_v3 import KINDS, MAIN_MEMORY_OUT
from modelbuild.formats.kmodel.model import Kmodel, Layer, Span, Tensor, Unknown
from modelbuild.formats.kmodel.records import NAME, record, words
from modelbuild.formats.parts import Part

HEADER = record(
    "version:u32 flags:u32 arch:u32 layers:u32 max_start_address:u32 main_mem_usage:u32 output_count:u32"
)
OUTPUT = record("address:u32 size:u32")
LAYER = record("type:u32 body_size:u32")
MAX_LAYERS = 4096
_MAX_OUTPUTS = 64
_MAX_TRAILING = 64  # bytes after the last layer of a file whose layers are not all known
_ALIGNMENT = 8  # bodies end there; the padding of the last one may be missing (observed)
_EIGHT_BIT = 1
# What layers write that are known to write one type. Source: kpu.c of Kendryte's standalone SDK.
_WRITES = {
    **dict.fromkeys((5, 9, 12, 14, 15, 18, 24, 25), "float32"),
    **dict.fromkeys((2, 8, 11, 13, 10240, 10242), "uint8"),
}


def fits(data: bytes) -> bool:
    """Whether the bytes are of version 3, which has no magic: the counts and sizes must add up."""
    return _misfit(data) is None


def _misfit(data: bytes) -> tuple[str, int] | None:
    """What does not add up, and the offset; None where all does."""
    if len(data) < HEADER.size:
        return f"a header has {HEADER.size} bytes, and there are {len(data)}", 0
    version, flags, arch, count, _, _, outputs = words(data, 0, "7I")
    if version != 3 or flags > 0xFF or arch:
        return "it has no magic and is not of version 3 either", 0
    if not 1 <= count <= MAX_LAYERS or not 1 <= outputs <= _MAX_OUTPUTS:
        return f"it claims {count} layers and {outputs} outputs", 12
    table = HEADER.size + OUTPUT.size * outputs
    place = table + LAYER.size * count
    if place > len(data):
        return f"the list of {count} layers ends past its {len(data)} bytes", table
    numbers = words(data, table, f"{2 * count}I")
    for index, size in enumerate(numbers[1::2]):
        if place + size >= len(data) + _ALIGNMENT:
            return f"layer {index} of {count}, of {size} bytes, ends past its {len(data)} bytes", place
        place += size
    known = all(code in KINDS for code in numbers[::2])
    if not known and len(data) - place > _MAX_TRAILING:
        return f"{len(data) - place} bytes follow the last layer, and not all layers are known", place
    return None


def read(data: bytes) -> Kmodel:
    """Errors: ModelbuildError with the offset."""
    misfit = _misfit(data)
    if misfit is not None:
        raise damaged(misfit[0], NAME, misfit[1])
    _, flags, _, count, _, main_memory, outputs = words(data, 0, "7I")
    table = HEADER.size + OUTPUT.size * outputs
    parts = [Part(0, HEADER.size, "header"), Part(HEADER.size, table - HEADER.size, "outputs")]
    parts.append(Part(table, LAYER.size * count, "list of layers"))
    found: list[Layer] = []
    budget = convolutions.budget(data)
    place = table + LAYER.size * count
    for index, (code, size) in enumerate(_pairs(words(data, table, f"{2 * count}I"))):
        body = Span(place, min(size, len(data) - place))
        kind = KINDS.get(code)
        layer, more = layers.read(
            data, body, code, kind, f"layer {index}, {kind.name if kind else code}", budget
        )
        found.append(layer)
        parts += more
        place = body.end
    unknown = [Unknown("flags", 4, flags)] if flags & ~_EIGHT_BIT else []
    return Kmodel(
        3,
        data,
        flags=flags,
        target="k210",
        inputs=tuple(_inputs(found[0])),
        outputs=tuple(_outputs(words(data, HEADER.size, f"{2 * outputs}I"), found)),
        layers=tuple(found),
        main_memory=main_memory,
        found=filled(data, parts),
        unknown=tuple(unknown),
        checks=(layers.kpu_check(found, data),),
        unread=len(data) - place,
    )


def _inputs(first: Layer) -> Iterator[Tensor]:
    """What the vendor's runtime copies in: the file has no list, so the first layer decides."""
    if first.convolution:
        fields = kpu_registers.decode(first.convolution.registers)
        shape = (1, fields["ic"], fields["ih"], fields["iw"])
        address = fields["src_addr"] * kpu_registers.RAM_UNIT
        size = shape[1] * shape[2] * shape[3]
        yield Tensor("uint8", shape, "kpu", address, size)
    elif "in_channels" in first.values:
        channels, address = (int(str(first.values[name])) for name in ("in_channels", "main_mem_in_address"))
        yield Tensor("float32", (1, channels), "main", address, 4 * channels)


def _outputs(numbers: tuple[int, ...], found: list[Layer]) -> Iterator[Tensor]:
    """The shape is not stored; the type is that of the last layer that writes to the address."""
    for address, size in _pairs(numbers):
        writers = [layer for layer in found if _written(layer) == address]
        yield Tensor(_WRITES.get(writers[-1].code, "") if writers else "", None, "main", address, size)


def _written(layer: Layer) -> object:
    if layer.convolution and not int(str(layer.values["flags"])) & MAIN_MEMORY_OUT:
        return None
    return layer.values.get("main_mem_out_address", layer.values.get("mem_out_address"))


def _pairs(numbers: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    return zip(numbers[::2], numbers[1::2], strict=True)

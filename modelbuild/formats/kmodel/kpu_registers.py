"""The twelve 64-bit registers that describe a layer to the KPU of the K210, by field, read and written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats.kmodel.records import numbered

COUNT = 12
SIZE = 8 * COUNT  # bytes
RAM_BYTES = 2 << 20
RAM_UNIT = 64  # bytes that src_addr and dst_addr count
KERNELS = {0: 1, 1: 3}  # register value: width and height
POOLS = numbered(
    "bypass max_2_s2 mean_2_s2 max_4_s4 mean_4_s4 left_top_2_s2 right_top_2_s2 left_top_4_s4 mean_2_s1"
    " max_2_s1"
)
POOL_STRIDES = (1, 2, 2, 4, 4, 2, 2, 4, 1, 1)


@dataclass(frozen=True)
class Bits:
    """`width` bits of a register from `low` on; the stored number is the value less `less`."""

    register: int
    name: str
    low: int
    width: int
    less: int = 0
    signed: bool = False


def _bits(register: int, text: str) -> tuple[Bits, ...]:
    """From "name@low,width": a `+` before the comma stores one less, a `~` means signed."""
    found = []
    for word in text.split():
        name, _, place = word.partition("@")
        low, _, width = place.rstrip("+~").partition(",")
        found.append(
            Bits(register, name, int(low), int(width), int(place.endswith("+")), place.endswith("~"))
        )
    return tuple(found)


FIELDS: tuple[Bits, ...] = (
    *_bits(0, "int_en@0,1 ram_flag@1,1 full_add@2,1 depthwise@3,1"),
    *_bits(1, "src_addr@0,15 dst_addr@32,15"),
    *_bits(2, "ic@0,10+ oc@32,10+ oc_per_load@48,10+"),
    *_bits(3, "iw@0,10+ ih@10,9+ ow@32,10+ oh@42,9+"),
    *_bits(4, "kernel@0,3 pad_type@3,1 pool@4,4 first_stride@8,1 bypass@9,1 load_para@10,1"),
    *_bits(4, "dma_burst@16,8 pad_value@24,8 bwsx_base@32,32"),
    *_bits(5, "load_coor@0,1 load_time@1,6+ para_size@15,17 para_start@32,32"),
    *_bits(6, "column_offset@0,4 row_offset@4,12"),
    *_bits(
        7, "ch_switch@0,15 row_switch@16,4 coef_size@20,8 coef_group@28,3 load_act@31,1 active_addr@32,32"
    ),
    *_bits(8, "wb_ch_switch@0,15 wb_row@16,4 wb_group@20,3"),
    *_bits(9, "shr_w@0,4 shr_x@4,4 arg_w@8,24~ arg_x@32,24~"),
    *_bits(10, "arg_add@0,40~"),
    *_bits(11, "send_out@0,1 channel_bytes@16,16+ total_bytes@32,32+"),
)


def decode(registers: Sequence[int]) -> dict[str, int]:
    """Every field by name, counts as counts (the registers hold one less)."""
    found = {}
    for bits in FIELDS:
        value = registers[bits.register] >> bits.low & ((1 << bits.width) - 1)
        if bits.signed and value >> (bits.width - 1):
            value -= 1 << bits.width
        found[bits.name] = value + bits.less
    return found


@dataclass(frozen=True)
class Layer:
    """All fields of a layer, counts as counts. What has a default is the same in all layers that nncase 1.9
    writes; addresses are in units of 64 bytes of the KPU's RAM, other sizes in bytes.

    `bwsx_base`, `para_start` and `active_addr` are filled in by the runtime."""

    src_addr: int
    dst_addr: int
    ic: int
    oc: int
    oc_per_load: int
    iw: int
    ih: int
    ow: int
    oh: int
    kernel: int
    pool: int
    pad_value: int
    load_time: int
    para_size: int
    ch_switch: int
    row_switch: int
    coef_group: int
    wb_ch_switch: int
    wb_row: int
    wb_group: int
    arg_w: int
    arg_x: int
    arg_add: int
    channel_bytes: int
    total_bytes: int
    depthwise: int = 0
    shr_w: int = 0
    shr_x: int = 0
    send_out: int = 0
    load_para: int = 1
    dma_burst: int = 15
    load_coor: int = 1
    load_act: int = 1
    int_en: int = 0
    ram_flag: int = 0
    full_add: int = 0
    pad_type: int = 0
    first_stride: int = 0
    bypass: int = 0
    bwsx_base: int = 0
    para_start: int = 0
    column_offset: int = 0
    row_offset: int = 0
    coef_size: int = 0
    active_addr: int = 0


def unpack(registers: Sequence[int]) -> Layer:
    """The layer of these registers; ModelbuildError if bits without a name are set, which it cannot hold."""
    for number, rest in enumerate(reserved(registers)):
        if rest:
            raise ModelbuildError(f"layer register {number} has bits that nobody documents: 0x{rest:x}")
    return Layer(**decode(registers))


def pack(layer: Layer) -> tuple[int, ...]:
    """The registers of a layer: the inverse of `unpack`. ModelbuildError for a field that does not fit."""
    registers = [0] * COUNT
    for bits in FIELDS:
        given = getattr(layer, bits.name)
        value = given - bits.less
        low, high = (-(1 << bits.width - 1), 1 << bits.width - 1) if bits.signed else (0, 1 << bits.width)
        if not low <= value < high:
            raise ModelbuildError(
                f"layer field {bits.name} does not hold {given}: {low + bits.less} to {high + bits.less - 1}"
            )
        registers[bits.register] |= (value & ((1 << bits.width) - 1)) << bits.low
    return tuple(registers)


def reserved(registers: Sequence[int]) -> tuple[int, ...]:
    """What the bits hold that have no name, by register; all 0 in files of the vendor's."""
    masks = [0] * COUNT
    for bits in FIELDS:
        masks[bits.register] |= ((1 << bits.width) - 1) << bits.low
    return tuple(register & ~mask for register, mask in zip(registers, masks, strict=True))


def kernel_size(fields: Mapping[str, int]) -> int:
    """Width and height of the kernel; 3 where the register means neither kind that there is."""
    return KERNELS.get(fields["kernel"], 3)


def weight_count(fields: Mapping[str, int]) -> int:
    """Weights of the layer: one kernel a channel, or one for each pair of channels."""
    area = kernel_size(fields) ** 2
    return area * fields["oc"] * (1 if fields["depthwise"] else fields["ic"])


def row_layout(width: int) -> tuple[int, int]:
    """How a map lies in the RAM of the KPU: channels that share a row of 64 bytes, and rows of a line.

    Source: nncase v1.9.0, runtime_op_utility.h, get_kpu_row_layout."""
    if width <= RAM_UNIT // 2:
        return (4 if width <= RAM_UNIT // 4 else 2), 1
    return 1, -(-width // RAM_UNIT)


def map_bytes(width: int, height: int, channels: int) -> int:
    """Bytes of a feature map in the RAM of the KPU."""
    group, rows = row_layout(width)
    return RAM_UNIT * rows * height * -(-channels // group)


def shape_bytes(shape: Sequence[int]) -> int:
    """Bytes of feature maps [N, C, H, W] in the RAM of the KPU."""
    batches, channels, height, width = shape
    return batches * map_bytes(width, height, channels)


def problems(registers: Sequence[int]) -> list[str]:
    """What the KPU cannot do of this layer of 8 bits, or what its registers say against each other; empty if
    nothing. Source: the layer registers and limits as nncase uses them."""
    fields = decode(registers)
    found = []
    if fields["kernel"] not in KERNELS:
        found.append(f"kernel {fields['kernel']} is neither 1x1 (0) nor 3x3 (1)")
    if fields["pool"] not in POOLS:
        found.append(f"pool {fields['pool']} is none of 0 to {len(POOLS) - 1}")
        return found
    found += _wrong_sizes(fields)
    if fields["depthwise"] and fields["ic"] != fields["oc"]:
        found.append(f"depthwise from {fields['ic']} to {fields['oc']} channels")
    one = weight_count(fields) // fields["oc"]
    channels = min(fields["oc_per_load"], fields["oc"])
    if not fields["bypass"] and fields["para_size"] != channels * one:
        found.append(f"a load has {fields['para_size']} bytes, and {channels} channels have {one} each")
    if fields["load_time"] * fields["oc_per_load"] < fields["oc"]:
        found.append(f"{fields['load_time']} loads of {channels} channels are fewer than {fields['oc']}")
    return found


def _wrong_sizes(fields: Mapping[str, int]) -> Iterator[str]:
    """Sizes of the result that the pool does not make of the input's, and maps outside of the RAM."""
    stride, pool = POOL_STRIDES[fields["pool"]], POOLS[fields["pool"]]
    for out, size in (("ow", fields["iw"]), ("oh", fields["ih"])):
        if fields[out] not in (max(1, size // stride), -(-size // stride)):
            yield f"{out} is {fields[out]}, and {pool} makes {size // stride} of {size}"
    for what, place, shape in (
        ("input", "src_addr", ("iw", "ih", "ic")),
        ("output", "dst_addr", ("ow", "oh", "oc")),
    ):
        end = fields[place] * RAM_UNIT + map_bytes(*(fields[name] for name in shape))
        if end > RAM_BYTES:
            yield f"its {what} ends at {end} of {RAM_BYTES} bytes"

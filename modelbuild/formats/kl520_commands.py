"""The DRAM addresses in KL520's command streams, and how they follow when a model is moved.

The stream is words of 32 bits, little endian. One that begins with the bits 1000 sets half of a register:
bits 26 and 27 are the queue, 16 to 25 the half's number, 0 to 15 its value (vendor: `npu.h` and
`kmdw_model.c` of the KL520 firmware in kneron_plus 2.3.0, which changes addresses in commands itself). A
register's low half has the even number, its high half the next one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats.fw_info import Record, Region

# Low halves of the registers that hold DRAM addresses (npu.h: those with a start or destination of 32 bits).
ADDRESSES = {
    0x0E: "RDMA0_SRC0",
    0x18: "RDMA1_SRC0",
    0x2E: "GETW0",
    0x28: "RDMA2_SRC3",
    0x36: "WDMA0_DST0",
    0x40: "WDMA1_DST0",
}
# Counts from RDMA2_SRC3, which the firmware sets to the input (observed: always inside the input).
_OFFSET = 0x22
_REGIONS = ("input", "output", "working", "command", "weight", "setup")
_CONFIGURE = 0b1000
_OTHERS = (0, 1)  # what actions begin with


@dataclass(frozen=True)
class Address:
    """An address that two words at `offset` and `offset + 4` set."""

    offset: int
    register: str
    value: int


def addresses(command: bytes) -> list[Address]:
    """The addresses that the commands set, in order.

    Errors: ModelbuildError for words of a form that is not known, and for half an address.
    """
    if len(command) % 4:
        raise _refused(len(command) - len(command) % 4, "it does not end with a whole word")
    words = struct.unpack(f"<{len(command) // 4}I", command)
    found: list[Address] = []
    high = -1  # where the high half of the last address is
    for index, word in enumerate(words):
        kind, number = word >> 28, word >> 16 & 0x3FF
        if kind != _CONFIGURE:
            if kind not in _OTHERS or word & 0x8000:
                raise _refused(4 * index, f"the word 0x{word:08x} is of no form that is known")
            continue
        if number in ADDRESSES or number == _OFFSET:
            pair = words[index + 1] if index + 1 < len(words) else 0
            if pair >> 16 != (word >> 16) + 1:
                raise _refused(4 * index, "an address is set by its low half alone")
            high = index + 1
            value = (pair & 0xFFFF) << 16 | word & 0xFFFF
            found.append(Address(4 * index, ADDRESSES.get(number, "RDMA2_SRC0"), value))
        elif (number - 1 in ADDRESSES or number - 1 == _OFFSET) and index != high:
            raise _refused(4 * index, "an address is set by its high half alone")
    return found


def moved(command: bytes, old: Record, new: Record) -> bytes:
    """The commands of a model whose regions were `old` and are `new`: each address moves with the region that
    it lies in. Errors: ModelbuildError as of `addresses`, and for an address in no region of the model."""
    changed = bytearray(command)
    for address in addresses(command):
        if address.register == "RDMA2_SRC0" and address.value < old.input.size:
            continue
        regions = [(getattr(old, name), getattr(new, name)) for name in _REGIONS]
        value = address.value + _shift(address, regions)
        for place, half in ((address.offset, value & 0xFFFF), (address.offset + 4, value >> 16)):
            struct.pack_into("<H", changed, place, half)
    return bytes(changed)


def movable(command: bytes, record: Record) -> bool:
    """Whether every address is known, so that the model may be moved."""
    try:
        moved(command, record, record)
    except ModelbuildError:
        return False
    return True


def _shift(address: Address, regions: Sequence[tuple[Region, Region]]) -> int:
    for before, after in regions:
        if before.address <= address.value < before.address + max(before.size, 1):
            return after.address - before.address
    raise _refused(
        address.offset, f"{address.register} is set to 0x{address.value:08x}, in no region of the model"
    )


def _refused(offset: int, why: str) -> ModelbuildError:
    return ModelbuildError(
        "KL520 commands cannot be moved", where=f"offset 0x{offset:x} of the command", why=why
    )

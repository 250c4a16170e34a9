"""Addresses in KL520's commands: found in a real stream, moved, and refused where they are not all known."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import kl520_commands, nef
from modelbuild.formats.fw_info import Record, Region
from modelbuild.formats.kl520_commands import addresses, movable, moved

OLD = Record(
    1,
    1,
    Region(0x60000000, 0x1000),
    Region(0x60001000, 0x100),
    Region(0x60002000, 0x10000),
    Region(0x60020000, 64),
    Region(0x60020040, 0x1000),
    Region(0x60021040, 72),
)
NEW = Record(
    1,
    1,
    Region(0x60000000, 0x1000),
    Region(0x60003000, 0x100),
    Region(0x60008000, 0x10000),
    Region(0x60051000, 64),
    Region(0x60051040, 0x1000),
    Region(0x60052040, 72),
)


def configure(number: int, value: int, queue: int = 0) -> bytes:
    """Both halves of a register."""
    words = (0x80000000 | queue << 26 | number + half << 16 | value >> 16 * half & 0xFFFF for half in (0, 1))
    return struct.pack("<2I", *words)


ACTION = struct.pack("<2I", 0x4080, 0x10007C00)


def test_every_address_moves_with_its_region() -> None:
    command = (
        configure(0x22, 0x340)
        + configure(0x24, 0x340)
        + ACTION
        + configure(0x2E, 0x60020050, 3)
        + configure(0x36, 0x60001010)
        + configure(0x40, 0x6000F000)
        + configure(0x0E, 0x60002FFC)
        + configure(0x6A, 0x60020050)  # no address, whatever it looks like
    )
    changed = moved(command, OLD, NEW)
    assert [(at.register, at.value) for at in addresses(changed)] == [
        ("RDMA2_SRC0", 0x340),
        ("GETW0", 0x60051050),
        ("WDMA0_DST0", 0x60003010),
        ("WDMA1_DST0", 0x60015000),
        ("RDMA0_SRC0", 0x60008FFC),
    ]
    assert changed.endswith(configure(0x6A, 0x60020050)) and ACTION in changed
    assert moved(changed, NEW, OLD) == command and movable(command, OLD)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (configure(0x2E, 0x60020050)[:4], "low half alone"),
        (configure(0x2E, 0x60020050)[:4] + ACTION, "low half alone"),
        (configure(0x36, 0x60001010)[4:], "high half alone"),
        (configure(0x2E, 0x60020050)[:4] + configure(0x2E, 0x60020050, 3)[4:], "low half alone"),
        (configure(0x2E, 0x10), "in no region of the model"),
        (configure(0x22, 0x1000), "in no region of the model"),
        (configure(0x28, 0x5), "in no region of the model"),
        (b"\0" * 6, "whole word"),
        (struct.pack("<I", 0x40000000), "no form that is known"),
        (struct.pack("<I", 0x00008022), "no form that is known"),
    ],
)
def test_what_is_not_known_is_refused(command: bytes, why: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        moved(ACTION + command, OLD, NEW)
    assert why in str(caught.value)
    assert not movable(ACTION + command, OLD)


@given(st.lists(st.sampled_from([0x22, 0x2E, 0x36, 0x18, 0x70, -1, -2]), max_size=20), st.randoms())
def test_any_stream_is_moved_and_back_or_refused(kinds: list[int], draw: Random) -> None:
    parts = []
    for kind in kinds:
        region = draw.choice([OLD.input, OLD.output, OLD.working, OLD.weight, Region(0, 0x1000)])
        value = region.address + draw.randrange(region.size)
        parts.append(configure(kind, value) if kind > 0 else ACTION if kind == -1 else draw.randbytes(4))
    command = b"".join(parts)
    try:
        changed = moved(command, OLD, NEW)
    except ModelbuildError:
        return
    assert moved(changed, NEW, OLD) == command and len(changed) == len(command)


def test_a_real_stream_sets_addresses_of_its_regions_only(shared_data: Path) -> None:
    read = nef.read((shared_data / "artifacts/nef/kl520_ssd_fd_lm.nef").read_bytes())
    first, second = read.models
    assert first.regions is not None and second.regions is not None
    found = Counter(at.register for at in addresses(first.command))
    assert found == {"GETW0": 44, "WDMA0_DST0": 19, "RDMA2_SRC0": 8, "RDMA0_SRC0": 4}
    for model in read.models:
        assert model.regions is not None
        assert moved(model.command, model.regions, model.regions) == model.command
    with pytest.raises(ModelbuildError):
        moved(first.command, second.regions, first.regions)


def test_registers_are_those_of_the_vendors_header() -> None:
    assert all(number % 2 == 0 for number in kl520_commands.ADDRESSES)

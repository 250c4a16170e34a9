"""The old setup block: nodes of every kind, and shapes that it has no room for."""

from __future__ import annotations

import struct

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import setup_legacy
from modelbuild.formats.fw_info import Record, Region
from modelbuild.formats.nef_tensor import NefTensor

PLACE = Region(0x100, 0x40)
RECORD = Record(1, 1, PLACE, PLACE, PLACE, PLACE, PLACE, PLACE)
INPUT = NefTensor("in", (1, 3, 6, 10), 16, -3, 1.0, 0, 180)
OUTPUT = NefTensor("out", (1, 4, 3, 5), 8, 5, 1.25, 16, 60)


@pytest.mark.parametrize("platform", ["520", "720"])
def test_what_is_written_is_read(platform: str) -> None:
    read = setup_legacy.decode(setup_legacy.encode(platform, RECORD, [INPUT], [OUTPUT, OUTPUT]), platform)
    assert (read.inputs[0].shape, read.inputs[0].radix, read.inputs[0].scale) == ((1, 3, 6, 10), -3, 1.0)
    assert [(t.shape, t.radix, t.scale, t.address) for t in read.outputs] == [
        ((1, 4, 3, 5), 5, 1.25, 0x110)
    ] * 2
    assert read.header["working_address"] == 0x100
    assert read.nodes["output"] == 2 and read.nodes["in"] == 1


def node(kind: int, words: int, *values: int) -> bytes:
    return struct.pack(f"<{words}I", kind, *values, *[0] * (words - 1 - len(values)))


def test_cpu_nodes_have_their_data_inline_on_520_only() -> None:
    header = setup_legacy.encode("520", RECORD, [INPUT], [])
    data = header + node(1, 53, 1, 7) + node(2, 12, 1, 8, 0, 0, 0, 2, 2, 4)
    read = setup_legacy.decode(data, "520")
    assert [item.op for item in read.cpu_nodes] == ["type 7"]
    assert read.outputs[0].shape == (1, 4, 2, 2)
    header = setup_legacy.encode("720", RECORD, [INPUT], [])
    data = (
        header + node(1, 15, 1, 9) + node(3, 11, 1) + node(4, 8, 0x77) + node(2, 12, 1, 5, 0, 0, 0, 2, 2, 4)
    )
    read = setup_legacy.decode(data, "720")
    assert [item.op for item in read.cpu_nodes] == ["type 9"]
    assert read.nodes == {"input": 1, "in": 1, "cpu": 1, "data": 1, "super": 1, "output": 1}
    assert read.outputs[0].address == 0


def test_a_plausible_third_word_ends_the_nodes() -> None:
    data = bytearray(setup_legacy.encode("520", RECORD, [INPUT], [OUTPUT]) + b"\xff" * 8)
    stopped = setup_legacy.decode(bytes(data), "520")
    assert (stopped.end, stopped.stopped) == (len(data) - 8, "a node has the unknown kind 4294967295")
    with pytest.raises(ModelbuildError, match="unknown kind"):
        setup_legacy.addresses(bytes(data), "520")
    struct.pack_into("<I", data, 8, len(data) - 8)
    assert len(setup_legacy.decode(bytes(data), "520").outputs) == 1


def test_padding_after_the_nodes_is_no_node() -> None:
    data = setup_legacy.encode("720", RECORD, [INPUT], [OUTPUT]) + bytes(4)
    assert setup_legacy.decode(data, "720").nodes["in"] == 1


def test_a_node_that_is_cut_off_ends_the_nodes() -> None:
    data = setup_legacy.encode("720", RECORD, [INPUT], [OUTPUT])
    for cut in (data[:-4], data[:-20]):
        read = setup_legacy.decode(cut, "720")
        assert (read.nodes.get("super", 0), read.stopped) == (0, "a node of kind 4 is cut off")
        assert read.end == len(data) - 32


def test_a_block_without_the_magic_is_none() -> None:
    data = setup_legacy.encode("720", RECORD, [INPUT], [OUTPUT])
    with pytest.raises(ModelbuildError, match="begins with 0x00000001"):
        setup_legacy.decode(b"\1\0\0\0" + data[4:], "720")


def test_shapes_beyond_reason_are_refused() -> None:
    data = setup_legacy.encode("520", RECORD, [INPUT], []) + node(2, 12, 1, 8, 0, 0, 0, 1 << 30, 1, 1)
    with pytest.raises(ModelbuildError, match="impossible shape"):
        setup_legacy.decode(data, "520")


def test_platforms_without_this_block_are_refused() -> None:
    with pytest.raises(ModelbuildError, match="no setup of this form"):
        setup_legacy.decode(bytes(100), "730")

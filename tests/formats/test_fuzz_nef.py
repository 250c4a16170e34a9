"""Altered NEFs of every generation: the documented error or a result, in bounded time and memory."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from time import process_time

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer, nef, nef_combine, nef_edit, nef_extract, nef_parts
from tests.formats import fuzzing, nef_sources
from tests.formats import vendor_nef as vendor
from tests.formats.fuzzing import BYTES, LONG, SECONDS, SHORT, Case
from tests.formats.test_vendor_nef import FILES

Reader = Callable[[bytes], None]
FILES_OF_ALL = {
    **{f"vendor {name}": data for name, data in FILES.items()},
    **{
        f"ours {setup} {platform}": nef_sources.build(platform, setup, base, *map(nef_sources.source, (1, 2)))
        for platform, setup, base in nef_sources.GENERATIONS
    },
}
EVERY = pytest.mark.parametrize("name", FILES_OF_ALL)
PROTECTED = ("vendor kne", "vendor flatbuffer 720 relative", "vendor legacy520")


def other(name: str) -> nef.Nef:
    """What a mutation of the file is combined with: another id, the same chip and generation."""
    maker, kind, *rest = name.split(" ")
    if maker == "ours":
        (base,) = (
            at for platform, setup, at in nef_sources.GENERATIONS if [setup, platform] == [kind, rest[0]]
        )
        return nef.read(nef_sources.build(rest[0], kind, base, nef_sources.source(3, id=33668)))
    if kind == "kne":
        return nef.read(vendor.kne((999,), old=bool(rest)))
    if kind == "flatbuffer":
        setup = vendor.setup_flatbuffer(rest[0], 1 if rest[1] == "absolute" else 2)
        return nef.read(vendor.simple(rest[0], setup, 0x80000000, (999,), gap=1 << 16))
    chip, setup = ("720", vendor.setup_720) if kind == "legacy720" else ("520", vendor.setup_520)
    return nef.read(vendor.simple(chip, setup, 0x60000000, (999,), gap=1 << 16))


OTHERS = {name: other(name) for name in FILES_OF_ALL}


def everything(data: bytes, second: nef.Nef) -> None:
    """Read, account for every byte, write, and do what the verbs do."""
    read = nef.read(data)
    assert nef.write(read) == data
    end = 0
    for part in nef_parts.parts(read):
        assert end >= part.offset and part.size > 0
        end = max(end, part.offset + part.size)
    assert end == len(data)
    for name in nef_extract.files(read):
        assert "/" not in name and "\\" not in name and name not in (".", "..")
    renewed = nef.Nef(read.file, read.generation, read.models, (), read.firmware_info, read.kne)
    nef_edit.edited(renewed, {read.models[0].id: 77} if read.models else {})
    nef_combine.combine([renewed, second], drop_unknown=True)


def whole(data: bytes) -> bytes:
    """With a right tail where there was one: mutations must come to what the tail protects."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little") if len(data) > 8 else data


def reader(name: str) -> Reader:
    """Reads and writes every input, and does everything with one in sixteen."""

    def run(data: bytes) -> None:
        assert nef.write(nef.read(data)) == data
        if zlib.crc32(data) % 16 == 0:
            everything(data, OTHERS[name])

    return run


CASES = {
    **{
        f"nef {name}": Case(reader(name), lambda name=name: FILES_OF_ALL[name], whole)  # type: ignore[misc]
        for name in FILES_OF_ALL
    },
    # The blocks inside alone: with mutations of the whole file most end in its first tables.
    **{
        f"nef inside {name}": Case(
            reader(name),
            lambda name=name: _inside(name),  # type: ignore[misc]
            lambda data, name=name: _around(name, data),  # type: ignore[misc]
        )
        for name in PROTECTED
    },
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.long)], ids=["short", "long"])
def test_mutations(name: str, count: int) -> None:
    assert 0 < fuzzing.check(CASES[name], count).read < count


@EVERY
def test_unaltered_it_goes_together_with_another(name: str) -> None:
    everything(FILES_OF_ALL[name], OTHERS[name])


@EVERY
def test_every_truncation(name: str) -> None:
    data = FILES_OF_ALL[name]
    for size in range(0, len(data), max(1, len(data) // 60)):
        try:
            everything(data[:size], OTHERS[name])
        except ModelbuildError as error:
            assert error.exit_code == 2


@cache
def _inside(name: str) -> bytes:
    return nef.read(FILES_OF_ALL[name]).file.all_models


def _around(name: str, all_models: bytes) -> bytes:
    """A file with other all_models, as long as they were, and right checksums."""
    file, inside = FILES_OF_ALL[name], _inside(name)
    place, size = file.index(inside), len(inside)
    return whole(file[:place] + all_models[:size].ljust(size, b"\0") + file[place + size :])


def quick(read: Reader) -> Reader:
    """The reader, held to the time that an input may take: this process's, not the clock's."""

    def run(data: bytes) -> None:
        before = process_time()
        try:
            read(data)
        finally:
            assert process_time() - before < SECONDS

    return run


def crowds() -> Iterator[tuple[str, bytes]]:
    """Small files that would unfold into large ones: many references to one table, text or vector."""
    for count in (3_000, 60_000):
        references = [vendor.kne_tensor("t" * 100, 1, 0)]
        model = vendor.kne_model(1, header=vendor.Table({1: references}))
        block = bytearray(vendor.kne_block(model))
        yield f"tensors {count}", _kne(_crowded(bytes(block), count))
    setup = vendor.build(
        vendor.Table({1: vendor.Table({0: ""}), 2: [vendor.setup_tensor("in", 1, 0, ((1.0, 1),) * 500)]})
    )
    yield "points", vendor.simple("720", lambda _: _crowded(setup, 5_000), 0x80000000)
    infos = [vendor.info(1, "f" * 1_000_000)]
    yield "a long version", vendor.outer("730", b"", vendor.kne_block(vendor.kne_model(1)), infos)


def _crowded(block: bytes, count: int) -> bytes:
    """The block with a vector of `count` references to the first table that the longest list of tables names,
    in place of that list."""
    root = flatbuffer.root(block, "x")
    table = root.tables(2)[0]
    holder, slot = (
        (table.required(0, ""), 1) if table.has(0) and len(root.tables(2)) and _is_kne(root) else (root, 2)
    )
    target = holder.tables(slot)[0].position
    # references go forward only: a copy of the rest behind the new list
    place = holder.offset(slot)
    assert place is not None
    start = len(block)
    moved = start + 4 + 4 * count
    tail = block[: len(block)]
    result = bytearray(block) + struct.pack("<I", count)
    for index in range(count):
        at = start + 4 + 4 * index
        result += struct.pack("<I", moved + target - at)
    result += tail
    struct.pack_into("<I", result, place, start - place)
    return bytes(result)


def _is_kne(root: flatbuffer.Table) -> bool:
    return root.integer(0, "I") == vendor.MAGIC


def _kne(block: bytes) -> bytes:
    return vendor.outer("730", b"", block, [vendor.info(1, "0001")])


@pytest.mark.parametrize(("name", "data"), list(crowds()), ids=[name for name, _ in crowds()])
def test_crowds_are_bounded(name: str, data: bytes) -> None:
    tracemalloc.start()
    try:
        with suppress(ModelbuildError):
            quick(lambda content: everything(content, OTHERS["vendor kne"]))(data)
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()

"""Several KNE blocks as one: the blocks lie in it as they are, behind a new root that lists their models."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer, kne, kne_build
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.fw_info import Region

_BUFFER_ALIGNMENT = 16


def combine(blocks: Sequence[bytes], *, own: bool) -> bytes:
    """One block with the models of all.

    References in a FlatBuffer are relative, so that models need no change to lie elsewhere, and nothing that
    they hold is lost. With `own`, programs of modelbuild's, the buffers are laid out as if the models had
    been built together; a vendor's stay where they were compiled to be, since whether its tensors' addresses
    count from them is not public. Errors: ModelbuildError with the offset in the block.
    """
    parts = [_Block(data) for data in blocks]
    if own:
        _lay_out([model for part in parts for model in part.models])
    newest = max((part.kne for part in parts), key=lambda one: one.schema or (0, 0, 0))
    models = [model for part in parts for model in part.models]
    head, vector = _head(newest, len(models), _whole([model.buffers() for model in models]))
    result = bytearray(head)
    index = 0
    for part in parts:
        result += bytes(-len(result) % kne.ALIGNMENT)
        start = len(result)
        result += part.data
        for model in part.models:
            place = vector + 4 + 4 * index
            struct.pack_into("<I", result, place, start + model.table.position - place)
            index += 1
    return bytes(result)


class _Block:
    """One block that is to be part of another."""

    def __init__(self, data: bytes) -> None:
        self.kne = kne.decode(data)
        self.data = bytearray(data)
        self.models = [_Model(self, table) for table in flatbuffer.root(data, "KNE").tables(2)]


class _Model:
    def __init__(self, block: _Block, table: flatbuffer.Table) -> None:
        self.block, self.table = block, table
        header = table.required(0, "model header")
        self._buffers = {kne.buffer_name(item.integer(0, "b")): item for item in header.tables(9)}
        self._moved: dict[str, int] = {}

    def buffers(self) -> dict[str, Region]:
        return {
            name: Region(self._moved.get(name, item.integer(1, "Q")), item.integer(2, "Q"))
            for name, item in self._buffers.items()
        }

    def move(self, name: str, address: int) -> None:
        """Let the buffer begin at `address`."""
        place = self._buffers[name].offset(1)
        if place is None:
            raise ModelbuildError(f"the {name} buffer of a model has no address", where="KNE")
        struct.pack_into("<Q", self.block.data, place, address)
        self._moved[name] = address


def _lay_out(models: Sequence[_Model]) -> None:
    """One input and one working buffer for all models, an output each in sequence."""
    found = [model.buffers() for model in models]
    if not all({"input", "output", "working"} <= set(one) for one in found):
        raise ModelbuildError("a program of modelbuild's has no buffers", where="KNE")
    base = found[0]["input"].address
    place = base + max(_aligned(one["input"].size) for one in found)
    for model, one in zip(models, found, strict=True):
        model.move("input", base)
        model.move("output", place)
        place += _aligned(one["output"].size)
    for model in models:
        model.move("working", place)


def _whole(buffers: Sequence[dict[str, Region]]) -> list[tuple[str, Region]]:
    """The buffers that serve every model: for each kind, from the lowest address to the highest end."""
    result = []
    for name in dict.fromkeys(name for one in buffers for name in one):
        regions = [one[name] for one in buffers if name in one]
        start = min(region.address for region in regions)
        result.append((name, Region(start, max(region.address + region.size for region in regions) - start)))
    return result


def _head(newest: kne.Kne, count: int, buffers: Sequence[tuple[str, Region]]) -> tuple[bytes, int]:
    """Root, header and an empty list of `count` models, and where the list is."""
    writer = Writer()
    vector = writer.numbers("I", [0] * count)
    header = kne_build.encode_header(writer, newest.target, newest.compiler_version, newest.schema, buffers)
    root = writer.table([Field(0, "I", kne.MAGIC), offset(1, header), offset(2, vector)])
    head = writer.finish(root)
    return head, len(head) - vector


def _aligned(value: int) -> int:
    return -(-value // _BUFFER_ALIGNMENT) * _BUFFER_ALIGNMENT

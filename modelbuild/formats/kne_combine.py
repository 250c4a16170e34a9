"""Several KNE blocks as one, and one model of a block by itself."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer, kne, kne_build
from modelbuild.formats.flatbuffer_schema import Schema, copy
from modelbuild.formats.flatbuffer_writer import Field, Writer, offset
from modelbuild.formats.fw_info import Region

_BUFFER_ALIGNMENT = 16


def combine(blocks: Sequence[bytes], *, own: bool) -> bytes:
    """One block with the models of all.

    With `own`, programs of modelbuild's, the buffers are laid out as if the models had been built together;
    a vendor's stay where they were compiled to be, since whether its tensors' addresses count from them is
    not public. Where a block has fields that no schema has, the blocks lie in the result as they are, behind
    a new root that lists their models: references are relative, so that nothing of a model is lost. Errors:
    ModelbuildError with the offset in the block.
    """
    parts = [_Block(data) for data in blocks]
    if own:
        _lay_out([model for part in parts for model in part.models])
    whole = _whole([model.buffers() for part in parts for model in part.models])
    newest = max((part.kne for part in parts), key=lambda one: one.schema or (0, 0, 0))
    if any(part.kne.unknown for part in parts) or len({part.kne.old for part in parts}) > 1:
        return _embedded(parts, newest, whole)
    return _copied([model for part in parts for model in part.models], newest, whole)


def single(block: bytes, index: int) -> bytes:
    """A block with one model of another. Errors: ModelbuildError where it has fields that no schema has."""
    part = _Block(block)
    return _copied([part.models[index]], part.kne, _whole([part.models[index].buffers()]))


class _Block:
    """One block that is to be part of another."""

    def __init__(self, data: bytes) -> None:
        self.kne = kne.decode(data)
        self.data = bytearray(data)
        tables = flatbuffer.root(data, "KNE").tables(2)
        self.models = [_Model(self, table, index) for index, table in enumerate(tables)]

    @property
    def schema(self) -> Schema:
        return kne.schema(self.kne.old)


class _Model:
    def __init__(self, block: _Block, table: flatbuffer.Table, index: int) -> None:
        self.block, self.table, self.index = block, table, index
        self._tables = table.required(0, "model header").tables(9)
        self._moved: dict[str, int] = {}

    def buffers(self) -> dict[str, Region]:
        found = dict(kne.decode_buffer(item) for item in self._tables)
        return {name: Region(self._moved.get(name, at.address), at.size) for name, at in found.items()}

    def move(self, name: str, address: int) -> None:
        """Let the buffer begin at `address`."""
        item = next(item for item in self._tables if kne.decode_buffer(item)[0] == name)
        place = item.offset(1)
        if place is None or item.room(1) < 8:
            raise ModelbuildError(f"the {name} buffer of a model has no address", where="KNE")
        _check_end(name, address)
        struct.pack_into("<Q", self.block.data, place, address)
        self._moved[name] = address


def _check_end(name: str, end: int) -> None:
    if end >> 64:
        raise ModelbuildError(
            f"the {name} buffers of the models end behind the last address",
            where="KNE",
            why=f"{end:#x} has more than 64 bits",
            advice="copy or download the files again",
        )


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
        end = max(region.address + region.size for region in regions)
        _check_end(name, end)
        result.append((name, Region(start, end - start)))
    return result


def _copied(models: Sequence[_Model], newest: kne.Kne, buffers: Sequence[tuple[str, Region]]) -> bytes:
    writer = Writer()
    blocks = {id(model.block): model.block for model in models}
    moved = {key: flatbuffer.root(bytes(block.data), "KNE").tables(2) for key, block in blocks.items()}
    tables = [
        copy(moved[id(model.block)][model.index], model.block.schema, writer, "Model") for model in models
    ]
    return _finished(writer, newest, buffers, lambda: writer.offsets(tables))[0]


def _embedded(parts: Sequence[_Block], newest: kne.Kne, buffers: Sequence[tuple[str, Region]]) -> bytes:
    models = [model for part in parts for model in part.models]
    writer = Writer()
    head, vector = _finished(writer, newest, buffers, lambda: writer.numbers("I", [0] * len(models)))
    result = bytearray(head)
    place = vector + 4
    for part in parts:
        result += bytes(-len(result) % kne.ALIGNMENT)
        start = len(result)
        result += part.data
        for model in part.models:
            struct.pack_into("<I", result, place, start + model.table.position - place)
            place += 4
    return bytes(result)


def _finished(
    writer: Writer, newest: kne.Kne, buffers: Sequence[tuple[str, Region]], models: Callable[[], int]
) -> tuple[bytes, int]:
    """The block, and where its list of models is, which `models` writes."""
    header = kne_build.encode_header(
        writer, newest.target, newest.compiler_version, newest.schema, buffers, wide=not newest.old
    )
    vector = models()
    data = writer.finish(writer.table([Field(0, "I", kne.MAGIC), offset(1, header), offset(2, vector)]))
    return data, len(data) - vector


def _aligned(value: int) -> int:
    return -(-value // _BUFFER_ALIGNMENT) * _BUFFER_ALIGNMENT

"""Writes a NEF that was read: its bytes as they were, and where it was edited, what was edited alone."""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from modelbuild.errors import ModelbuildError
from modelbuild.formats import flatbuffer, nef_header
from modelbuild.formats.flatbuffer_schema import walk
from modelbuild.formats.kneron_schemas import OUTER
from modelbuild.formats.nef_header import NefFile
from modelbuild.formats.nef_texts import Room, rooms
from modelbuild.formats.parts import filled

# (slot, `struct` character, attribute) of the header's numbers, and (slot, attribute) of its texts.
_NUMBERS = (
    (1, "i", "target"),
    (2, "I", "crc"),
    (3, "I", "kn_number"),
    (4, "i", "encryption_mode"),
    (8, "I", "uuid"),
)
_TEXTS = (
    (0, "platform"),
    (5, "compiler_version"),
    (6, "toolchain_version"),
    (9, "solution_id"),
    (10, "solution_tag"),
)


class _DoesNotFit(Exception):
    """An edit that has no room in the file as it is laid out."""


def encode(file: NefFile) -> bytes:
    """The bytes of the file.

    A file that was read and not edited comes out byte for byte. An edited number or binary of the same size
    is changed where it stands, a text of another length is put behind the rest; only what has no room there
    makes the file be laid out anew. Errors: ModelbuildError where that would drop fields nobody knows.
    """
    if not file.source:
        return nef_header.encode(file)
    old = nef_header.decode(file.source)
    if old == file:
        return file.source
    try:
        return _patched(old, file)
    except _DoesNotFit:
        if old.unknown:
            places = ", ".join(f"slot {field.slot} of {field.table}" for field in old.unknown)
            raise ModelbuildError(
                "the edited NEF cannot be written", why=f"fields that nobody knows would be lost: {places}"
            ) from None
        return nef_header.encode(file)


def sealed(file: NefFile) -> bytes:
    """As `encode`, with a right CRC-32 at the end where the file has one."""
    data = encode(file)
    if file.tail is None:
        return data
    return data[:-4] + struct.pack("<I", zlib.crc32(memoryview(data)[:-4]))


def _patched(old: NefFile, new: NefFile) -> bytes:
    if (old.tail is None) != (new.tail is None):
        raise _DoesNotFit
    content = flatbuffer.root(old.source, "NEF")
    data = bytearray(old.source[:-4] if old.tail is not None else old.source)
    header, infos = content.required(1, "header"), content.tables(2)
    texts = [header.content_span(slot) for slot, _ in _TEXTS]
    texts += [table.content_span(slot) for table in infos for slot in (0, 2)]
    patch = _Patch(data, Counter(span[0] for span in texts if span is not None), _Layout(old))
    patch.header(header, old, new)
    patch.infos(infos, old, new)
    patch.cut()
    binaries = content.required(3, "model_bin table")
    for slot, name in ((0, "firmware_info"), (1, "all_models")):
        before, after = getattr(old, name), getattr(new, name)
        if len(before) != len(after):
            raise _DoesNotFit
        if before != after:
            start, size = binaries.content_span(slot) or (0, 0)
            data[start : start + size] = after
    return bytes(data) + (b"" if new.tail is None else struct.pack("<I", new.tail))


class _Layout:
    """Where there is room for texts: behind each, and where one lies that nothing refers to any more, as an
    earlier edit left it."""

    def __init__(self, old: NefFile) -> None:
        self.end = len(old.source) - (0 if old.tail is None else 4)
        parts = list(walk(flatbuffer.root(old.source, "NEF"), OUTER).parts)
        self._starts = sorted({part.offset for part in parts})
        self._unused: list[Room] = []
        if not old.unknown:  # what nobody knows may refer to a text
            gaps = (one for one in filled(parts, memoryview(old.source)[: self.end]) if one.what == "unknown")
            self._unused = [
                room for gap in gaps for room in rooms(old.source, gap.offset, gap.offset + gap.size)
            ]
        self._starts = sorted({*self._starts, *(room.start for room in self._unused)})

    def room(self, place: int) -> int:
        """The end of what a text at `place` may take, if there are zeros."""
        index = bisect_left(self._starts, place)
        return self._starts[index] if index < len(self._starts) else self.end

    def back(self, text: bytes, after: int) -> int | None:
        """Where the text lies already, the nearest place behind `after`, which is then taken."""
        found = min((room for room in self._unused if room.text == text and room.start > after), default=None)
        if found is None:
            return None
        self._unused.remove(found)
        return found.start


class _Patch:
    """Changes values in a file. `texts` counts how many fields refer to the text at an offset."""

    def __init__(self, data: bytearray, texts: Counter[int], layout: _Layout) -> None:
        self.data, self.texts, self.layout = data, texts, layout
        self._left: list[tuple[int, int]] = []  # rooms that no field refers to any more

    def cut(self) -> None:
        """Ends the file before texts at its end that an edit had put there and this one has left."""
        for start, end in sorted(self._left, reverse=True):
            if end == len(self.data):
                del self.data[start:]

    def header(self, table: flatbuffer.Table, old: NefFile, new: NefFile) -> None:
        for slot, layout, name in _NUMBERS:
            self.number(table, slot, layout, getattr(old.header, name), getattr(new.header, name))
        for slot, name in _TEXTS:
            self.text(table, slot, getattr(old.header, name), getattr(new.header, name))
        if old.header.schema != new.header.schema:
            version = table.table(7)
            if version is None or old.header.schema is None or new.header.schema is None:
                raise _DoesNotFit
            for slot in range(3):
                self.number(version, slot, "I", old.header.schema[slot], new.header.schema[slot])

    def infos(self, tables: Sequence[flatbuffer.Table], old: NefFile, new: NefFile) -> None:
        if old.infos == new.infos:
            return
        if old.infos is None or new.infos is None or len(old.infos) != len(new.infos):
            raise _DoesNotFit
        for table, before, after in zip(tables, old.infos, new.infos, strict=True):
            self.text(table, 0, before.name, after.name)
            self.number(table, 1, "i", before.id, after.id)
            self.text(table, 2, before.version, after.version)

    def number(self, table: flatbuffer.Table, slot: int, layout: str, old: int, new: int) -> None:
        if old == new:
            return
        place = table.offset(slot)
        if place is None:
            raise _DoesNotFit
        try:
            struct.pack_into(f"<{layout}", self.data, place, new)
        except struct.error as error:
            raise ModelbuildError("a value does not fit its field in the container", why=str(error)) from None

    def text(self, table: flatbuffer.Table, slot: int, old: str | None, new: str | None) -> None:
        if old == new:
            return
        place, span = table.offset(slot), table.content_span(slot)
        if place is None or span is None or new is None:
            raise _DoesNotFit
        data, text, alone = self.data, new.encode("utf-8"), self.texts[span[0]] == 1
        room = self.layout.room(span[0])
        back = self.layout.back(text, place)
        if back is None and alone and len(text) < room - span[0] and not any(data[sum(span) : room]):
            data[span[0] - 4 : room] = struct.pack("<I", len(text)) + text.ljust(room - span[0], b"\0")
            return
        if alone:
            self._left.append((span[0] - 4, room))
        if back is not None:
            struct.pack_into("<I", data, place, back - place)
            return
        data += bytes(-len(data) % 4)
        struct.pack_into("<I", data, place, len(data) - place)
        data += struct.pack("<I", len(text)) + text + b"\0"
        data += bytes(-len(data) % 4)

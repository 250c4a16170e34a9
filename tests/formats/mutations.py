"""Altered files: blind changes anywhere, and aimed ones at offsets, counts, lengths, tokens and headers."""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]
_INTERESTING = (0, 1, 4, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFC, 0xFFFFFFFF)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """One to four changes: a bit, a byte, a word, a word in one place copied to another, a cut, a hole."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        if not changed:
            break
        place = dice.randrange(len(changed))
        match dice.randrange(7):
            case 0:
                changed[place] ^= 1 << dice.randrange(8)
            case 1:
                changed[place] = dice.randrange(256)
            case 2:
                value = dice.choice(_INTERESTING)
                changed[place : place + 4] = struct.pack("<I", value)
            case 3:
                source = dice.randrange(len(changed))
                changed[place : place + 4] = changed[source : source + 4]
            case 4:
                del changed[place:]
            case 5:
                del changed[place : place + dice.randint(1, 16)]
            case _:
                word = int.from_bytes(changed[place : place + 4], "little") + dice.randint(-16, 16)
                changed[place : place + 4] = struct.pack("<I", word & 0xFFFFFFFF)
    return bytes(changed)


_LAYOUTS = {1: "<B", 2: "<H", 4: "<I", 8: "<Q"}


def words(step: int = 4) -> Callable[[bytes], Mutation]:
    """Aims at the little-endian words, at multiples of `step` or of their own size, that may be offsets,
    counts or lengths: those whose value is not above the file's size, or, as signed ones, not below minus
    that. One to three of them take a value at a border: of the file, of the word, of the old value, another
    word's. The length of the file stays."""

    def aim(base: bytes) -> Mutation:
        sites = list(_sites(base, step))

        def change(data: bytes, dice: random.Random) -> bytes:
            changed = bytearray(data)
            for _ in range(dice.randint(1, 3)):
                place, width = dice.choice(sites)
                old = int.from_bytes(changed[place : place + width], "little")
                value = _border(old, place, width, changed, sites, dice)
                changed[place : place + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
            return bytes(changed)

        return change

    return aim


def _sites(base: bytes, step: int) -> list[tuple[int, int]]:
    found = []
    for width in (2, 4, 8):
        for place in range(0, len(base) - width + 1, min(step, width)):
            value = int.from_bytes(base[place : place + width], "little")
            if 0 < value <= len(base) or (1 << 8 * width) - value <= len(base) < 1 << 8 * width - 2:
                found.append((place, width))
    return found or [(0, 1)]


def _border(
    old: int, place: int, width: int, data: bytearray, sites: list[tuple[int, int]], dice: random.Random
) -> int:
    top, end = 1 << 8 * width, len(data)
    other, size = dice.choice(sites)
    return dice.choice(
        (
            0,
            old + dice.choice((-8, -4, -2, -1, 1, 2, 4, 8)),
            old * 2,
            old // 2,
            end - place + dice.randint(-9, 1),
            end + dice.randint(-9, 1),
            -place,
            top - 1 - dice.randrange(9),
            top // 2 - dice.randrange(2),
            1 << dice.randrange(8 * width),
            int.from_bytes(data[other : other + size], "little"),
            other - place,
            dice.randrange(max(end, 1)),
        )
    )


WORDS = words()

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[A-Za-z_][\w.]*|[-+]?\d[\d.eE+-]*|\s+|.', re.DOTALL)
_NUMBERS = (
    *(b"0", b"-1", b"1", b"255", b"-129", b"65536", b"4294967296", b"-9223372036854775809", b"1" + b"0" * 40),
    *(b"1e308", b"1e999", b"-1e999", b"5e-324", b"NaN", b"Infinity", b".nan", b"1.5", b"0x10", b"00", b"1_0"),
)
_WORDS = (
    *(b"null", b"true", b"{}", b"[]", b'""', b'"/abs"', b'"../up"', b'"a/../../b"', b'"\\u0000"', b"~"),
    *(b'"\\ud800"', b"\xff\xfe", b"\x1b[2J", b"&a", b"*a", b"!!python/object:x", b"!x", b"<<", b"|", b">"),
)


def tokens(base: bytes) -> Mutation:
    """Aims at the tokens of a text: numbers and words take others, tokens are dropped, swapped, repeated and
    wrapped in brackets, one to three times."""

    def change(data: bytes, dice: random.Random) -> bytes:
        pieces = _TOKEN.findall(data)
        for _ in range(dice.randint(1, 3)):
            if not pieces:
                break
            place, other = dice.randrange(len(pieces)), dice.randrange(len(pieces))
            match dice.randrange(8):
                case 0 | 1:
                    place = _next(pieces, place, b"-+0123456789")
                    pieces[place] = dice.choice(_NUMBERS)
                case 2:
                    pieces[place] = dice.choice(_WORDS)
                case 3:
                    pieces[place], pieces[other] = pieces[other], pieces[place]
                case 4:
                    pieces[place] = pieces[other]
                case 5:
                    del pieces[place : place + dice.randint(1, 6)]
                case 6:
                    piece = pieces[place : place + dice.randint(1, 12)]
                    pieces[place:place] = piece * dice.choice((1, 1, 1, 2, 50))
                case _:
                    depth = dice.choice((1, 1, 2, 30, 300))
                    left, right = dice.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"- ", b"")))
                    pieces[place] = left * depth + pieces[place] + right * depth
        return b"".join(pieces)

    return change


def _next(pieces: list[bytes], place: int, first: bytes) -> int:
    """The place of the first piece from `place` on that begins with one of these bytes, or `place`."""
    order = (*range(place, len(pieces)), *range(place))
    return next((index for index in order if pieces[index][:1] in (bytes((x,)) for x in first)), place)


_VALUES: tuple[Any, ...] = (
    *(0, 1, -1, 255, 256, -129, 2**31, 2**32, 2**63, -(2**63) - 1, 10**40, 0.5, -0.0, 1e308, 1e999, -1e999),
    *(None, True, False, "", "x", "/abs", "../up", "a/../../b", "\0", "\ud800", "\x1b[2J", "9" * 40, "int8"),
    *([], {}, [[]], [{}], {"": None}, [0] * 300, "n" * 3000, {"name": "x", "input_nodes": []}),
)


def json_values(base: bytes) -> Mutation:
    """Aims at the values of a JSON text: one to three of them take others, other places' values, or are
    dropped, repeated, renamed or wrapped. The text stays JSON."""
    top = json.loads(base)
    places = list(_places(top))

    def change(data: bytes, dice: random.Random) -> bytes:
        changed = top
        for _ in range(dice.randint(1, 3)):
            with suppress(KeyError, IndexError, TypeError):  # a change before took the place away
                changed = _elsewhere(changed, dice.choice(places), dice, _at(top, dice.choice(places)))
        return json.dumps(changed).encode()

    return change


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of each value, as keys and indices."""
    yield above
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*above, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _elsewhere(value: Any, path: tuple[Any, ...], dice: random.Random, other: Any) -> Any:
    """The value with what is at `path` changed."""
    if not path:
        return dice.choice(_VALUES)
    if len(path) == 1:
        return _with_other(value, path[0], dice, other)
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = _elsewhere(value[path[0]], path[1:], dice, other)
    return copied


def _with_other(holder: Any, key: Any, dice: random.Random, other: Any) -> Any:
    found = dict(holder) if isinstance(holder, dict) else list(holder)
    old = found[key]
    match dice.randrange(8):
        case 0:
            del found[key]
        case 1 if isinstance(found, list):
            found[key:key] = [old] * dice.choice((1, 2, 40))
        case 1:
            found[dice.choice(("", "name", "x" * 300, f"{key}2"))] = found.pop(key)
        case 2:
            found[key] = dice.choice(([old], {"a": old}, str(old)))
        case 3:
            found[key] = other
        case 4 if isinstance(old, (int, float)):
            found[key] = old + dice.choice((-1, 1, 1000, -(10**12), 0.5))
        case _:
            found[key] = dice.choice(_VALUES)
    return found


_TAR_FIELDS = (
    *((0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (124, 12), (124, 12), (136, 12), (148, 8)),
    *((156, 1), (156, 1), (157, 100), (257, 8), (345, 155)),
)


def tar_headers(base: bytes) -> Mutation:
    """Aims at the fields of a tar's headers: sizes in octal and in 256ths, types, names, links."""
    heads = [place for place in range(0, len(base), 512) if base[place + 257 : place + 262] == b"ustar"]

    def change(data: bytes, dice: random.Random) -> bytes:
        changed = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            start, width = dice.choice(_TAR_FIELDS)
            start += dice.choice(heads)
            changed[start : start + width] = _tar_field(width, len(data), dice)[:width].ljust(width, b"\0")
        return bytes(changed)

    return change


def _tar_field(width: int, size: int, dice: random.Random) -> bytes:
    if width == 1:
        return dice.choice(
            (b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"x", b"g", b"L", b"K", b"S", b"V")
        )
    if width > 12:
        names = (b"/etc/x", b"../up", b"a/../../b", b"", b"a" * 155, b"a\\..\\b", b"C:x", b"\xff\xfe", b"./a")
        return dice.choice((*names, b"a//b", b"digits_mpk.json", b"x\x1b[2J", b"nul", b"a/" * 70))
    number = dice.choice((0, 1, 511, 512, 513, size, size - 512, size + 1, 8**11 - 1, 1 << 31, 100))
    forms = (
        f"{number:0{width - 1}o}\0".encode(),
        f"{number:o} ".encode(),
        b"\x80" + dice.choice((number, 1 << 62)).to_bytes(width - 1, "big")
        if width == 12
        else b"\x80" + bytes(6) + b"\x07",
        b"\xff" * width,
        b"-1\0",
        b"9" * width,
        b" " * width,
    )
    return dice.choice(forms)


# A field of a protobuf message: number, wire type, and its value: a number, bytes, or the fields inside.
_Field = tuple[int, int, "int | bytes | list[_Field]"]


def protobuf(base: bytes) -> Mutation:
    """Aims at the fields of a protobuf message and of those inside, one to three of them: numbers and tags
    take others, contents are cut, doubled or changed, fields dropped, repeated or moved. The lengths around
    them are made right again, but for one in eight."""
    tree = _fields(base)
    assert tree is not None
    known: dict[int, bytes] = {}  # what does not change is encoded once
    _encoded(tree, known)

    def change(data: bytes, dice: random.Random) -> bytes:
        top = tree
        for _ in range(dice.randint(1, 3)):
            top = _replaced(top, dice)
        return _encoded(top, known.copy()) if dice.randrange(8) else _encoded(top, {}, dice)

    return change


def _fields(data: bytes, depth: int = 0) -> list[_Field] | None:
    """The fields of a message; None for bytes that are none."""
    found: list[_Field] = []
    place = 0
    while place < len(data):
        tag, place = _varint(data, place)
        if place > len(data) or tag >> 3 == 0 or tag >> 3 > 1000:
            return None
        wire = tag & 7
        if wire == 0:
            value, place = _varint(data, place)
            found.append((tag >> 3, wire, value))
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            found.append((tag >> 3, wire, data[place : place + size]))
            place += size
        elif wire == 2:
            size, place = _varint(data, place)
            inner = data[place : place + size]
            place += size
            if place > len(data):
                return None
            nested = _fields(inner, depth + 1) if len(inner) > 1 and depth < 8 else None
            found.append((tag >> 3, wire, nested or inner))
        else:
            return None
        if place > len(data):
            return None
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
    return value, len(data) + 1


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _encoded(fields: list[_Field], known: dict[int, bytes], wrong: random.Random | None = None) -> bytes:
    """The message; `known` has those by identity that were encoded before, and gets the others. With `wrong`
    some of its lengths are."""
    if id(fields) in known:
        return known[id(fields)]
    pieces = []
    for number, wire, value in fields:
        pieces.append(_number(number << 3 | wire))
        if isinstance(value, int):
            pieces.append(_number(value))
        else:
            content = value if isinstance(value, bytes) else _encoded(value, known, wrong)
            if wire == 2:
                off = wrong.choice((-1, 1, 200, 1 << 31)) if wrong and wrong.randrange(12) == 0 else 0
                pieces.append(_number(max(0, len(content) + off)))
            pieces.append(content)
    known[id(fields)] = b"".join(pieces)
    return known[id(fields)]


def _replaced(fields: list[_Field], dice: random.Random) -> list[_Field]:
    """The message with one field changed, at some depth; what stays is shared."""
    fields = list(fields)
    if not fields:
        return fields
    place = dice.randrange(len(fields))
    number, wire, value = fields[place]
    if isinstance(value, list) and dice.randrange(6):
        fields[place] = (number, wire, _replaced(value, dice))
        return fields
    match dice.randrange(6):
        case 0:
            del fields[place]
        case 1:
            fields[place:place] = [fields[place]] * dice.choice((1, 1, 2, 40))
        case 2:
            other = dice.randrange(len(fields))
            fields[place], fields[other] = fields[other], fields[place]
        case 3:
            fields[place] = (dice.randint(1, 26), wire, value)
        case _:
            fields[place] = (number, wire, _value(value, dice))
    return fields


def _value(value: int | bytes | list[_Field], dice: random.Random) -> int | bytes:
    if isinstance(value, int):
        new = dice.choice(
            (0, 1, value + 1, max(0, value - 1), 1 << dice.randrange(64), (1 << 63) - 1, (1 << 64) - 1)
        )
        return dice.choice((new, dice.randrange(64)))
    content = value if isinstance(value, bytes) else _encoded(value, {})
    match dice.randrange(5):
        case 0:
            return content[: len(content) // 2]
        case 1:
            return content + content
        case 2:
            return b""
        case 3:
            return dice.choice((b"\xff\xfe", b"../up", b"/etc/passwd", b"x" * 3000, b"\x1b[2J", b"a\0b"))
        case _:
            return mutate(content, dice)

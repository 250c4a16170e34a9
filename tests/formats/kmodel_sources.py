"""Made-up kmodels of every version, written from the layout facts alone: `formats/` is not imported."""

from __future__ import annotations

import struct
from collections.abc import Callable

MAGIC = b"LDMK"


def words(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}I", *values)


def padded(data: bytes, alignment: int, place: int = 0) -> bytes:
    """Zeros behind the data, up to a multiple of `alignment` of the file it begins at `place` of."""
    return data + bytes(-(place + len(data)) % alignment)


def registers(
    ic: int,
    oc: int,
    width: int,
    height: int,
    *,
    kernel: int = 1,
    pool: int = 0,
    more: dict[int, int] | None = None,
) -> bytes:
    """The twelve registers of a layer whose map is halved by pools that do so; one load of all parameters."""
    out_width, out_height = (width // 2, height // 2) if pool in (1, 2, 5, 6) else (width, height)
    area = 9 if kernel else 1
    found = [0] * 12
    found[1] = 0 | 512 << 32
    found[2] = ic - 1 | oc - 1 << 32 | oc - 1 << 48
    found[3] = width - 1 | height - 1 << 10 | out_width - 1 << 32 | out_height - 1 << 42
    found[4] = kernel | pool << 4 | 1 << 10 | 15 << 16 | 7 << 24
    found[5] = 1 | 0 << 1 | (ic * oc * area) << 15
    found[7] = height | 1 << 16 | 4 << 28 | 1 << 31
    found[8] = out_height | 1 << 16 | 4 << 20
    found[9] = (-7 & 0xFFFFFF) << 8 | (-128 & 0xFFFFFF) << 32
    found[10] = (area * 128 * 7) & (1 << 40) - 1
    found[11] = (out_width * out_height - 1) << 16 | (out_width * out_height * oc - 1) << 32
    for index, bits in (more or {}).items():
        found[index] |= bits
    return struct.pack("<12Q", *found)


def batch_norm(channels: int) -> bytes:
    entries = ((1000 + index) | (-5 - index & 0xFFFFFFFF) << 24 | 3 << 56 for index in range(channels))
    return struct.pack(f"<{channels}Q", *entries)


def activation() -> bytes:
    pieces = [20 | 500 << 8 | (-(1 << 35) + index * 1000 & (1 << 36) - 1) << 24 for index in range(16)]
    return struct.pack("<16Q", *pieces) + bytes(range(16))


def version3(*, cut: int = 0, trailing: bytes = b"") -> bytes:
    """Layers: of the KPU, dequantization, concatenation, fully connected, and one undocumented."""
    ic, oc, size = 3, 4, 16
    kinds = (10240, 12, 16, 18, 19)
    table = 28 + 8 * 1
    first = table + 8 * len(kinds)
    # The body's fields are followed by padding, registers, weights, batch normalization and activation.
    layer = first + 24 + 4
    weights = layer + 96 + 12
    norm = weights + 9 * ic * oc
    active = norm + 8 * oc
    conv = padded(
        words(1, 64, layer, weights, norm, active)
        + bytes(4)
        + registers(ic, oc, size, size)
        + bytes(12)
        + bytes(range(9 * ic * oc))
        + batch_norm(oc)
        + activation(),
        8,
    )
    bodies = [
        conv,
        words(1, 64, 0, oc * size * size) + struct.pack("<2f", 0.5, -1.0),
        padded(words(1, 128, 2) + words(0, 16, 32, 8), 8),
        padded(words(1, 128, 0, 6, 2, 1) + struct.pack("<12f", *range(12)) + struct.pack("<2f", 1, 2), 8),
        b"nobody knows what this is.......",
    ]
    head = words(3, 1, 0, len(kinds), 4096, 8192, 1) + words(0, 8)
    head += b"".join(words(kind, len(body)) for kind, body in zip(kinds, bodies, strict=True))
    data = head + b"".join(bodies)
    return data[: len(data) - cut] + trailing


def version4(*, trailing: bytes = b"") -> bytes:
    """Nodes: upload, of the KPU, dequantization, concatenation, convolution, and one undocumented."""
    ic, oc, size = 3, 4, 16
    kpu, main = (2, 1, 0, 3072), (1, 0, 0, 4096)
    place = 40 + 16 + 16 + 16 + 8 + 8 * 6
    upload = words(*main, *kpu, 1, ic, size, size)
    fields = 24
    begin = place + len(upload)  # of the body of the layer; the tables are aligned to 256 bytes of the file
    after = begin + fields + 96
    gaps = []
    tables = b""
    for table in (batch_norm(oc), activation(), bytes(range(9 * ic * oc))):
        gap = -after % 256
        gaps.append(gap)
        tables += bytes(gap) + table
        after += gap + len(table)
    layer = registers(ic, oc, size, size, more={4: gaps[0] << 32, 7: gaps[1] << 32, 5: gaps[2] << 32})
    window = struct.pack("<4i", 1, 1, 1, 1) + struct.pack("<6i", 3, 3, 1, 1, 1, 1)
    bodies = {
        0x2001: upload,
        0x2002: padded(words(*main, 1, 0) + layer + tables, 8),
        0x03: words(*kpu, *main) + struct.pack("<if", 3, 0.25),
        0x01: padded(words(*main, 64, 2, 2) + words(*main, *main) + words(1, 2), 8),
        0x02: padded(
            words(*main, *main, 1, 2, 8, 8, 1, 3)
            + window
            + struct.pack("<2f", 0, 6)
            + bytes(4 * 3 * 2 * 9)
            + bytes(4 * 3),
            8,
        ),
        0x77: b"nobody knows what this is.......",
    }
    head = MAGIC + words(4, 0, 1, 8, 65536, len(bodies), 1, 1, 0) + words(*kpu) + words(1, ic, size, size)
    head += words(*main) + b"constant" + b"".join(words(kind, len(body)) for kind, body in bodies.items())
    return head + b"".join(bodies.values()) + trailing


def quantized_call(quantize: int, dequantize: int, *, call: Callable[[int, int], bytes]) -> bytes:
    """Code of the stack machine: quantize the input, call function 0 of module 1, dequantize the result."""
    shape, strides = (1, 3, 16, 16), (768, 256, 16, 1)
    code = lea(0, 0) + lea(3, 0) + store(0, shape) + store(1, strides) + number(127.5) + number(3.0)
    code += tensor(quantize, bytes((9, 4, 0, 1, 1)))
    code += (
        lea(3, 0) + integer(4) + integer(0) + integer(1) + lea(3, 1024) + integer(4) + integer(0) + integer(1)
    )
    code += call(0, 1)
    code += lea(3, 1024) + lea(1, 0) + number(0.5) + number(-1.5)
    return code + tensor(dequantize, bytes((4, 9, 0, 1, 1)))


def lea(location: int, offset: int) -> bytes:
    return struct.pack("<BBBI", 0x17, location, 0, offset)


def integer(value: int) -> bytes:
    return struct.pack("<Bi", 2, value)


def number(value: float) -> bytes:
    return struct.pack("<Bf", 5, value)


def store(register: int, values: tuple[int, ...]) -> bytes:
    return b"".join(map(integer, values)) + bytes((0x31, register, len(values)))


def tensor(function: int, operands: bytes) -> bytes:
    return struct.pack("<BH", 0x5E, function) + operands


def release_call(function: int, module: int) -> bytes:
    return tensor(3, struct.pack("<IHBB", function, module, 1, 1))


def development_call(_: int, module: int) -> bytes:
    return tensor(3, struct.pack("<IBB", module, 1, 1))


def kpu_code(*, kpu: int) -> tuple[bytes, bytes]:
    """.rdata and .text of a K210 module: upload, a layer, download. `kpu` is the location of its RAM."""
    ic, oc, size = 3, 3, 16
    weights = bytes(range(9 * ic * oc))
    norm = batch_norm(oc)
    rdata = padded(weights + norm, 256) + activation()

    def place(location: int, dtype: int, start: int, count: int) -> bytes:
        return struct.pack("<BBHII", location, dtype, 0, start, count)

    shape = words(1, ic, size, size)
    text = bytes(4) + place(0, 4, 0, 768) + place(kpu, 4, 0, 3072) + shape
    text += words(2) + place(2, 4, 0, len(weights)) + place(2, 7, len(weights), len(norm))
    text += place(2, 4, 256, 144) + bytes(12) + words(1) + registers(ic, oc, size, size)
    text += words(1) + place(kpu, 4, 32768, 3072) + place(1, 4, 0, 768) + shape
    return rdata, text


def section(name: str, body: bytes, place: int, alignment: int) -> bytes:
    """A section of version 5 at `place` of the file."""
    start = -(place + 32) % alignment
    return name.encode().ljust(16, b"\0") + words(0, start, len(body), 0) + bytes(start) + body


def tensors(*entries: tuple[int, int, int, int, tuple[int, ...]]) -> bytes:
    """Location, type, start, size and shape of each: the places first, then the shapes."""
    places = b"".join(struct.pack("<BBHII", *entry[:2], 0, *entry[2:4]) for entry in entries)
    return places + b"".join(words(len(entry[4]), *entry[4]) for entry in entries)


SHAPE = (1, 3, 16, 16)


def version5(
    quantize: int = 0x14, dequantize: int = 0x0B, code: bytes | None = None, constants: bytes = b""
) -> bytes:
    """The release layout: the stack machine, which has `constants`, and a K210. Numbers as in 1.6 to 1.9."""
    if code is None:
        code = quantized_call(quantize, dequantize, call=release_call)
    rdata, text = kpu_code(kpu=64)
    data = MAGIC + words(5, 32, 0, 256, 2, 0, 0)
    float_pair = tensors((0, 9, 0, 3072, SHAPE)), tensors((1, 9, 0, 3072, SHAPE))
    byte_pair = tensors((0, 4, 0, 768, SHAPE)), tensors((1, 4, 0, 768, SHAPE))
    for kind, pools, (entering, leaving), pool, parts, alignment in (
        (
            "stackvm",
            ((2, len(constants)), (3, 4096)),
            float_pair,
            3072,
            ((".rdata", constants), (".text", code)),
            8,
        ),
        (
            "k210",
            ((2, len(rdata)), (3, 0), (64, 2 << 20)),
            byte_pair,
            768,
            ((".rdata", rdata), (".text", text)),
            256,
        ),
    ):
        start = len(data)
        function = words(32, 32 + len(entering) + len(leaving), pool, pool, 1, 1, 0, len(parts[1][1]))
        body = b"".join(struct.pack("<B3xI", *item) for item in pools) + function + entering + leaving
        for name, content in parts:
            body += section(name, content, start + 48 + len(body), alignment)
        body = padded(body, 8, start + 48)
        head = kind.encode().ljust(16, b"\0") + words(1, 48, 48 + len(body), len(pools), 0, 2, 1, 0)
        data += head + body
    return data


def version5_development() -> bytes:
    """The layout before 1.0: a module is one function, its size is without its header."""
    code = quantized_call(0x11, 0x09, call=development_call)
    rdata, text = kpu_code(kpu=4)
    data = MAGIC + words(5, 0, 256, 2, 0)
    floats, items = (0, 9, 0, 3072, SHAPE), (0, 4, 0, 768, SHAPE)
    for kind, pools, entry, parts, alignment in (
        ("stackvm", ((3, 4096), (2, 0), (1, 3072), (0, 3072)), floats, ((".rdata", b""), (".text", code)), 8),
        ("k210", ((4, 2 << 20), (2, len(rdata))), items, ((".rdata", rdata), (".text", text)), 256),
    ):
        start = len(data) + 40
        body = b"".join(struct.pack("<B3xI", *item) for item in pools)
        body += tensors(entry) + tensors((1, *entry[1:]))
        for name, content in parts:
            body += section(name, content, start + len(body), alignment)
        body = padded(body, 8, start)
        data += kind.encode().ljust(16, b"\0") + words(len(body), len(pools), 1, 1, 2, 0) + body
    return data


def signature(dtype: int, *shape: int | None, fixed: int = 1, unknown: int = 0, layout: str = "<I") -> bytes:
    """The type of a tensor in versions 6 and 7; a scalar has no dimensions."""
    if not shape:
        return bytes((2, dtype, 0))
    found = bytes((2, dtype, 1))
    for size in shape:
        found += bytes((unknown,)) if size is None else bytes((fixed,)) + struct.pack(layout, size)
    return found + b"\xff"


def later(version: int, *, fixed: int = 1, unknown: int = 0, layout: str = "<I") -> bytes:
    """Version 6 or 7: the stack machine with two outputs as a tuple and one more section, and a K230."""
    six = version == 6

    def named(text: str) -> bytes:
        return text.encode().ljust(16, b"\0")

    def part(name: str, body: bytes, place: int, alignment: int) -> bytes:
        size = 40 if six else 56
        start = -(place + size) % alignment
        whole = padded(bytes(size + start) + body, 8, place)
        counts = (start, len(body), len(body) + 16)
        head = (
            words(0, len(whole), *counts, 0) if six else words(0, 0) + struct.pack("<4Q", len(whole), *counts)
        )
        return named(name) + head + whole[size:]

    def tensor_type(dtype: int, *shape: int | None) -> bytes:
        return signature(dtype, *shape, fixed=fixed, unknown=unknown, layout=layout)

    data = MAGIC + words(version, 0, 4096, 2, 0, 0, 0)
    first = tensor_type(6, 1, 3, None, 320) + tensor_type(11)
    returned = b"\x03" + tensor_type(11, 1, 8) + tensor_type(5, 1) + b"\xff"
    second = tensor_type(6, 1, 3, 4, 4) + tensor_type(6, 1, 3, 4, 4)
    for kind, count, types, inner, sections in (
        (
            "stackvm",
            2,
            first + returned,
            (),
            ((".text", b"code" * 5), (".rdata", b"numbers"), (".custom_calls", b"")),
        ),
        (
            "k230",
            1,
            second,
            ((".desc", b"a description"),),
            ((".text", b"closed" * 9), (".rdata", bytes(100))),
        ),
    ):
        start = len(data)
        head = 32 if six else 40
        function = 24 if six else 32
        at = start + head + function + len(types)
        content = types
        for name, body in inner:
            content += part(name, body, at, 1)
            at = start + head + function + len(content)
        content = padded(content, 8, start + head + function)
        size = function + len(content)
        if six:
            whole = words(count, 0, len(sections[0][1]), size, len(inner), 0) + content
        else:
            whole = words(count, len(inner)) + struct.pack("<3Q", 0, len(sections[0][1]), size) + content
        for name, body in sections:
            whole += part(name, body, start + head + len(whole), 64)
        whole = padded(whole, 8, start + head)
        size = head + len(whole)
        counts = (
            words(1, size, len(sections), 1)
            if six
            else words(1, len(sections), 1, 0) + struct.pack("<Q", size)
        )
        data += named(kind) + counts + whole
    return data


ALL: dict[str, Callable[[], bytes]] = {
    "3": version3,
    "4": version4,
    "5 release": version5,
    "5 development": version5_development,
    "6": lambda: later(6),
    "7": lambda: later(7),
    "7 long dimensions": lambda: later(7, layout="<q"),
    "7 swapped dimensions": lambda: later(7, fixed=0, unknown=1, layout="<q"),
}

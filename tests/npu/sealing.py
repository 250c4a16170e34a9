"""Puts valid checksums on changed sections, from docs/program-format.md alone."""

from __future__ import annotations

import struct
import zlib

HEADER_SIZE = 109


def border(command: bytes) -> int:
    """Where the instructions begin."""
    (descriptor,) = struct.unpack_from("<I", command, 6)
    return HEADER_SIZE + int(descriptor)


def seal(command: bytes, weights: bytes, host: bytes) -> bytes:
    """`command` with the CRC-32 of every section, and of the header, as they are now."""
    data = bytearray(command)
    start = border(command)
    sections = (command[HEADER_SIZE:start], command[start:], weights, host)
    struct.pack_into("<4I", data, 30, *(zlib.crc32(section) for section in sections))
    struct.pack_into("<I", data, 105, zlib.crc32(data[:105]))
    return bytes(data)

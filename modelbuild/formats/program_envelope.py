"""The envelope in which modelbuild keeps its own program in a container's command section.

Layout, little endian: `MBCS`, u32 version 1, u32 size of the command, u32 size of the host code, the command,
the host code. What follows them is padding. Anything else in a command section is a vendor's.
"""

from __future__ import annotations

import struct

from modelbuild.formats.flatbuffer import damaged

MAGIC = b"MBCS"
VERSION = 1
_HEADER = struct.Struct("<4sIII")


def wrap(command: bytes, host: bytes) -> bytes:
    """The section for a program; `host` is empty where no operator runs on the CPU."""
    return _HEADER.pack(MAGIC, VERSION, len(command), len(host)) + command + host


def is_wrapped(section: bytes) -> bool:
    """Whether the section is modelbuild's own."""
    return section[:4] == MAGIC


def unwrap(section: bytes) -> tuple[bytes, bytes]:
    """(command, host) of a section that `is_wrapped`. Errors: ModelbuildError where the sizes do not fit."""
    name = "program envelope"
    if len(section) < _HEADER.size:
        raise damaged(f"it has {len(section)} of {_HEADER.size} bytes", name, 0)
    magic, version, command_size, host_size = _HEADER.unpack_from(section)
    if magic != MAGIC or version != VERSION:
        raise damaged(f"its header is {magic!r}, version {version}", name, 0)
    middle, end = _HEADER.size + command_size, _HEADER.size + command_size + host_size
    if end > len(section):
        raise damaged(f"its parts end at {end}, after its {len(section)} bytes", name, 8)
    return section[_HEADER.size : middle], section[middle:end]

"""The host section: segments of the same instructions, run by the host on a workspace in place of SRAM."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.npu.program.codec import decode_instructions, encode_instructions
from modelbuild.npu.program.encoding import Instruction
from modelbuild.npu.program.header import MAX_SRAM

MAGIC = b"MBNH"
VERSION = 2
_HEADER = struct.Struct("<4sHHII")


@dataclass(frozen=True)
class HostProgram:
    """`segments[k]` runs when the NPU yields to segment k; loads of constants read `constants`."""

    workspace: int  # bytes
    segments: tuple[tuple[Instruction, ...], ...]
    constants: bytes


def encode_host(host: HostProgram) -> bytes:
    """The host section; empty if there is no segment."""
    if not host.segments:
        return b""
    head = _HEADER.pack(MAGIC, VERSION, len(host.segments), host.workspace, len(host.constants))
    return head + b"".join(encode_instructions(segment) for segment in host.segments) + host.constants


def decode_host(data: bytes) -> HostProgram:
    """The inverse of `encode_host`; a ModelbuildError if anything is unknown, cut off or left over."""
    if not data:
        return HostProgram(0, (), b"")
    if len(data) < _HEADER.size:
        raise _malformed("it is cut off")
    magic, version, count, workspace, constants = _HEADER.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        raise _malformed(f"it does not begin with {MAGIC.decode()} and version {VERSION}")
    if count == 0 or workspace > MAX_SRAM:
        raise _malformed(f"{count} segments, {workspace} bytes of workspace")
    offset = _HEADER.size
    segments = []
    for _ in range(count):
        segment, offset = decode_instructions(data, offset)
        segments.append(segment)
    if len(data) - offset != constants:
        raise _malformed(f"{len(data) - offset} bytes of constants, but {constants} are declared")
    return HostProgram(workspace, tuple(segments), data[offset:])


def _malformed(what: str) -> ModelbuildError:
    return ModelbuildError(f"malformed program: {what}", where="host section")

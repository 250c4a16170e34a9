"""A .tar.gz piece by piece, so that equal members give equal bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelbuild.formats import gzip_stream, tar_header
from modelbuild.formats.archive import Findings, Refused, plain_name
from modelbuild.formats.tar_header import BLOCK


def pieces(files: Mapping[str, bytes], time: int) -> Iterator[bytes]:
    """The bytes of a .tar.gz of these files. Errors: ModelbuildError for a name that is not plain."""

    def unpacked() -> Iterator[bytes]:
        for name in sorted(files):
            findings = Findings()
            if plain_name(name, findings) != name:
                raise Refused(findings.first or f"{name!r} is not a plain path")
            data = files[name]
            yield from (tar_header.write(name, len(data), time), data, bytes(-len(data) % BLOCK))
        yield bytes(2 * BLOCK)

    return gzip_stream.packed(unpacked())


def begins(data: gzip_stream.Slices, pieces: Iterator[bytes]) -> bool:
    """Whether `data` is made of these pieces."""
    place = 0
    for piece in pieces:
        if data[place : place + len(piece)] != piece:
            return False
        place += len(piece)
    return place == len(data)

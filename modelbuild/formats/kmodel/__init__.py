"""The kmodel container of nncase, versions 3 to 7: `read` takes it apart, `disassemble` reads its code.

`write` makes files of version 5, release layout, from an `Image`; `image_of` is that of a file that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import version3, version4, version5, version6
from modelbuild.formats.kmodel.disassembly import Disassembly, disassemble
from modelbuild.formats.kmodel.image import Image
from modelbuild.formats.kmodel.model import Kmodel
from modelbuild.formats.kmodel.records import NAME, words
from modelbuild.formats.kmodel.version5_writing import image_of, write

__all__ = [
    "MAGIC",
    "RUNTIMES",
    "WRITTEN",
    "Disassembly",
    "Image",
    "Kmodel",
    "disassemble",
    "image_of",
    "is_kmodel",
    "read",
    "write",
]
MAGIC = b"LDMK"
WRITTEN = 5  # the version that `write` makes
# version -> what loads it
RUNTIMES: Mapping[int, str] = {
    3: "nncase 0.1",
    4: "nncase 0.2",
    5: "nncase 1.x",
    6: "nncase 2.0 to 2.3",
    7: "nncase 2.4 and later",
}


def is_kmodel(data: bytes) -> bool:
    """Whether the bytes are a kmodel: the magic, or the sizes of version 3, which has none, adding up."""
    return (data[:4] == MAGIC and len(data) >= 8) or version3.fits(data)


def read(data: bytes) -> Kmodel:
    """The whole file. Errors: ModelbuildError with the offset, also for versions that are not known."""
    if data[:4] != MAGIC:
        return version3.read(data)
    (version,) = words(data, 4, "I")
    reader = _READERS.get(version)
    if reader is None:
        raise damaged(f"its version is {version}; known are 3 to 7", NAME, 4)
    return reader(data)


_READERS: Mapping[int, Callable[[bytes], Kmodel]] = {
    4: version4.read,
    5: version5.read,
    6: version6.read,
    7: version6.read,
}

"""What an archive is, by the names of its members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from modelbuild import input_file
from modelbuild.errors import ModelbuildError
from modelbuild.formats import sima, tar, zip_archive, zip_directory

ZIP_MAGICS = (zip_archive.MAGIC, zip_directory.EMPTY_MAGIC)


def zip_names(path: Path) -> list[str] | None:
    """The members of a ZIP; None where it is damaged."""
    try:
        return zip_archive.names(path.read_bytes())
    except ModelbuildError:
        return None


def tar_names(path: Path) -> Iterator[str]:
    """The members of a tar or .tar.gz, as far as they can be read. Errors: ModelbuildError for damage."""
    with input_file.sliced(path, tar.MAX_SIZE) as data:
        yield from tar.names(data)


def is_keras(names: Sequence[str]) -> bool:
    """Whether a ZIP of these is a .keras: config.json and weights."""
    return "config.json" in names and any(name.endswith(".weights.h5") for name in names)


def is_sima(names: Sequence[str]) -> bool:
    """Whether a ZIP of these is a .sima: a .yaml and .npz arrays."""
    return sima.is_sima(names)


def is_description(name: str) -> bool:
    """Whether a member of that name makes a tar an MPK."""
    return name.rpartition("/")[2] == "mpk.json" or name.endswith("_mpk.json")

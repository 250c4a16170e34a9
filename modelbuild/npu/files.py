"""The three byte strings of a program as three files in a folder."""

from __future__ import annotations

from pathlib import Path

from modelbuild.errors import ModelbuildError

SECTIONS = ("command", "weights", "host")


def write_program(folder: Path, command: bytes, weights: bytes, host: bytes) -> tuple[Path, ...]:
    """Writes `command.bin`, `weights.bin` and `host.bin` (empty without CPU segments); their paths."""
    paths = tuple(folder / f"{section}.bin" for section in SECTIONS)
    for path, data in zip(paths, (command, weights, host), strict=True):
        path.write_bytes(data)
    return paths


def read_program(folder: Path) -> tuple[bytes, bytes, bytes]:
    """The inverse of `write_program`; a missing file is a ModelbuildError."""
    command, weights, host = (_read(folder / f"{section}.bin") for section in SECTIONS)
    return command, weights, host


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelbuildError(
            "cannot read a section of the program", where=path.name, why=error.strerror or ""
        ) from None

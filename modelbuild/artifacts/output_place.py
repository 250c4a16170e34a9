"""Where a verb may write a file that the user names: over nothing that modelbuild cannot make again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from modelbuild import input_file, output_file, whole_file
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef, sealed


def write(
    output: str | Path,
    name: str,
    made: bytes,
    read: Sequence[Path],
    force: bool,
    loss: Callable[[bytes], str],
) -> Path:
    """Write the file whole, or nothing; where it is. A folder, one that is there or a name that ends in a
    slash, takes it as `name`.

    Raises where something lies there that is no file, for one of the files that are `read`, and, without
    `force`, over a file that is neither empty nor the same already and of which `loss` says what would be
    lost ("a file of your own").
    """
    place = Path(output)
    if place.is_dir() or str(output).endswith(("/", "\\")):
        make_folder(place)
        place /= name
    if not output_file.check(place):
        _check(place, made, read, force, loss)
    whole_file.write(place, made)
    return place


def make_folder(folder: Path) -> None:
    """A folder for what is written. Raises ModelbuildError (exit 2) where there can be none, and inside those
    of builds."""
    output_file.check_folder(folder / "file", shown=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelbuildError(
            "-o cannot be a folder",
            where=str(folder),
            why=error.strerror or str(error),
            advice="name a folder that you may write to",
        ) from None


def loss_of_package(data: bytes) -> str:
    """What would be lost with a file, nothing with a NEF for modelbuild's simulator."""
    if sealed.is_sealed(data):
        return "an encrypted package"
    try:
        return "a file with a vendor's programs" if nef.read(data).silicon else ""
    except ModelbuildError:
        return "a file that modelbuild has not written"


def loss_of_sealed(data: bytes) -> str:
    """What would be lost with a file, nothing with a package that modelbuild has encrypted either."""
    return "" if sealed.is_sealed(data) else loss_of_package(data)


def _check(place: Path, made: bytes, read: Sequence[Path], force: bool, loss: Callable[[bytes], str]) -> None:
    if not place.exists() and not place.is_symlink():
        return
    if any(path.exists() and path.samefile(place) for path in read if place.exists()):
        raise ModelbuildError(
            "-o would overwrite the file that is read", where=str(place), advice="name another file"
        )
    lost = "" if force else _lost(place, made, loss)
    if lost:
        raise ModelbuildError(
            f"-o would overwrite {lost}",
            where=str(place),
            advice="name another file, or add --force to replace it",
        )


def _lost(place: Path, made: bytes, loss: Callable[[bytes], str]) -> str:
    if not place.exists():
        return "a link that leads nowhere"
    try:
        data = input_file.read(place)
    except ModelbuildError:
        return "a file that cannot be read"
    return "" if not data or data == made else loss(data)

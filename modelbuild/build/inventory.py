"""What the store holds, and what of it the last builds rest on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelbuild.build import disk, roots
from modelbuild.build.records import Records

WORK = "work"
_BAD = ".bad"  # the suffix of what was found damaged


@dataclass(frozen=True)
class Held:
    """A file of the store: its digest or key, size in bytes, and time of writing."""

    name: str
    path: Path
    size: int
    written: float


@dataclass(frozen=True)
class Contents:
    """All that a state folder holds. `outputs` is key -> digests of a record that can be read; `live` are the
    keys and digests that the last builds rest on; `incomplete` are keys whose blobs are not all there: no
    build can use them, and none rests on them. `used` is key -> time of its last use, `bad` are damaged
    files that were set aside."""

    blobs: Mapping[str, Held]
    records: Mapping[str, Held]
    outputs: Mapping[str, frozenset[str]]
    live: frozenset[str]
    incomplete: frozenset[str]
    used: Mapping[str, float]
    bad: tuple[Held, ...]

    @property
    def size(self) -> int:
        """Bytes of blobs and records."""
        return size_of((*self.blobs.values(), *self.records.values()))

    @property
    def live_size(self) -> int:
        """Bytes of what the last builds rest on."""
        return size_of(
            one for held in (self.blobs, self.records) for name, one in held.items() if name in self.live
        )


def contents(folder: Path, root: Path) -> Contents:
    """What the state in `folder` of the checkout `root` holds now. Raises ModelbuildError (exit 1)."""
    with disk.told(folder):
        # Records first: a build that runs meanwhile writes a record after its blobs.
        records = {one.name: one for one in _files(folder / "records", ".json")}
        reader = Records(folder / "records", folder / WORK, writable=False)
        outputs: dict[str, frozenset[str]] = {}
        for key in records:
            record = reader.get(key)
            if record is not None:
                outputs[key] = frozenset(blob.digest for blob in record.outputs.values())
        blobs = {one.name: one for one in _files(folder / "store/blobs", "")}
        incomplete = frozenset(key for key, digests in outputs.items() if not digests <= blobs.keys())
        noted = roots.read_all(folder).values()
        keys = {key for one in noted if one.about.is_live(root) for key in one.all_keys()}
        live = {name for key in keys & outputs.keys() - incomplete for name in (key, *outputs[key])}
        used = {key: float(when) for one in noted for key, when in one.retired.items()}
        return Contents(
            blobs,
            records,
            outputs,
            frozenset(live),
            incomplete,
            {key: max(held.written, used.get(key, 0.0)) for key, held in records.items()},
            tuple(_set_aside(folder)),
        )


def _files(folder: Path, suffix: str) -> Iterator[Held]:
    """The files of a folder of two levels, whose names are digests."""
    for first in disk.names(folder):
        for rest in disk.names(folder / first):
            name = first + rest.removesuffix(suffix)
            path = folder / first / rest
            if rest.endswith(suffix) and len(name) == 64 and not disk.is_folder(path):
                yield held_at(name, path)


def _set_aside(folder: Path) -> Iterator[Held]:
    patterns = (f"*{_BAD}", f"store/**/*{_BAD}", f"records/**/*{_BAD}")
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        yield held_at(path.name, path)


def held_at(name: str, path: Path) -> Held:
    """A file or a folder as it is now, under that name."""
    found = path.lstat()
    size = sum(one.lstat().st_size for one in path.rglob("*")) if path.is_dir() else found.st_size
    return Held(name, path, size, found.st_mtime)


def size_of(files: Iterable[Held]) -> int:
    """The bytes of the files together."""
    return sum(held.size for held in files)

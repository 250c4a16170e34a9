"""Every file of the store held against its name; what is damaged is set aside and built again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from modelbuild.build import canonical, disk
from modelbuild.build.garbage import Waiting, locked
from modelbuild.build.inventory import Held, contents
from modelbuild.build.records import SCHEMA


@dataclass(frozen=True)
class Damage:
    """What `verify` found: damaged files, which were set aside, and records whose blobs are gone."""

    blobs: tuple[Held, ...] = ()
    records: tuple[Held, ...] = ()
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    read: int = 0  # files
    read_bytes: int = 0

    @property
    def ok(self) -> bool:
        """Whether all is whole."""
        return not (self.blobs or self.records or self.missing)


def verify(
    folder: Path, root: Path, waiting: Waiting, step: Callable[[Held], None], beside: Sequence[Path] = ()
) -> Damage:
    """Reads every blob and record; sets aside what is damaged, under the lock, so that it is built again.

    A build may run meanwhile. `step` is told of each file before it is read; `beside` as for `collect`.
    Raises ModelbuildError (exit 1).
    """
    with disk.told(folder):
        found = contents(folder, root)
        everything = [*found.blobs.values(), *found.records.values()]
        suspects = [held for held in everything if not _is_whole(held, step)]
        bad: list[Held] = []
        if suspects:
            with locked((folder, *beside), waiting):
                bad = [held for held in suspects if held.path.exists() and not _is_whole(held)]
                for held in bad:
                    disk.set_aside(held.path)
    gone = {held.name for held in bad}
    missing = {
        key: tuple(sorted(lost))
        for key, digests in sorted(found.outputs.items())
        if (lost := digests - found.blobs.keys() | digests & gone)
        and key not in gone
        and found.records[key].path.exists()
    }
    return Damage(
        tuple(held for held in bad if held.name in found.blobs),
        tuple(held for held in bad if held.name in found.records),
        missing,
        len(everything),
        found.size,
    )


def _is_whole(held: Held, step: Callable[[Held], None] | None = None) -> bool:
    if step:
        step(held)
    if held.path.suffix == ".json":
        return _is_whole_record(held)
    try:
        return canonical.sha256_of_file(held.path) == held.name
    except FileNotFoundError:
        return True  # a build or a collection removed it meanwhile
    except OSError:
        return False


def _is_whole_record(held: Held) -> bool:
    data = disk.read(held.path)
    if data is None:
        return True  # as above
    try:
        content = disk.unseal(data)
    except disk.Damaged:
        return False
    return bool(content["schema"] != SCHEMA or content["key"] == held.name)

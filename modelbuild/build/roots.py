"""Which results the last builds rest on: what no collection of garbage may take away."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelbuild.build import canonical, disk
from modelbuild.build.appending import append
from modelbuild.build.recall import ROOTS
from modelbuild.errors import EXIT_FAILED, ModelbuildError

SCHEMA = 1
Keys = Mapping[str, Sequence[str]]  # action -> the keys of its records


class About(NamedTuple):
    """What was built: `manifest` is its file, `sources` are the files that it was read from with their
    digests, both relative to the root.

    `whole` is a build of all of it, as it is: that counts as long as the manifest is there. A build of a
    part, or with settings of its own, counts while the sources are what they were. `python` is the
    installation that built; what a removed one built is asked for no more.
    """

    manifest: str
    sources: Mapping[str, str]
    whole: bool
    python: str = sys.prefix

    def is_live(self, folder: Path) -> bool:
        """Whether a build in `folder` may ask for this again. An unreadable source counts as unchanged."""
        if not (_exists(Path(self.python)) and _exists(folder / self.manifest)):
            return False
        return self.whole or all(_is_same(folder / name, digest) for name, digest in self.sources.items())


class Root(NamedTuple):
    """The last build of a request; `retired` is key -> the time from which on it did without that result."""

    about: About
    keys: Keys
    retired: Mapping[str, int]

    def all_keys(self) -> set[str]:
        """The keys of all actions."""
        return {key for keys in self.keys.values() for key in keys}


def note(
    state_folder: Path, scratch: Path, request: str, about: About, keys: Keys, planned: Sequence[str]
) -> None:
    """Keeps what the last build of a request came to; nothing is written if that is what it was. Actions of
    the plan that this build did not come to keep the keys they had. Raises ModelbuildError (exit 1)."""
    path = _path(state_folder, request)
    before = _read(path)
    known = before.keys if before else {}
    names = {name: keys.get(name, known.get(name)) for name in planned}
    now = {name: sorted(found) for name, found in names.items() if found}
    if before is not None and before.about == about and before.keys == now:
        return
    gone = before.all_keys() - {key for found in now.values() for key in found} if before else set()
    retired = {**(before.retired if before else {}), **dict.fromkeys(gone, int(time.time()))}
    _write(path, scratch, Root(about, now, retired))


def note_again(state_folder: Path, scratch: Path, request: str, keys: Keys) -> None:
    """Adds what a build of a few actions of a noted request came to. Raises ModelbuildError (exit 1)."""
    path = _path(state_folder, request)
    if not keys or not path.exists():
        return
    if not _ends_whole(path) and (before := _read(path)) is not None:
        _write(path, scratch, before)
    changed = {name: sorted(found) for name, found in keys.items()}
    append(path, disk.sealed_line({"at": int(time.time()), "keys": changed}))


def read_all(state_folder: Path) -> dict[Path, Root]:
    """Every root by its file; what cannot be understood is left out."""
    found = {path: _read(path) for path in _files(state_folder)}
    return {path: root for path, root in found.items() if root is not None}


def check(state_folder: Path) -> None:
    """Raises ModelbuildError (exit 1) if a root cannot be understood: who does not know what it holds must
    not think that it holds nothing."""
    known = read_all(state_folder)
    for path in _files(state_folder):
        if path not in known:
            raise ModelbuildError(
                f"{path} does not tell what a last build rests on",
                why="it is damaged, or another version of modelbuild has written it",
                advice="remove it, and build again before garbage is collected",
                exit_code=EXIT_FAILED,
            )


def forget(path: Path, scratch: Path, root: Root, gone: set[str]) -> None:
    """Drops retired keys whose records are no more. Raises ModelbuildError (exit 1)."""
    kept = {key: when for key, when in root.retired.items() if key not in gone}
    if len(kept) < len(root.retired):
        _write(path, scratch, Root(root.about, root.keys, kept))


def _files(state_folder: Path) -> list[Path]:
    folder = state_folder / ROOTS
    return [folder / name for name in disk.names(folder) if not Path(name).suffix]


def _path(state_folder: Path, request: str) -> Path:
    return state_folder / ROOTS / request


def _write(path: Path, scratch: Path, root: Root) -> None:
    times: dict[int, list[str]] = {}
    for key, when in sorted(root.retired.items()):
        times.setdefault(when, []).append(key)
    about = {
        "schema": SCHEMA,
        "manifest": root.about.manifest,
        "sources": dict(root.about.sources),
        "whole": root.about.whole,
        "python": root.about.python,
    }
    lines: list[dict[str, Any]] = [
        {"about": about, "keys": root.keys},
        *({"retired": when, "keys": times[when]} for when in sorted(times)),
    ]
    disk.write(path, b"".join(map(disk.sealed_line, lines)), scratch)


def _ends_whole(path: Path) -> bool:
    """Whether the last line was written to its end: a process may have been killed over it."""
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() == b"\n"


def _read(path: Path) -> Root | None:
    """None for what is damaged or of another schema. A last line that is torn was never told of."""
    data = disk.read(path)
    lines = list(_lines(data)) if data is not None else []
    whole = [line for line in lines if line is not None]
    if not whole or None in lines[:-1] or "about" not in whole[0]:
        return None
    first, *others = whole
    about = dict(first["about"])
    if about.pop("schema") != SCHEMA:
        return None
    keys: dict[str, list[str]] = dict(first["keys"])
    retired: dict[str, int] = {}
    for line in others:
        if "retired" in line:
            retired.update(dict.fromkeys(line["keys"], line["retired"]))
            continue
        for name, found in line["keys"].items():
            retired.update(dict.fromkeys(set(keys.get(name, ())) - set(found), line["at"]))
            keys[name] = found
    live = {key for found in keys.values() for key in found}
    return Root(About(**about), keys, {key: when for key, when in retired.items() if key not in live})


def _lines(data: bytes) -> Iterator[dict[str, Any] | None]:
    for line in data.splitlines():
        try:
            yield disk.unsealed_line(line)
        except disk.Damaged:
            yield None


def _exists(path: Path) -> bool:
    """Raises OSError where the disk does not tell."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_same(path: Path, digest: str) -> bool:
    try:
        return canonical.sha256_of_file(path) == digest
    except FileNotFoundError:
        return False
    except OSError:
        return True

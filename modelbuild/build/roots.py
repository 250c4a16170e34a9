"""Which results the last builds rest on: what no collection of garbage may take away."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from modelbuild.build import canonical, disk
from modelbuild.errors import EXIT_FAILED, ModelbuildError

FOLDER = "roots"  # in the state's folder
RETIRED = (
    "retired"  # lines of a time and the keys that the last build of some request did without from then on
)
SCHEMA = 1


@dataclass(frozen=True)
class Root:
    """The keys of the records that the last build of one request came to: action -> keys.

    `manifest` is the file that was built, `sources` the files that it was read from with their digests, both
    relative to the root. `whole` is a build of all of it, as it is: that counts as long as the manifest is
    there; a build of a part, or with settings of its own, counts while the sources are what they were.
    `python` is the installation that built; what a removed one built is asked for no more.
    """

    manifest: str
    sources: Mapping[str, str]
    whole: bool
    keys: Mapping[str, Sequence[str]]
    python: str = sys.prefix

    def is_live(self, folder: Path) -> bool:
        """Whether a build in `folder` may ask for this again. An unreadable source counts as unchanged."""
        if not os.path.isdir(self.python) or not (folder / self.manifest).exists():  # noqa: PTH112
            return False
        return self.whole or all(_is_same(folder / name, digest) for name, digest in self.sources.items())

    def all_keys(self) -> set[str]:
        """The keys of all actions."""
        return {key for keys in self.keys.values() for key in keys}


def note(state_folder: Path, scratch: Path, request: str, root: Root, planned: Sequence[str]) -> None:
    """Keeps the root of a request; nothing is written if it is what it was. Actions of the plan that this
    build did not come to keep the keys they had. Raises ModelbuildError (exit 1)."""
    path = state_folder / FOLDER / f"{request}.json"
    before = _read(path)
    known = before.keys if before else {}
    names = {name: root.keys.get(name, known.get(name)) for name in planned}
    kept = {name: sorted(keys) for name, keys in names.items() if keys}
    after = Root(root.manifest, dict(root.sources), root.whole, kept, root.python)
    if before == after:
        return
    gone = before.all_keys() - after.all_keys() if before else set()
    if gone:
        line = json.dumps([int(time.time()), sorted(gone)], separators=(",", ":"))
        disk.append(state_folder / FOLDER / RETIRED, line.encode() + b"\n")
    disk.write(path, disk.seal({"schema": SCHEMA, **asdict(after)}), scratch)


def read_all(state_folder: Path) -> dict[Path, Root]:
    """Every root by its file; what cannot be understood is left out."""
    found = {path: _read(path) for path in sorted((state_folder / FOLDER).glob("*.json"))}
    return {path: root for path, root in found.items() if root is not None}


def check(state_folder: Path) -> None:
    """Raises ModelbuildError (exit 1) if a root cannot be understood: who does not know what it holds must
    not think that it holds nothing."""
    known = read_all(state_folder)
    for path in sorted((state_folder / FOLDER).glob("*.json")):
        if path not in known:
            raise ModelbuildError(
                f"{path} does not tell what a last build rests on",
                why="it is damaged, or another version of modelbuild has written it",
                advice="remove it, and build again before garbage is collected",
                exit_code=EXIT_FAILED,
            )


def retired(state_folder: Path) -> dict[str, float]:
    """Key -> the time until which a last build had rested on it; torn lines are passed over."""
    times: dict[str, float] = {}
    for when, keys in _lines(state_folder / FOLDER / RETIRED):
        times.update(dict.fromkeys(keys, float(when)))
    return times


def forget_retired(state_folder: Path, scratch: Path, gone: set[str]) -> None:
    """Drops keys whose records are no more. Raises ModelbuildError (exit 1)."""
    path = state_folder / FOLDER / RETIRED
    kept: dict[float, list[str]] = {}
    for key, when in retired(state_folder).items():
        if key not in gone:
            kept.setdefault(when, []).append(key)
    lines = [
        json.dumps([int(when), sorted(keys)], separators=(",", ":")) for when, keys in sorted(kept.items())
    ]
    if lines:
        disk.write(path, "".join(line + "\n" for line in lines).encode(), scratch)
    else:
        disk.remove(path)


def _read(path: Path) -> Root | None:
    data = disk.read(path)
    if data is None:
        return None
    try:
        content = disk.unseal(data)
    except disk.Damaged:
        return None
    if content.pop("schema") != SCHEMA:
        return None
    return Root(**content)


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    for line in (disk.read(path) or b"").splitlines():
        try:
            when, keys = json.loads(line)
        except ValueError:
            continue
        yield when, keys


def _is_same(path: Path, digest: str) -> bool:
    try:
        return canonical.sha256_of_file(path) == digest
    except FileNotFoundError:
        return False
    except OSError:
        return True

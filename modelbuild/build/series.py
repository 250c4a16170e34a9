"""Files in numbered roles, as the samples of a set, are compared as a set: that one moved up is no change."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.build.key import Change, FieldPath, Fields

_NUMBERED = re.compile(r"(.+/)\d+(/.*)")  # samples that serve whatever input there is end in the slash
_FILE_ROWS = ("inputs", "suffixes", "folders")

Names = Mapping[str, Sequence[str]]  # digest -> paths of files that are known to have, or have had, it


@dataclass(frozen=True)
class Told:
    """A change, and what people call what changed; empty: as its field says."""

    change: Change
    source: str = ""


def series_of(role: str) -> str:
    """`sample/*/input` of `sample/000012/input`; empty where a role is not numbered."""
    found = _NUMBERED.fullmatch(role)
    return f"{found[1]}*{found[2]}" if found else ""


def as_sets(
    changes: Sequence[Change], old: Fields, new: Fields, names: Names, paths: Mapping[str, str]
) -> list[Told]:
    """The changes, with those of numbered roles told by file, last. `paths`: role -> path as it is now."""
    before, after = _by_series(old), _by_series(new)
    altered = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    told = [
        Told(change)
        for change in changes
        if change.path[0] not in _FILE_ROWS or series_of(str(change.path[1])) not in altered
    ]
    for name in sorted(altered):
        found = _Series(name, before.get(name, {}), after.get(name, {}), names, paths)
        told += [one for one in found.told() if (one.source, one.change.kind) not in _known(told)]
    return told


def _known(told: Sequence[Told]) -> set[tuple[str, str]]:
    """One file may serve several inputs."""
    return {(one.source, one.change.kind) for one in told if one.source.startswith("file ")}


def _by_series(rows: Fields) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for path, value in rows:
        name = series_of(str(path[1])) if path[0] == "inputs" else ""
        if name:
            found.setdefault(name, {})[str(path[1])] = value
    return found


@dataclass(frozen=True)
class _Series:
    name: str
    before: Mapping[str, str]  # role -> digest
    after: Mapping[str, str]
    names: Names
    paths: Mapping[str, str]

    def told(self) -> Iterator[Told]:
        gone, came = _more(self.before, self.after), _more(self.after, self.before)
        if not gone and not came:
            change = Change(
                ("inputs", self.name), "changed", list(self.before.values()), list(self.after.values())
            )
            yield Told(change, f"the order of the files {self.name}")
        for role, digest in came.items():
            path = self._path(role, digest, gone)
            was = self._was(role, path, gone)
            at: FieldPath = ("inputs", role)
            change = (
                Change(at, "changed", gone.pop(was), digest) if was else Change(at, "added", None, digest)
            )
            yield Told(change, f"file {path}" if path else f"input {role}")
        for role, digest in gone.items():
            known = self._former(digest)
            gone_file = Change(("inputs", role), "removed", digest, None)
            yield Told(gone_file, f"file {known}" if known else f"input {role}")

    def _path(self, role: str, digest: str, gone: Mapping[str, str]) -> str:
        known = self.names.get(digest, ())
        path = self.paths.get(role, "")
        if path in self.names.get(gone.get(role, ""), ()):
            return path  # the file of this role had what is gone: it has other bytes, maybe another file's
        return path if path in known or not known else known[0]

    def _former(self, digest: str) -> str:
        return next(iter(self.names.get(digest, ())), "")

    def _was(self, role: str, path: str, gone: Mapping[str, str]) -> str:
        """The role of the file that had other bytes before, if it is the same file."""
        same = [one for one, digest in gone.items() if path and path in self.names.get(digest, ())]
        in_place = role in gone and len(self.before) == len(self.after) and not self._former(gone[role])
        return same[0] if same else role if in_place else ""


def _more(these: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """Role -> digest of those that the others do not have, as often as they do not. A file that is where it
    was is the same one, whoever else has its bytes."""
    left, found = Counter(others.values()), dict[str, str]()
    stayed = {role for role, digest in these.items() if others.get(role) == digest}
    left.subtract(these[role] for role in sorted(stayed))
    for role, digest in these.items():
        if role in stayed:
            continue
        if left[digest] > 0:
            left[digest] -= 1
        else:
            found[role] = digest
    return found

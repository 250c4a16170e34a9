"""Why an action ran the last time, and why it would run the next: the field that changed, old and new."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelbuild.build import canonical
from modelbuild.build.action import DISCOVERED, FAILURE, Action, FileInput
from modelbuild.build.history import Entry
from modelbuild.build.key import Change, Fields, explain
from modelbuild.build.series import as_sets, series_of
from modelbuild.build.state import State

_DIGITS = 12  # of a digest, where people read it; JSON has them all
_MOST = 10  # lines about files, or about one list; JSON has them all, too

Verdict = Literal[
    "up to date",
    "never built",
    "first",
    "shared",
    "changed",
    "retry",
    "damaged",
    "failed",
    "waits",
    "unknown",
]

_SENTENCES: dict[Verdict, str] = {
    "up to date": "inputs unchanged: up to date",
    "never built": "never built",
    "first": "it had never been built",
    "shared": "never run under this name",
    "changed": "changed",
    "retry": "it had failed, and a retry was asked for",
    "damaged": "its stored result was missing or damaged",
    "failed": "it failed, and no input has changed since",
    "waits": "depends on",
    "unknown": "the record of the run before is gone",
}


@dataclass(frozen=True)
class Reason:
    """Why one run happened or would happen. `waits_for` is the action that must run first."""

    verdict: Verdict
    changes: tuple[Change, ...] = ()
    sources: tuple[str, ...] = ()  # for each change, what people call that field
    waits_for: str = ""
    waits_because: Reason | None = None
    message: str = ""

    def __str__(self) -> str:
        if self.verdict == "waits":
            return f"depends on {self.waits_for}, which must run first: {self.waits_because}"
        if self.verdict == "changed":
            lines = _lines(self.changes, self.sources)
            return lines[0] if len(lines) == 1 else "\n".join(["changed:", *(f"  {line}" for line in lines)])
        return _SENTENCES[self.verdict] + (f": {self.message}" if self.message else "")

    def to_json(self) -> dict[str, Any]:
        """`{verdict, changes: [{field, source, ...}], waits_for, waits_because, message, text}`."""
        return {
            "verdict": self.verdict,
            "changes": [
                {**change.to_json(), "source": source}
                for change, source in zip(self.changes, self.sources, strict=True)
            ],
            "waits_for": self.waits_for,
            "waits_because": self.waits_because.to_json() if self.waits_because else None,
            "message": self.message,
            "text": str(self),
        }


@dataclass(frozen=True)
class Explanation:
    """Of one action: the run before (None if there was none) and the next build."""

    action: str
    last: Reason | None
    last_outcome: Literal["run", "failed", "cached"] | None
    next: Reason

    def to_json(self) -> dict[str, Any]:
        """`{action, last, last_outcome, next}`."""
        return {
            "action": self.action,
            "last": self.last.to_json() if self.last else None,
            "last_outcome": self.last_outcome,
            "next": self.next.to_json(),
        }

    def text(self, *, last: bool = True, next: bool = True, told: Collection[str] = ()) -> str:
        """The action, and a line each for the run before and the next build, as asked for. Why the actions
        of `told` run next need not be said again."""
        lines = [self.action]
        if last:
            verb = {"run": "it ran", "failed": "it ran and failed", "cached": "it was found in the store"}
            told = f"{verb[self.last_outcome or 'run']}: {self.last}" if self.last else "it has never run"
            lines += [f"last time {told}"] if self.last or not next else []
        if next:
            known = self.next.verdict == "waits" and self.next.waits_for in told
            waits = f"depends on {self.next.waits_for}, which must run first (above)"
            lines.append(f"next time: {waits if known else self.next}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()


def explain_last(action: Action, state: State) -> tuple[Reason | None, Entry | None]:
    """Why the newest entry of that name came about, and the entry."""
    entry = state.history.get(action.name)
    if entry is None:
        return None, None
    if entry.reason == "retry":
        return Reason("retry"), entry
    if entry.reason == "damaged":
        return Reason("damaged"), entry
    if entry.previous is None:
        first = shared(entry.key, state) if entry.outcome == "cached" else Reason("first")
        return first, entry
    old, new = state.records.get(entry.previous), state.records.get(entry.key)
    if old is None or new is None:
        return Reason("unknown"), entry
    return changed(action, old.fields, new.fields, state), entry


def shared(key: str, state: State) -> Reason:
    """The reason of a result that was there before the action was first asked for."""
    maker = state.history.maker(key)
    whose = f"{maker}, which asks for the same (it has the same key)" if maker else "the store"
    return Reason("shared", message=f"its result is taken from {whose}")


def changed(action: Action, old: Fields, new: Fields, state: State) -> Reason:
    """The reason that two lists of fields give, in the user's words. The state knows files by their bytes."""
    found = explain(old, new)
    files = {change.path[1] for change in found if change.path[0] == "inputs" and change.kind != "changed"}
    # a file that came or went took its suffix along: one line tells of both
    told = [change for change in found if change.path[0] != "suffixes" or change.path[1] not in files]
    changes = [change for change in told if not _is_only_emptied(change, told)]
    digests = {str(value) for path, value in (*old, *new) if path[0] == "inputs" and series_of(str(path[1]))}
    names = state.stat_cache.names(digests) if digests else {}
    listed = as_sets(changes, old, new, names, action.paths())
    return Reason(
        "changed",
        tuple(one.change for one in listed),
        tuple(one.source or _source(action, one.change) for one in listed),
    )


def _is_only_emptied(change: Change, others: Sequence[Change]) -> bool:
    """Whether a mapping or list came to be empty, or ceased to: what was in it is told already."""
    value = change.new if change.kind == "added" else change.old
    depth = len(change.path)
    return value in ({}, []) and any(
        other.path[:depth] == change.path and len(other.path) > depth for other in others
    )


def found_path(action: Action, role: str) -> str:
    """The path, relative to the root, behind the role of a discovered file."""
    return posixpath.normpath(posixpath.join(action.base, role.removeprefix(DISCOVERED)))


def _source(action: Action, change: Change) -> str:
    """What people call the field: a file, an output of another action, or the field itself."""
    if change.path[0] not in ("inputs", "suffixes"):
        return change.field
    role = str(change.path[1])
    if change.path[0] == "suffixes":
        return f"suffix of file {action.paths()[role]}" if role in action.paths() else f"suffix of {role}"
    if role.startswith(DISCOVERED):
        return f"file {found_path(action, role)}"
    if role.endswith(FAILURE):
        failed = action.soft_inputs.get(role.removesuffix(FAILURE))
        return f"failure of {failed.action}" if failed else role
    source = {**action.inputs, **action.soft_inputs}.get(role)
    if source is None:
        return f"input {role}"
    if isinstance(source, FileInput):
        return f"file {source.path}"
    return f"output {source.name} of {source.action}"


FINGERPRINT = "fingerprint"  # a parameter of this name stands for secrets, and is empty without them


def _lines(changes: Sequence[Change], sources: Sequence[str]) -> list[str]:
    """A line a change; of many files, or of many items of one list, the first and how many more."""
    groups: dict[str, list[str]] = {}
    for change, source in zip(changes, sources, strict=True):
        listed = change.path[0] == "inputs" or any(isinstance(part, int) for part in change.path)
        group = str(change.path[0 if change.path[0] == "inputs" else 1]) if listed else change.field
        groups.setdefault(group, []).append(_line(change, source))
    return [
        line
        for group, lines in groups.items()
        for line in (
            lines if len(lines) <= _MOST else [*lines[:_MOST], f"{len(lines) - _MOST} more of {group}"]
        )
    ]


def _line(change: Change, source: str) -> str:
    if change.path[-1] == FINGERPRINT and change.kind == "changed":
        says = "changed" if change.old and change.new else "is there now" if change.new else "is not there"
        return f"a secret of {source.removesuffix(f'.{FINGERPRINT}')} {says}"
    if isinstance(change.old, list):
        return f"{source} changed"
    old, new = _show(change, change.old), _show(change, change.new)
    kinds: Mapping[str, str] = {
        "changed": f"{source} changed from {old} to {new}",
        "added": f"{source} was added: {new}",
        "removed": f"{source} was removed: it was {old}",
    }
    return kinds[change.kind]


def _show(change: Change, value: Any) -> str:
    if change.path[0] == "inputs" and value is not None:
        return f"{str(value)[:_DIGITS]}…"
    return canonical.encode(value).decode("ascii")

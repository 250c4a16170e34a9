"""Findings that the manifest does not want to hear of, and entries of it that no finding answers to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from modelbuild.graph.codes import CODES, covers
from modelbuild.manifest import ignored, places
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.settings import effective

UNMATCHED = "MB008"
Found = dict[str, Any]  # a finding in its JSON form
Pair = tuple[str, str]


@dataclass(frozen=True)
class Sorted:
    """Findings to report, in their order, and those that are ignored, each with the `reason` and the place
    (`ignored_at`) of the entry."""

    kept: tuple[Found, ...]
    ignored: tuple[Found, ...]


class _Entry(NamedTuple):
    at: str  # file:line:column, or the option that set it
    code: str
    node: str | None
    reason: str | None

    def covers(self, finding: Mapping[str, Any]) -> bool:
        return covers(self._asdict(), finding)


def sort(manifest: Manifest, findings: Iterable[Found], checked: Collection[Pair]) -> Sorted:
    """Findings, and a warning for each entry that answers to none, where every model and target that it holds
    for was `checked`."""
    of_pair = {pair: _entries(manifest, *pair) for pair in manifest.pairs()}
    defaults = _of_defaults(manifest)
    kept: list[Found] = []
    left: list[Found] = []
    matched: set[_Entry] = set()
    for finding in findings:
        entry = next((one for one in _about(finding, of_pair, defaults) if one.covers(finding)), None)
        if entry is None:
            kept.append(finding)
        else:
            matched.add(entry)
            left.append({**finding, "reason": entry.reason or "", "ignored_at": entry.at})
    silent = [finding.to_json() for finding in manifest.ignored]
    for finding in silent:
        entry = next(one for one in defaults if one.covers(finding))
        matched.add(entry)
        left.append({**finding, "reason": entry.reason or "", "ignored_at": entry.at})
    unmatched = _unmatched(of_pair, defaults, matched, checked)
    return Sorted((*kept, *map(_warning, unmatched)), tuple(left))


def of_manifest(manifest: Manifest, finding: Mapping[str, Any]) -> bool:
    """Whether `defaults` does not want to hear of a finding on the manifest itself."""
    return any(entry.covers(finding) for entry in _of_defaults(manifest))


def _about(
    finding: Mapping[str, Any], of_pair: Mapping[Pair, list[_Entry]], defaults: list[_Entry]
) -> list[_Entry]:
    """The entries that hold where the finding was made."""
    model, target = finding.get("model"), finding.get("target")
    if not model:
        return defaults
    if target:
        return of_pair.get((model, target), [])
    return [entry for pair, entries in of_pair.items() if pair[0] == model for entry in entries]


def _unmatched(
    of_pair: Mapping[Pair, list[_Entry]],
    defaults: list[_Entry],
    matched: Collection[_Entry],
    checked: Collection[Pair],
) -> Iterator[_Entry]:
    holds_for: dict[_Entry, list[Pair]] = {entry: [] for entry in defaults}
    for pair, entries in of_pair.items():
        for entry in entries:
            holds_for.setdefault(entry, []).append(pair)
    for entry, pairs in holds_for.items():
        if entry in matched or CODES[entry.code].sometimes:
            continue
        if all(pair in checked for pair in pairs):
            yield entry


def _of_defaults(manifest: Manifest) -> list[_Entry]:
    path = ("defaults", "checks", "ignore")
    entries = ignored.of_defaults(manifest.spec.defaults)
    return [_Entry(manifest.position((*path, index)), **entry) for index, entry in enumerate(entries)]


def _entries(manifest: Manifest, model: str, target: str) -> list[_Entry]:
    settings = effective(manifest, model, target)
    entries = settings.values["checks"]["ignore"]
    at = places.of_items(manifest, settings, ("checks", "ignore"), len(entries))
    return [_Entry(place, **entry) for place, entry in zip(at, entries, strict=True)]


def _warning(entry: _Entry) -> Found:
    of_nodes = f" of nodes `{entry.node}`" if entry.node else ""
    file, line, column = [*entry.at.rsplit(":", 2), "", ""][:3]
    placed = line.isdigit() and column.isdigit()
    return {
        "code": UNMATCHED,
        "severity": CODES[UNMATCHED].severity,
        "message": f"there is no {entry.code}{of_nodes} to ignore",
        "advice": "remove the entry",
        "node": "",
        "file": file if placed else "",
        "line": int(line) if placed else None,
        "column": int(column) if placed else None,
        **({} if placed else {"where": entry.at}),
    }

"""`diff`: two artifacts of one kind: what `inspect` shows, layers, weights, bytes and times."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelbuild import input_file
from modelbuild.artifacts import (
    differing_layers,
    differing_pairs,
    differing_readers,
    differing_weights,
    unread,
)
from modelbuild.artifacts.differing_layers import Layers
from modelbuild.artifacts.differing_objects import differences, paired
from modelbuild.artifacts.inspect import inspect
from modelbuild.artifacts.kinds import Kind, identify
from modelbuild.errors import ModelbuildError
from modelbuild.formats import nef
from modelbuild.input_file import FileBytes

# Told elsewhere in the object; and where things lie, which follows from what lies before them.
_APART = frozenset({"size", "models", "parts", "unpacked", "timing"})
_FOLLOWS = frozenset({"offset", "computed"})
# Kinds that are one to a reader: the same archive, packed or not.
_FAMILIES: Mapping[Kind, str] = {Kind.TAR: "tar", Kind.TAR_GZ: "tar", Kind.KERAS: "keras", Kind.HDF5: "keras"}
# Kinds of which `compare` runs models
_RUN = (
    Kind.ONNX,
    Kind.FIXED_ONNX,
    Kind.NEF,
    Kind.MPK,
    Kind.KMODEL,
    Kind.SEALED,
    Kind.TFLITE,
    Kind.KERAS,
    Kind.HDF5,
    Kind.PROTOTXT,
)
_PADDING = "padding"
_GAPS = (_PADDING, "unknown")
_MOST_TIMES = 16  # that all parts together may be as large as the file
_TIMES = ("cycles", "busy_cycles", "clock_hz", "fps")


@dataclass(frozen=True)
class _Side:
    """One of the two files."""

    path: Path
    weights: Path | None
    kind: Kind
    data: FileBytes
    described: dict[str, Any]
    ids: Mapping[int, int] = field(default_factory=dict)  # of models, and as what the other file has them

    def called(self, what: str) -> str:
        """What a text is about, with models called as in the other file."""
        return differing_pairs.called(what, self.ids)

    @property
    def layers(self) -> list[Layers]:
        """Those of each model."""
        return differing_layers.layers(self.path, self.kind, self.described, self.weights)


def diff(a: Path, b: Path, weights_a: Path | None = None, weights_b: Path | None = None) -> dict[str, Any]:
    """The object of `diff --json` (docs/inspect.md): {kind, equal, a, b, metadata, models, weights, parts,
    sizes, timing}. `equal` says whether both files have the same bytes.

    Errors: ModelbuildError (exit code 2) for what cannot be read, and for two files of different kinds.
    """
    kinds = _same_kind(a, b)
    with input_file.sliced(a) as data_a, input_file.sliced(b) as data_b:
        first = _Side(a, weights_a, kinds[0], data_a, inspect(a, weights_a))
        second = _Side(b, weights_b, kinds[1], data_b, inspect(b, weights_b))
        return _diff(first, _called_alike(second, first))


def _diff(first: _Side, second: _Side) -> dict[str, Any]:
    equal = _equal(first.data, second.data)
    return {
        "kind": str(first.kind),
        "equal": equal,
        "a": _file(first),
        "b": _file(second),
        "metadata": [item._asdict() for item in differences(_metadata(first), _metadata(second), _FOLLOWS)],
        "models": _models(first, second),
        "weights": _weights(first, second),
        "parts": [] if equal else _parts(first, second),
        "sizes": _sizes(first, second),
        "timing": _timing(first, second),
    }


def _same_kind(a: Path, b: Path) -> tuple[Kind, Kind]:
    kinds = identify(a), identify(b)
    if _FAMILIES.get(kinds[0], kinds[0]) == _FAMILIES.get(kinds[1], kinds[1]):
        return kinds
    for path, kind in zip((a, b), kinds, strict=True):
        if unread.is_closed(kind):
            raise unread.refused(path, kind)
    runs = all(kind in _RUN for kind in kinds)
    raise ModelbuildError(
        f"{a.name} is {kinds[0]}, and {b.name} is {kinds[1]}",
        where=str(b),
        why="only two files of one kind can be held against each other",
        advice="`modelbuild compare` runs models of different kinds and compares their outputs"
        if runs
        else "name two files of one kind",
    )


def _equal(a: FileBytes, b: FileBytes) -> bool:
    return len(a) == len(b) and all(one == other for one, other in zip(a.pieces(), b.pieces(), strict=True))


def _called_alike(side: _Side, first: _Side) -> _Side:
    """With a model that has another id than in the first file called by that."""
    ids = differing_pairs.new_ids(first.described["models"], side.described["models"])
    return replace(side, described=differing_pairs.called_alike(side.described, ids), ids=ids)


def _file(side: _Side) -> dict[str, Any]:
    return {"file": str(side.path), "size": len(side.data), "sha256": _digest(side.data.pieces())}


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _metadata(side: _Side) -> dict[str, Any]:
    return {key: value for key, value in side.described.items() if key not in _APART}


def _models(first: _Side, second: _Side) -> list[dict[str, Any]]:
    """An entry a model: {id, name, change, differences, layers}."""
    a, b = _with_layers(first), _with_layers(second)
    together = differing_pairs.pairs(first.described["models"], second.described["models"])
    return [
        _model(None if one is None else a[one], None if other is None else b[other])
        for one, other in together
    ]


_Model = tuple[dict[str, Any], Layers]


def _with_layers(side: _Side) -> list[_Model]:
    return list(zip(side.described["models"], side.layers, strict=True))


def _model(a: _Model | None, b: _Model | None) -> dict[str, Any]:
    one = a or b
    assert one is not None
    entry: dict[str, Any] = {"id": one[0]["id"], "name": one[0]["name"]}
    if a is None or b is None:
        return entry | {"change": "added" if a is None else "removed", "differences": [], "layers": None}
    found = list(
        differences(differing_layers.without_layers(a[0]), differing_layers.without_layers(b[0]), _FOLLOWS)
    )
    layers = _layers(a[1], b[1])
    changed = bool(found or layers["added"] or layers["removed"] or layers["changed"])
    return entry | {
        "change": "changed" if changed else "same",
        "differences": [item._asdict() for item in found],
        "layers": layers,
    }


def _layers(a: Layers, b: Layers) -> dict[str, Any]:
    """{same, added, removed, changed: [{name, differences}]}: how many are the same, and the others."""
    told: dict[str, Any] = {"same": 0, "added": [], "removed": [], "changed": []}
    for name, one, other in paired(a, b):
        if one is None or other is None:
            told["added" if one is None else "removed"].append(_summary(name, one or other))
            continue
        alike = repr(one) == repr(other)  # of most layers, and soon known
        found = [] if alike else list(differences(one, other, _FOLLOWS))
        if found:
            told["changed"].append({"name": name, "differences": [item._asdict() for item in found]})
        else:
            told["same"] += 1
    return told


def _summary(name: str, layer: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "op": layer.get("op")}


def _weights(first: _Side, second: _Side) -> list[dict[str, Any]]:
    a, b = ({side.called(name): weight for name, weight in _read(side).items()} for side in (first, second))
    names = [*a, *(name for name in b if name not in a)]
    return [differing_weights.compare(name, a.get(name), b.get(name)) for name in names]


def _read(side: _Side) -> Mapping[str, differing_weights.Weight]:
    return differing_readers.weights(side.path, side.kind, side.weights)


def _parts(first: _Side, second: _Side) -> list[dict[str, Any]]:
    """The parts whose bytes differ, or that one file alone has: {what, a, b}, each {offset, size, sha256}.
    Padding of zeros is left out: how much of it there is follows from what lies before it."""
    told = []
    for name, one, other in paired(list(_digests(first)), list(_digests(second))):
        same = one and other and one["sha256"] == other["sha256"]
        if not same:
            told.append({"what": name, "a": _place(one), "b": _place(other)})
    return told


def _digests(side: _Side) -> Iterator[dict[str, Any]]:
    """Parts with their SHA-256; gaps go by what lies before them. Parts may lie in one another, but not so
    that there is no end to it."""
    left = _MOST_TIMES * len(side.data)
    before = "the start"
    for part in side.described.get("parts", ()):
        left -= part["size"]
        if left < 0:
            raise ModelbuildError(
                f"{side.path.name} has parts that overlap too often to be held against others",
                where=str(side.path),
                advice="`modelbuild inspect` shows them",
            )
        place = part["offset"], part["offset"] + part["size"]
        what = part["what"]
        if what not in _GAPS:
            before = what
        elif what == _PADDING and not any(piece.strip(b"\0") for piece in side.data.pieces(*place)):
            continue
        else:
            what = f"{what} behind {before}"
        yield {**part, "what": what, "sha256": _digest(side.data.pieces(*place))}


def _place(part: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if part is None else {key: part[key] for key in ("offset", "size", "sha256")}


def _sizes(first: _Side, second: _Side) -> list[dict[str, Any]]:
    """{what, a, b} in bytes: of the file, and of what `inspect` tells in `*_bytes`; equal ones, too."""
    single = _single(first, second)
    a, b = dict(_measured(first, single)), dict(_measured(second, single))
    return [{"what": what, "a": a.get(what), "b": b.get(what)} for what in dict.fromkeys([*a, *b])]


def _single(first: _Side, second: _Side) -> bool:
    """Whether no model has to be told from another."""
    return len(first.described["models"]) <= 1 and len(second.described["models"]) <= 1


def _measured(side: _Side, single: bool) -> Iterable[tuple[str, int]]:
    yield "file", len(side.data)
    for index, model in enumerate(side.described["models"]):
        label = "" if single else side.called(f"model {index if model['id'] is None else model['id']} ")
        for key, value in model.items():
            if (key.endswith("_bytes") or key == "parameters") and isinstance(value, int):
                yield f"{label}{key.replace('_', ' ')}", value


def _timing(first: _Side, second: _Side) -> list[dict[str, Any]]:
    """{what, a, b}: cycles of a run and frames a second, as far as the files tell; equal ones, too."""
    single = _single(first, second)
    a, b = _times(first, single), _times(second, single)
    return [{"what": what, "a": a.get(what), "b": b.get(what)} for what in dict.fromkeys([*a, *b])]


def _times(side: _Side, single: bool) -> dict[str, Any]:
    timing = side.described.get("timing") or {}
    found = {key.replace("_", " "): timing[key] for key in _TIMES if timing.get(key) is not None}
    if side.kind is Kind.NEF and not side.described["silicon"]:
        for model in nef.read(input_file.read(side.path)).models:
            cycles = differing_layers.program_cycles(model.command)
            if cycles is not None:
                found["cycles" if single else side.called(f"model {model.id} cycles")] = cycles
    return found

"""Where a manifest and its files are no longer what `modelbuild.lock` says of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from modelbuild.errors import Problem
from modelbuild.manifest import lock_facts
from modelbuild.manifest.lockfile import (
    LOCK,
    QUANTIZATION,
    Lock,
    LockedModel,
    digest_of,
    pair_name,
)
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.samples import Sets
from modelbuild.manifest.settings import effective
from modelbuild.stages import backends

Pair = tuple[str, str]  # model, target
ABSENT = "none"


@dataclass(frozen=True)
class Difference:
    """One item: what the lock says, what was found (digests, or values of settings), and where that is."""

    item: str
    locked: str
    found: str
    where: str
    advice: str

    def to_json(self) -> dict[str, str]:
        """The object in `differences` of `lock --check --json`."""
        return asdict(self)

    def problem(self) -> Problem:
        """For an error."""
        return Problem(
            f"{self.item} is not what {LOCK} says",
            where=self.where,
            why=f"locked {self.locked}, found {self.found}",
            advice=self.advice,
        )


def of_models(manifest: Manifest, lock: Lock, pairs: Sequence[Pair]) -> list[Difference]:
    """Whatever decides the bytes of these models, but for what has no file or setting: the machine."""
    return [difference for pair in pairs for difference in _of_model(manifest, lock, *pair)]


def of_packages(manifest: Manifest, lock: Lock, names: Sequence[str]) -> list[Difference]:
    """What the manifest has written into packages beside their models."""
    found: list[Difference] = []
    for name in names:
        where = manifest.position(("packages", manifest.packages[name].entry))
        entry = lock.packages.get(name)
        if entry is None:
            found.append(_missing(f"the package {name}", where, name))
            continue
        settings = lock_facts.settings_of_package(manifest, name)
        found += [
            Difference(f"`{key}` of the package {name}", locked, now, where, again(name))
            for key, locked, now in _unlike(entry.settings, settings)
        ]
    return found


def of_samples(manifest: Manifest, lock: Lock, sets: Sets, pairs: Sequence[Pair]) -> list[Difference]:
    """Sample sets that are not what was measured on. Raises ModelbuildError where one cannot be read."""
    found: dict[str, Difference] = {}
    for model, target in pairs:
        entry = lock.models.get(pair_name(model, target))
        if entry is None:
            continue
        locked = {name: samples.model_dump() for name, samples in entry.samples.items()}
        now = {
            name: samples.model_dump()
            for name, samples in lock_facts.samples_of(manifest, sets, model, target).items()
        }
        for name in sorted(locked.keys() | now.keys()):
            if locked.get(name) != now.get(name):
                before, after = (_samples_text(side.get(name)) for side in (locked, now))
                where = manifest.position(("samples", name))
                item = f"the sample set {name}"
                found[name] = Difference(item, before, after, where, again(pair_name(model, target)))
    return list(found.values())


def of_names(manifest: Manifest, lock: Lock) -> list[Difference]:
    """Entries of the lock that nothing in the manifest stands for any more."""
    pairs = {pair_name(*pair) for pair in manifest.pairs()}
    left = [f"the model {name}" for name in lock.models if name not in pairs]
    left += [f"the package {name}" for name in lock.packages if name not in manifest.packages]
    return [
        Difference(item, "an entry", "nothing of that name in the manifest", LOCK, again()) for item in left
    ]


def again(*names: str) -> str:
    """The advice to lock again."""
    command = " ".join(("modelbuild lock", *names))
    return f"undo the change, or take it over with `{command}` and review what that changes"


def _of_model(manifest: Manifest, lock: Lock, model: str, target: str) -> Iterator[Difference]:
    name = pair_name(model, target)
    where = manifest.position(("models", model))
    entry = lock.models.get(name)
    if entry is None:
        yield _missing(f"the model {name}", where, name)
        return
    chip_at = manifest.position(("targets", target, "chip"))
    for item, locked, found in (
        (f"the recipe of the target {target}", entry.recipe, lock_facts.recipe_digest(manifest, target)),
        (f"the toolchain of the target {target}", entry.toolchain, lock_facts.fingerprint(manifest, target)),
    ):
        if locked != found:
            yield Difference(item, locked, found, chip_at, again(name))
    yield from _of_settings(manifest, entry, model, target)
    yield from _of_sources(manifest, entry, model, target)
    yield from _of_records(manifest, entry, model, target)


def _of_settings(manifest: Manifest, entry: LockedModel, model: str, target: str) -> Iterator[Difference]:
    settings = effective(manifest, model, target)
    name = pair_name(model, target)
    for key, locked, found in _unlike(entry.settings, lock_facts.settings_of(manifest, model, target)):
        path = tuple(key.split("."))
        own = path[0] in ("source", "weights", "labels", "inputs")
        where = manifest.position(("models", model, *path)) if own else settings.origin(path)
        yield Difference(f"`{key}` of {name}", locked, found, where, again(name))


def _of_sources(manifest: Manifest, entry: LockedModel, model: str, target: str) -> Iterator[Difference]:
    declared = lock_facts.declared_files(manifest, model, target)
    now = lock_facts.file_digests(manifest.root, [*declared, *entry.sources])
    for path in sorted(entry.sources.keys() | declared.keys()):
        locked, found = entry.sources.get(path, ABSENT), now.get(path, ABSENT)
        if locked != found:
            where = manifest.position(declared.get(path, ("models", model, "source")))
            yield Difference(f"the file {path}", locked, found, where, again(pair_name(model, target)))


def _of_records(manifest: Manifest, entry: LockedModel, model: str, target: str) -> Iterator[Difference]:
    name = pair_name(model, target)
    by_hand = (
        "take the file from git again; to keep an edit, copy it to a file of its own, name that with "
        f"`quantize: {{record: FILE}}`, and run `modelbuild lock {name}`"
    )
    for path, locked in sorted(entry.records.items()):
        try:
            found = digest_of(manifest.root / path)
        except OSError:
            found = ABSENT
        if locked != found:
            yield Difference(f"the record {path}", locked, found, path, by_hand)
    arithmetic = manifest.recipes[target].number_format.arithmetic
    has_record = backends.of_arithmetic(arithmetic).has_record and not manifest.spec.models[model].is_fixed
    if entry.record(QUANTIZATION) is None and has_record:
        yield Difference(f"the quantization record of {name}", ABSENT, ABSENT, LOCK, again(name))


def _missing(item: str, where: str, name: str) -> Difference:
    advice = f"run `modelbuild lock {name}`, and commit what it writes"
    return Difference(item, ABSENT, "in the manifest", where, advice)


def _unlike(locked: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for key in sorted(locked.keys() | found.keys()):
        before, after = (_value(side, key) for side in (locked, found))
        if before != after:
            yield key, before, after


def _value(settings: Mapping[str, Any], key: str) -> str:
    if key not in settings:
        return "not set"
    return json.dumps(settings[key], sort_keys=True, ensure_ascii=False)


def _samples_text(samples: Mapping[str, Any] | None) -> str:
    if samples is None:
        return ABSENT
    labels = "".join(f", labels {digest}" for digest in samples["labels"].values())
    return f"{samples['sha256']} ({samples['count']} samples{labels})"

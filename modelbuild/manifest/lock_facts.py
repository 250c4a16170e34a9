"""What a lock says of a manifest: settings, recipes, sources and samples, as they are now."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from modelbuild import toolchains
from modelbuild.artifacts.user_function import files_of
from modelbuild.build import canonical
from modelbuild.errors import ModelbuildError
from modelbuild.manifest import edits, functions
from modelbuild.manifest.lockfile import LockedSamples, digest_of
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.samples import Sets
from modelbuild.manifest.settings import Settings, effective

# Sections of the effective settings that decide the record, the program or what is measured. Bounds, how
# much the hardware is simulated, how often the guard runs and how many samples run at once change no byte.
DECIDING = ("calibration", "compile", "edit", "evaluation", "optimize", "quantize", "toolchain_options")
_JUDGING = ("optimize.paranoid", "quantize.threads")
USES = ("calibration", "evaluation")


def settings_of(manifest: Manifest, model: str, target: str) -> dict[str, Any]:
    """Dotted path -> value of everything in the manifest that decides the bytes or the measurements, but for
    the recipe."""
    entry = manifest.spec.models[model]
    settings = effective(manifest, model, target)
    found: dict[str, Any] = {"source": entry.source_path or entry.source_url}
    if entry.source_url is not None:
        found["source.sha256"] = entry.source_digest
    if entry.weights is not None:
        found["weights"] = entry.weights
    if entry.labels is not None:
        found["labels"] = entry.labels
    for name, given in sorted(entry.inputs.items()):
        found.update(_leaves(f"inputs.{name}.preprocess", given.settings()))
        if given.shape is not None:
            found[f"inputs.{name}.shape"] = list(given.shape)
    for section in DECIDING:
        found.update(_leaves(section, settings.values.get(section)))
    return {path: value for path, value in found.items() if path not in _JUDGING}


def _leaves(path: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {path: list(value) if isinstance(value, tuple) else value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found.update(_leaves(f"{path}.{key}", inner))
    return found


def settings_of_package(manifest: Manifest, package: str) -> dict[str, Any]:
    """What the manifest has written into a package beside its models, and which models these are."""
    found: dict[str, Any] = {"target": manifest.packages[package].target}
    if manifest.packages[package].format is not None:
        found["format"] = manifest.packages[package].format
    if manifest.packages[package].include:
        found["include"] = list(manifest.packages[package].include)
    if (encrypt := manifest.packages[package].encrypt) is not None:
        found["encrypt.mode"] = encrypt.mode
    for model in manifest.packages[package].models:
        found[f"models.{model.name}.id"] = model.id
        found[f"models.{model.name}.version"] = model.version
    return found


def recipe_digest(manifest: Manifest, target: str) -> str:
    """The SHA-256 of the effective recipe of a target: whatever it extends, and however it is written."""
    return hashlib.sha256(
        canonical.encode(manifest.recipes[target].model_dump(mode="json", by_alias=True))
    ).hexdigest()


def fingerprint(manifest: Manifest, target: str) -> str:
    """What identifies the toolchain of a target."""
    name = manifest.spec.targets[target].toolchain or manifest.recipes[target].toolchain
    return str(toolchains.named(name).fingerprint())


def declared_files(manifest: Manifest, model: str, target: str) -> dict[str, tuple[str, ...]]:
    """Path -> where the manifest names it, of the files that decide the bytes or the measurements: the
    source, its weights, the names of classes, the user's own record or scheme, functions that bounds need. A
    source that is fetched is no file here: the manifest has its digest."""
    entry = manifest.spec.models[model]
    inner = ("source",) if isinstance(entry.source, str) else ("source", "path")
    found: dict[str, tuple[str, ...]] = {}
    if entry.source_path is not None:
        found[entry.source_path] = ("models", model, *inner)
    if entry.weights is not None:
        found[entry.weights] = ("models", model, "weights")
    if entry.labels is not None:
        found[entry.labels] = ("models", model, "labels")
    settings = effective(manifest, model, target)
    found.update(dict.fromkeys(edits.files(settings.values["edit"]), ("models", model)))
    boxes = functions.of_boxes(settings, entry)
    for spec in (*functions.of_bounds(settings), *([] if boxes is None else [boxes])):
        found.update(dict.fromkeys(files_of(spec, manifest.root), ("models", model)))
    own = settings.scheme if settings.record is None else settings.record
    if own is not None and not entry.is_fixed:
        found[own] = ("models", model)
    return found


def file_digests(root: Path, paths: Iterable[str]) -> dict[str, str]:
    """Path -> SHA-256 of those files that can be read."""
    found: dict[str, str] = {}
    for path in paths:
        with suppress(OSError):
            found[path] = digest_of(root / path)
    return found


def used_sets(settings: Settings) -> tuple[str, ...]:
    """The sample sets that calibrate and evaluate."""
    chosen = (settings.values[use] for use in USES)
    return tuple(sorted({choice["set"] for choice in chosen if choice is not None}))


def samples_of(manifest: Manifest, sets: Sets, model: str, target: str) -> dict[str, LockedSamples]:
    """The sample sets of a model on a target, read whole. Raises ModelbuildError where one cannot be."""
    if manifest.spec.models[model].is_fixed:
        return {}
    return {name: _samples(manifest, sets, name) for name in used_sets(effective(manifest, model, target))}


def _samples(manifest: Manifest, sets: Sets, name: str) -> LockedSamples:
    entries = sets.get(name).entries
    written = manifest.spec.samples[name].labels
    labels = {} if written in (None, "folders") else {str(written): digest_of(manifest.root / str(written))}
    files = sorted({path for entry in entries for path in entry.files.values()})
    # From the folder that all lie in: where a data set lies is not what it is.
    base = os.path.commonpath([path.parent for path in files])
    hashed = hashlib.sha256()
    for path in files:
        try:
            line = f"{relative(path, Path(base))}\0{canonical.sha256_of_file(path)}\n"
        except OSError as error:
            raise ModelbuildError(f"cannot read {path}", why=error.strerror or str(error)) from error
        hashed.update(line.encode())
    return LockedSamples(count=len(entries), sha256=hashed.hexdigest(), labels=labels)


def relative(path: Path, base: Path) -> str:
    """`path` from `base`, with slashes."""
    return Path(os.path.relpath(path, base)).as_posix()

"""`lock`: build, then write what a locked build starts from and must come out as; look whether it holds."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild import __version__
from modelbuild.build import disk
from modelbuild.build.result import BuildResult
from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
from modelbuild.manifest import lock_facts, lockfile
from modelbuild.manifest.lockfile import LOCK, Lock, LockedModel, LockedPackage, pair_name, record_path
from modelbuild.manifest.samples import Sets
from modelbuild.project import building, lock_differences
from modelbuild.project.goals import goals, request_of
from modelbuild.project.lock_differences import Difference, Pair
from modelbuild.project.options import DEFAULT, BuildOptions
from modelbuild.project.project import STATE, Project
from modelbuild.project.selection import Selection, select
from modelbuild.stages.request import ModelRequest

if TYPE_CHECKING:
    from modelbuild.project.build_report import BuildReport
    from modelbuild.project.building import Observer

HARDWARE = ("cycles", "equal", "random", "samples")  # what is kept of hardware.json


@dataclass(frozen=True)
class LockReport:
    """What `lock` did. `build` is the build it began with; `written` and `removed` are paths from the
    manifest, empty where nothing changed or the build failed."""

    build: BuildReport
    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object of `lock --json`."""
        return {
            "ok": self.build.ok,
            "lock": LOCK,
            "written": list(self.written),
            "removed": list(self.removed),
            "failures": self.build.to_json()["failures"],
        }


def lock(
    project: Project,
    names: Sequence[str] = (),
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
) -> LockReport:
    """Builds the selected packages, whole, with every package that shares a model with them, and writes the
    lock and its records, unless something failed; entries of others stay as they are. Raises ModelbuildError
    (exit 1) where a file changed since the build read it.

    Each file is replaced at once and the lock last: where that is broken off, digests show it."""
    before = _lock_of(project)
    selection = _whole(project, names)
    chosen = [*selection.packages, *(pair_name(*pair) for pair in selection.pairs)]
    report = building.build(project, chosen, options, observer)
    if not report.ok:
        return LockReport(report)
    _refuse_changed(project)
    result = project.builder.build(project.plan.actions, goals(project, chosen), jobs=1, dry_run=True)
    pairs = [*selection.pairs, *_pairs_of(project, selection.packages)]
    records: dict[str, bytes] = {}
    models = {pair_name(*pair): _model(project, result, pair, records) for pair in pairs}
    packages = {name: _package(project, result, name) for name in selection.packages}
    _refuse_changed(project)  # between them nobody changed what has been read for the lock
    known = {pair_name(*pair) for pair in project.manifest.pairs()}
    found = Lock(
        libraries=_libraries(project),
        manifest=project.manifest.path.name,
        modelbuild=__version__,
        models={**{k: v for k, v in before.models.items() if k in known}, **models},
        packages={
            **{k: v for k, v in before.packages.items() if k in project.manifest.packages},
            **packages,
        },
    )
    with project.builder.hold(observer):
        written = _write(project.root, records, found)
        removed = _remove(project.root, before, found)
    return LockReport(report, written, removed)


def _refuse_changed(project: Project) -> None:
    """What is locked has to be what was built."""
    problems = [
        Problem(
            f"{name} changed while it was locked",
            why="the build that is to be locked has read other bytes",
            advice="run `modelbuild lock` again",
        )
        for name in project.builder.changed()
    ]
    if problems:
        raise ModelbuildError.of(problems, EXIT_FAILED)


def _lock_of(project: Project) -> Lock:
    """The lock that is there, to be renewed; an empty one where none can be read."""
    try:
        found = lockfile.read(project.root)
    except ModelbuildError:
        return Lock(manifest=project.manifest.path.name, modelbuild=__version__)
    problem = lockfile.other_manifest(found, project.manifest.path.name)
    if problem is not None:
        raise ModelbuildError.of([problem])
    return found


def _whole(project: Project, names: Sequence[str]) -> Selection:
    """The selection, and every package that has one of its models on its target: the bytes of a package hang
    on all of its models, so that their entries are true of one build."""
    selected = select(project.manifest, names)
    packages = dict.fromkeys(selected.packages)
    pairs = {*selected.pairs, *_pairs_of(project, list(packages))}
    while True:
        more = [name for name in project.plan.packages if pairs & set(_pairs_of(project, [name]))]
        if packages.keys() >= set(more):
            break
        packages.update(dict.fromkeys(more))
        pairs.update(_pairs_of(project, more))
    packaged = set(_pairs_of(project, list(packages)))
    return Selection(tuple(packages), tuple(pair for pair in selected.pairs if pair not in packaged))


def _pairs_of(project: Project, packages: Sequence[str]) -> list[Pair]:
    found = (
        (packaged.request.model, packaged.request.target)
        for name in packages
        for packaged in project.plan.packages[name].models
    )
    return list(dict.fromkeys(found))


def _model(project: Project, result: BuildResult, pair: Pair, records: dict[str, bytes]) -> LockedModel:
    """The entry of a model; the contents of its records are added to `records`."""
    manifest, request = project.manifest, request_of(project, pair)
    own = {record_path(*pair, name): text for name, text in _records(project, result, request).items()}
    records.update(own)
    paths = [*lock_facts.declared_files(manifest, *pair), *_discovered(project, request)]
    return LockedModel(
        recipe=lock_facts.recipe_digest(manifest, request.target),
        records={path: lockfile.digest_of_text(text) for path, text in own.items()},
        samples=lock_facts.samples_of(manifest, Sets(manifest), *pair),
        settings=lock_facts.settings_of(manifest, *pair),
        sources=lock_facts.file_digests(manifest.root, paths),
        toolchain=lock_facts.fingerprint(manifest, request.target),
    )


def _records(project: Project, result: BuildResult, request: ModelRequest) -> dict[str, bytes]:
    """File name -> contents of what a locked build of the model starts from."""
    if request.is_fixed:
        return {}
    found: dict[str, bytes] = {}
    if request.has_record:
        text = project.builder.output(result, request.action("quantize"), "quant.txt").read_bytes()
        found[lockfile.QUANTIZATION] = text
    if request.is_measured:
        measured = {"fixed": _json(project, result, request.action("verify_fixed"), "fixed.json")}
        hardware = _hardware(project, result, request)
        if hardware is not None:
            measured["hardware"] = {key: hardware[key] for key in HARDWARE}
        found[lockfile.MEASUREMENTS] = lockfile.one_item_a_line(measured).encode()
    return found


def _hardware(project: Project, result: BuildResult, request: ModelRequest) -> dict[str, Any] | None:
    """What the first package that has the model found in the simulator."""
    for package in project.plan.packages.values():
        action = package.action("verify_hardware", request.model)
        if package.target == request.target and action in result.outputs:
            return _json(project, result, action, "hardware.json")
    return None


def _json(project: Project, result: BuildResult, action: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(project.builder.output(result, action, name).read_bytes())
    return found


def _discovered(project: Project, request: ModelRequest) -> list[str]:
    """Files that the source names, relative to the root."""
    action = next((one for one in project.plan.actions if one.name == request.action("import_source")), None)
    if action is None or action.discover is None:
        return []
    module, _, function = action.discover.partition(":")
    paths = {role: project.root / path for role, path in action.paths().items()}
    found = getattr(import_module(module), function)(paths, action.parameters)
    return [lock_facts.relative(project.root / path, project.root) for path in found]


def _package(project: Project, result: BuildResult, name: str) -> LockedPackage:
    return LockedPackage(
        files=building.shipped(project, result, name),
        settings=lock_facts.settings_of_package(project.manifest, name),
    )


def _libraries(project: Project) -> dict[str, str]:
    versions = {name: found for action in project.plan.actions for name, found in action.libraries.items()}
    return {**versions, "python": platform.python_version()}


def _write(root: Path, records: dict[str, bytes], found: Lock) -> tuple[str, ...]:
    """Writes what is not there already, the lock last; returns the paths."""
    written = []
    for path, data in [*sorted(records.items()), (LOCK, lockfile.encode(found).encode())]:
        if disk.read(root / path) != data:
            disk.write(root / path, data, root / STATE / "work")
            written.append(path)
    return tuple(written)


def _remove(root: Path, before: Lock, found: Lock) -> tuple[str, ...]:
    """Removes the records of models that the lock has no more, and their folders where nothing else is."""
    kept = {path for entry in found.models.values() for path in entry.records}
    gone = sorted(
        path
        for name, entry in before.models.items()
        for path in entry.records
        if path not in kept and path.startswith(f"{lockfile.FOLDER}/{name}/") and ".." not in path
    )
    for path in gone:
        disk.remove(root / path)
        with suppress(OSError):  # something of the user's is in it
            (root / path).parent.rmdir()
    return tuple(gone)


def check(project: Project, names: Sequence[str] = ()) -> list[Difference]:
    """Whether the lock is what `lock` would write, as far as can be told without running anything: whatever
    the records and packages were made from is held against it, samples too, and records against their
    digests. Raises ModelbuildError where there is no lock or a sample set cannot be read."""
    text = lockfile.read_text(project.root)
    found = lockfile.read(project.root)
    _refuse_other(project, found)
    selection = _whole(project, names)
    pairs = [*selection.pairs, *_pairs_of(project, selection.packages)]
    differences = lock_differences.of_models(project.manifest, found, pairs)
    differences += lock_differences.of_packages(project.manifest, found, selection.packages)
    differences += lock_differences.of_samples(project.manifest, found, Sets(project.manifest), pairs)
    differences += lock_differences.of_names(project.manifest, found)
    if found.modelbuild != __version__:
        again = lock_differences.again()
        differences.append(Difference("modelbuild itself", found.modelbuild, __version__, LOCK, again))
    if not differences and text != lockfile.encode(found):
        again = "write it again with `modelbuild lock`"
        differences.append(Difference("the form of the file", "other", "as `lock` writes it", LOCK, again))
    return differences


def _refuse_other(project: Project, found: Lock) -> None:
    problem = lockfile.other_manifest(found, project.manifest.path.name)
    if problem is not None:
        raise ModelbuildError.of([problem], EXIT_FAILED)

"""Build what was selected, and put what came out where people look for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from modelbuild.build import lock
from modelbuild.build.build import Builder
from modelbuild.build.jobs import processors
from modelbuild.build.plan import plan
from modelbuild.build.result import BuildResult, Event
from modelbuild.project.build_report import BuildReport, BuiltPackage
from modelbuild.project.claiming import taken_over
from modelbuild.project.goals import goals_of
from modelbuild.project.keys import require_keys
from modelbuild.project.layout import DIST, MIRROR_LOCK, REPORTS
from modelbuild.project.locked import locked
from modelbuild.project.options import DEFAULT, EVALUATE, BuildOptions
from modelbuild.project.project import STATE, Project, located
from modelbuild.project.remembering import remember, request_for
from modelbuild.project.rooting import note_roots
from modelbuild.project.selection import Selection, select
from modelbuild.project.shipping import PASSED, Shipment, publish
from modelbuild.project.superseded import put_aside
from modelbuild.stages.request import PackageRequest

Observer = Callable[[Event], None]


def build(
    project: Project,
    names: Sequence[str] = (),
    options: BuildOptions = DEFAULT,
    observer: Observer | None = None,
) -> BuildReport:
    """Build the selected packages, models and MODEL@TARGETs (all packages, if none are named).

    Packages whose gate passed are put into `dist/`, their reports into `reports/`. Failures of stages are in
    the result; a selector or stage that does not exist is a ModelbuildError."""
    selection = select(project.manifest, names)
    project = locked(project, selection, options)
    wanted = goals_of(project, selection, options.until)
    packages = [project.plan.packages[name] for name in selection.packages]
    if not options.dry_run and not options.keep_going:  # else the packages without their keys fail alone
        require_keys(project, wanted)
    # One lock for both: no other build or `clean` comes between the packages and their reports.
    taken: tuple[str, ...] = ()
    with nullcontext() if options.dry_run else project.builder.hold(observer):
        if not options.dry_run:
            project.builder.check_places(
                Path(top) / one.package for one in packages for top in (DIST, REPORTS)
            )
            gates = set(plan(project.plan.actions, wanted).order)
            taken = taken_over(project, (one for one in packages if one.action("gate") in gates))
            project.builder.trust(request_for(project, names, options))
        result = project.builder.build(
            project.plan.actions,
            wanted,
            jobs=processors() if options.jobs is None else options.jobs,
            memory=options.memory,
            offline=options.offline,
            keep_going=options.keep_going,
            dry_run=options.dry_run,
            retry=options.retry,
            observer=observer,
        )
        if not options.dry_run:
            note_roots(project, names, options, whole=not (names or options.until))
        reached = [] if options.dry_run else [one for one in packages if one.action("gate") in result.states]
        published = tuple(_publish(project, result, package) for package in reached)
        failures = tuple((action, located(project, action, error)) for action, error in result.failures)
        warnings = tuple(finding.to_json() for finding in project.manifest.warnings)
        whole = not (names or options.until or options.dry_run)
        withdrawn = put_aside(project.builder, project.plan.packages) if whole else ()
        report = BuildReport(published, dict(result.states), failures, warnings, withdrawn, taken_over=taken)
        if options.until is None:
            report = report._replace(unjudged=unjudged(project, selection))
        if options.until == EVALUATE and not options.dry_run:
            report = report._replace(evaluated=evaluated(project, result, wanted))
        if report.ok and not options.dry_run:
            report = report._replace(unremembered=remember(project, names, options, result, report))
    return report


_PREDICTED = ("fps", "total_ms", "time_ms", "cpu_time_ms", "confidence", "batch", "fits", "fits_because")


def evaluated(project: Project, result: BuildResult, wanted: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """What those of the wanted actions predict that are done, for the build's report."""
    found = []
    for action in wanted:
        if result.states.get(action) in PASSED:
            model, _, target = action.rsplit(":", 1)[0].partition("@")
            said = json.loads(project.builder.output(result, action, "evaluate.json").read_bytes())
            found.append({"model": model, "target": target, **{key: said[key] for key in _PREDICTED}})
    return tuple(found)


def unjudged(project: Project, selection: Selection) -> tuple[str, ...]:
    """A line for each model that is built without a package though it has bounds: gates are of packages."""
    having: dict[tuple[str, str], list[str]] = {}
    for name, package in sorted(project.plan.packages.items()):
        for packaged in package.models:
            having.setdefault((packaged.request.model, package.target), []).append(name)
    found = []
    for model, target in selection.pairs:
        request = project.plan.models.get((model, target))
        names = having.get((model, target), [])
        if request is None or set(names) & set(selection.packages) or not request.settings.get("accept"):
            continue
        way_out = f"`modelbuild build {names[0]}` judges them" if names else "put the model into one"
        found.append(
            f"the bounds of `accept` of {model}@{target} were not judged: packages have gates; {way_out}"
        )
    return tuple(found)


def _publish(project: Project, result: BuildResult, package: PackageRequest) -> BuiltPackage:
    shipment = Shipment.of(package, project.manifest)

    def is_at_fault() -> bool:
        """Whether the gate or anything that it needs failed; else the build stopped for another's sake."""
        needed = plan(project.plan.actions, [shipment.gate]).order
        return any(result.states[name] == "failed" for name in needed)

    return publish(project.builder, project.root, shipment, result.states, result.outputs, is_at_fault)


def shipped(project: Project, result: BuildResult, package: str) -> dict[str, str]:
    """The files of `dist/<package>/`: name -> digest."""
    return Shipment.of(project.plan.packages[package], project.manifest).files(result.outputs)


def clean(root: Path, observer: Observer | None = None) -> tuple[str, ...]:
    """Removes the build state, and what builds put into `dist/` and `reports/`. Waits for a running build.

    Returns the folders removed, relative to the root. Other files in `dist/` and `reports/` stay."""
    mirror = root / MIRROR_LOCK

    def waiting() -> None:
        if observer:
            observer(Event("waiting"))

    with lock.held(mirror, waiting) if mirror.exists() else nullcontext():
        removed = Builder(root, root / STATE).clean(observer)
    return tuple(folder.relative_to(root.absolute()).as_posix() for folder in removed)

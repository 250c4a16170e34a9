"""Build what was selected, and put what came out where people look for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from modelbuild.build.build import Builder
from modelbuild.build.jobs import processors
from modelbuild.build.plan import plan
from modelbuild.build.result import BuildResult, Event
from modelbuild.project.build_report import BuildReport, BuiltPackage
from modelbuild.project.goals import goals_of
from modelbuild.project.locked import locked
from modelbuild.project.options import DEFAULT, BuildOptions
from modelbuild.project.project import DIST, REPORTS, STALE, STATE, Project, located
from modelbuild.project.remembering import remember
from modelbuild.project.selection import select
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
    # One lock for both: no other build or `clean` comes between the packages and their reports.
    with nullcontext() if options.dry_run else project.builder.hold(observer):
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
        reached = [] if options.dry_run else [one for one in packages if one.action("gate") in result.states]
        published = tuple(_publish(project, result, package) for package in reached)
        failures = tuple((action, located(project, action, error)) for action, error in result.failures)
        warnings = tuple(finding.to_json() for finding in project.manifest.warnings)
        report = BuildReport(published, dict(result.states), failures, warnings)
        if report.ok and not options.dry_run:
            remember(project, names, options, result, report)
    return report


def _publish(project: Project, result: BuildResult, package: PackageRequest) -> BuiltPackage:
    report = _publish_report(project, result, package)
    gate = result.states[package.action("gate")]
    folder = Path(DIST) / package.package
    if gate not in {"run", "cached"}:
        if _is_at_fault(project, result, package):
            project.builder.withdraw(folder, Path(STALE) / package.package)
        verdict = "failed" if gate == "failed" else "not reached"
        return BuiltPackage(package.package, package.target, verdict, (), report, False, package.silicon)
    files = shipped(result, package)
    changed = project.builder.publish(files, folder)
    listed = tuple(
        {
            "path": f"{folder.as_posix()}/{name}",
            "size": (project.root / folder / name).stat().st_size,
            "sha256": digest,
        }
        for name, digest in sorted(files.items())
    )
    return BuiltPackage(package.package, package.target, "passed", listed, report, changed, package.silicon)


def _is_at_fault(project: Project, result: BuildResult, package: PackageRequest) -> bool:
    """Whether the gate or anything that it needs failed; else the build stopped for another's sake."""
    needed = plan(project.plan.actions, [package.action("gate")]).order
    return any(result.states[name] == "failed" for name in needed)


def shipped(result: BuildResult, package: PackageRequest) -> dict[str, str]:
    """The files of `dist/<package>/`: name -> digest."""
    made = result.outputs[package.action("package")]
    files = {
        name.removeprefix("files/"): digest for name, digest in made.items() if name.startswith("files/")
    }
    for packaged in package.models:
        model = packaged.request
        fixed = model.fixed()
        files[f"{model.model}.json"] = made[f"models/{model.model}.json"]
        files[f"{model.model}.fixed.onnx"] = result.outputs[fixed.action][fixed.name]
        if not model.is_fixed:
            files[f"{model.model}.quant.txt"] = result.outputs[model.action("quantize")]["quant.txt"]
    return files


def _publish_report(project: Project, result: BuildResult, package: PackageRequest) -> str | None:
    outputs = result.outputs.get(package.action("report"))
    if outputs is None:
        return None
    folder = Path(REPORTS) / package.package
    project.builder.publish(outputs, folder)
    return f"{folder.as_posix()}/report.html"


def clean(root: Path, observer: Observer | None = None) -> tuple[str, ...]:
    """Removes the build state, and what builds put into `dist/` and `reports/`. Waits for a running build.

    Returns the folders removed, relative to the root. Other files in `dist/` and `reports/` stay."""
    removed = Builder(root, root / STATE).clean(observer)
    return tuple(folder.relative_to(root.absolute()).as_posix() for folder in removed)

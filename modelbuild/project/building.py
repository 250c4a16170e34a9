"""Build what was selected, and put what came out where people look for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbuild.build.build import Builder
from modelbuild.build.jobs import processors
from modelbuild.build.plan import plan
from modelbuild.build.result import BuildResult, Event
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.project.goals import goals_of
from modelbuild.project.project import DIST, REPORTS, STALE, STATE, Project, located
from modelbuild.project.selection import select
from modelbuild.stages.request import PackageRequest

Observer = Callable[[Event], None]


@dataclass(frozen=True)
class BuiltPackage:
    """A package after a build. `gate` is passed, failed or not reached; `files` is empty unless it passed."""

    name: str
    target: str
    gate: str
    files: tuple[dict[str, Any], ...]
    report: str | None
    changed: bool
    silicon: bool

    def to_json(self) -> dict[str, Any]:
        """The object in `packages` of `build --json`."""
        return {
            "name": self.name,
            "target": self.target,
            "silicon": self.silicon,
            "gate": self.gate,
            "files": list(self.files),
            "report": self.report,
        }


@dataclass(frozen=True)
class BuildReport:
    """What a build did. `states` is action -> run, cached, failed, skipped or would_run."""

    packages: tuple[BuiltPackage, ...]
    states: dict[str, str]
    failures: tuple[tuple[str, ModelbuildError], ...]

    @property
    def ok(self) -> bool:
        """Whether everything asked for is there."""
        return not any(state in {"failed", "skipped"} for state in self.states.values())

    @property
    def exit_code(self) -> int:
        """0, 1 where something failed, 2 where what the user supplied is wrong."""
        if self.ok:
            return 0
        return max((error.exit_code for _, error in self.failures), default=EXIT_FAILED)

    def count(self, state: str) -> int:
        """How many actions ended so."""
        return sum(found == state for found in self.states.values())

    def to_json(self) -> dict[str, Any]:
        """The object of `build --json`."""
        return {
            "ok": self.ok,
            "packages": [package.to_json() for package in self.packages],
            "actions": {
                state: self.count(state) for state in ("run", "cached", "failed", "skipped", "would_run")
            },
            "failures": [{"action": action, "message": str(error)} for action, error in self.failures],
        }


def build(
    project: Project,
    names: Sequence[str] = (),
    *,
    jobs: int | None = None,
    until: str | None = None,
    keep_going: bool = False,
    dry_run: bool = False,
    retry: bool = False,
    observer: Observer | None = None,
) -> BuildReport:
    """Build the selected packages, models and MODEL@TARGETs (all packages, if none are named).

    Packages whose gate passed are put into `dist/`, their reports into `reports/`. Failures of stages are in
    the result; a selector or stage that does not exist is a ModelbuildError."""
    selection = select(project.manifest, names)
    wanted = goals_of(project, selection, until)
    packages = [project.plan.packages[name] for name in selection.packages]
    # One lock for both: no other build or `clean` comes between the packages and their reports.
    with nullcontext() if dry_run else project.builder.hold(observer):
        result = project.builder.build(
            project.plan.actions,
            wanted,
            jobs=processors() if jobs is None else jobs,
            keep_going=keep_going,
            dry_run=dry_run,
            retry=retry,
            observer=observer,
        )
        reached = [] if dry_run else [one for one in packages if one.action("gate") in result.states]
        published = tuple(_publish(project, result, package) for package in reached)
    failures = tuple((action, located(project, action, error)) for action, error in result.failures)
    return BuildReport(published, dict(result.states), failures)


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

"""`check`: every finding of every selected model on its targets, before any work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from modelbuild.build.jobs import processors
from modelbuild.build.result import BuildResult
from modelbuild.chips.load import load_recipe
from modelbuild.errors import EXIT_FAILED, ModelbuildError, Problem
from modelbuild.manifest.plan import plan
from modelbuild.project import ignoring
from modelbuild.project.building import Observer
from modelbuild.project.elsewhere import able
from modelbuild.project.finding_places import ModelPlaces
from modelbuild.project.goals import request_of
from modelbuild.project.ignoring import Pair
from modelbuild.project.nearby import told
from modelbuild.project.project import Project, located
from modelbuild.project.selection import select
from modelbuild.samples.preprocess import from_settings, resulting_range
from modelbuild.stages.fetch import NOT_FETCHED
from modelbuild.stages.files import read_json
from modelbuild.stages.request import ModelRequest

_PLACE = re.compile(r"(.+):(\d+):(\d+)")


@dataclass(frozen=True)
class CheckReport:
    """Findings in the manifest's order; `units` is MODEL@TARGET -> node -> unit; `ranges` is MODEL -> input
    -> (low, high), what preprocessing makes of 0..255; `placement` is MODEL@TARGET -> {node, op, unit,
    reason} of each node; `ignored` are the findings that the manifest ignores; `places` is MODEL -> {file,
    line, column} of its source in the manifest."""

    findings: tuple[dict[str, Any], ...]
    units: dict[str, dict[str, str]]
    ranges: dict[str, dict[str, list[list[float]]]]
    exit_code: int
    placement: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    ignored: tuple[dict[str, Any], ...] = ()
    places: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding["severity"] == "error" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The object of `check --json`."""
        return {
            "ok": self.ok,
            "findings": list(self.findings),
            "ignored": list(self.ignored),
            "placement": self.placement,
            "units": self.units,
            "ranges": self.ranges,
        }


def check(
    project: Project,
    names: Sequence[str] = (),
    observer: Observer | None = None,
    *,
    offline: bool = False,
    edition: str | None = None,
) -> CheckReport:
    """Place the selected models' nodes, read their samples, and collect what was found. `offline`: nothing is
    fetched, and of what was never fetched a warning says that it was not looked at. `edition` is that of the
    operator tables, in place of what the targets say; raises where a chip has none of that name."""
    pairs = _pairs(project, names)
    if edition is not None:
        project = in_edition(project, edition, dict.fromkeys(target for _, target in pairs))
    result, checked = _looked_at(project, pairs, observer, offline)
    places = {pair: ModelPlaces.of(project.manifest, *pair) for pair in pairs}
    found = [finding.to_json() for finding in project.manifest.warnings]
    for (model, target), one in checked.items():
        extra = {"model": model, "target": target}
        found += [
            {**finding, **places[model, target].of_finding(finding["code"]), **extra}
            for finding in one["findings"]
        ]
    sources = {model: found.of_finding("") for (model, _), found in places.items()}
    failed, exit_code = _failures(project, result)
    heard = ignoring.sort(project.manifest, [*found, *failed], checked)
    if not exit_code and any(finding["severity"] == "error" for finding in heard.kept):
        exit_code = EXIT_FAILED
    return CheckReport(
        heard.kept,
        {"@".join(pair): one["units"] for pair, one in checked.items()},
        {model: found for model, found in ranges(project).items() if model in sources},
        exit_code,
        {"@".join(pair): one["placement"] for pair, one in checked.items()},
        heard.ignored,
        sources,
    )


def _looked_at(
    project: Project, pairs: Sequence[Pair], observer: Observer | None, offline: bool
) -> tuple[BuildResult, dict[Pair, dict[str, Any]]]:
    """What the stages did, and check.json of each pair that was placed, with what its calibration samples
    tell among the findings."""
    requests = {pair: request_of(project, pair) for pair in pairs}
    stages = ("check", "check_samples", "check_calibration")
    listed = [request.action(stage) for stage in stages for request in requests.values()]
    planned = project.plan.names()
    wanted = [goal for goal in dict.fromkeys(listed) if goal in planned]
    with able(project, wanted) as there:
        result = there.builder.build(
            there.plan.actions,
            wanted,
            jobs=processors(),
            offline=offline,
            keep_going=True,
            observer=observer,
        )

        def left(request: ModelRequest, stage: str, name: str) -> dict[str, Any] | None:
            goal = request.action(stage)
            done = result.states.get(goal) in {"run", "cached"}
            return read_json(there.builder.output(result, goal, name)) if done else None

        found = {}
        for pair, request in requests.items():
            placed = left(request, "check", "check.json")
            seen = left(request, "check_calibration", "calibration.json") or {"findings": []}
            if placed is not None:
                found[pair] = {**placed, "findings": [*placed["findings"], *seen["findings"]]}
        return result, found


def _pairs(project: Project, names: Sequence[str]) -> list[Pair]:
    """Models on targets, also those within the selected packages, each once."""
    selection = select(project.manifest, names)
    packages = [project.plan.packages[name] for name in selection.packages]
    within = ((packaged.request.model, package.target) for package in packages for packaged in package.models)
    return list(dict.fromkeys((*selection.pairs, *within)))


def in_edition(project: Project, edition: str, targets: Iterable[str]) -> Project:
    """The project with another edition's operator tables on `targets`, planned anew."""
    manifest, recipes = project.manifest, dict(project.manifest.recipes)
    for target in targets:
        try:
            chip = manifest.spec.targets[target].chip
            recipes[target] = load_recipe(chip, manifest.root, edition).settled()
        except ModelbuildError as error:
            where = manifest.position(("targets", target, "chip"))
            problems = (problem._replace(where=where) for problem in error.problems)
            raise ModelbuildError.of(problems, error.exit_code) from None
    changed = replace(manifest, recipes=recipes)
    return replace(project, manifest=changed, plan=plan(changed, project.lock))


def _failures(project: Project, result: BuildResult) -> tuple[list[dict[str, Any]], int]:
    """A finding for each problem that a stage failed for, once, and the worst exit code of them."""
    findings: list[dict[str, Any]] = []
    seen: set[tuple[str, str, str]] = set()  # several stages read a file that is wrong
    exit_code = 0
    # of these `check_samples` says most
    for action, error in sorted(result.failures, key=lambda one: not one[0].endswith(":check_samples")):
        owner = action.split(":")[0].split("@")[0]
        problems = located(project, action, error).problems
        if error.problems[0].code == NOT_FETCHED:
            findings.append(_not_looked_at(problems[0], owner))
            continue
        exit_code = max(exit_code, error.exit_code)
        new = [one for one in problems if (owner, one.where, one.what) not in seen]
        findings += [problem_finding(one, owner) for one in new]
        seen |= {(owner, one.where, one.what) for one in new}
    return findings, exit_code


def _not_looked_at(found: Problem, model: str) -> dict[str, Any]:
    problem = Problem(
        f"{model} was not looked at: its source was never fetched",
        found.where,
        advice="check it without --offline, or build it once",
        code=NOT_FETCHED,
    )
    return {**problem_finding(problem, model), "severity": "warning"}


def coded(problem: Problem, model: str = "") -> Problem:
    """The problem with the code of a finding."""
    return problem if problem.code else problem._replace(code="MB100" if model else "MB009")


def problem_finding(problem: Problem, model: str = "") -> dict[str, Any]:
    """A problem, which has a place in a file or elsewhere, as a finding: of a `model`, or of the manifest."""
    problem = told(coded(problem, model))
    place = _PLACE.fullmatch(problem.where)
    return {
        "code": problem.code,
        "severity": "error",
        "message": problem.what + (f" ({problem.why})" if problem.why else ""),
        "advice": problem.advice,
        "file": place[1] if place else "",
        "line": int(place[2]) if place else None,
        "column": int(place[3]) if place else None,
        "node": "",
        "where": problem.where,
        "model": model,
    }


def ranges(project: Project) -> dict[str, dict[str, list[list[float]]]]:
    """MODEL -> input -> (low, high), what preprocessing makes of 0..255: one pair, or one a channel."""
    return {
        name: {
            port: [list(pair) for pair in resulting_range(from_settings(given.settings()))]
            for port, given in model.inputs.items()
            if given.preprocess is not None
        }
        for name, model in project.manifest.spec.models.items()
        if any(given.preprocess is not None for given in model.inputs.values())
    }

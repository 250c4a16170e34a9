"""`check`: every finding of every selected model on its targets, before any work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from modelbuild.build.jobs import processors
from modelbuild.errors import EXIT_FAILED, Problem
from modelbuild.graph.check import Finding
from modelbuild.project import ignoring
from modelbuild.project.building import Observer
from modelbuild.project.goals import request_of
from modelbuild.project.project import Project, located
from modelbuild.project.selection import select
from modelbuild.samples.preprocess import from_settings, resulting_range
from modelbuild.stages.fetch import NOT_FETCHED
from modelbuild.stages.files import read_json

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
    project: Project, names: Sequence[str] = (), observer: Observer | None = None, *, offline: bool = False
) -> CheckReport:
    """Place the selected models' nodes, read their samples, and collect what was found. `offline`: nothing is
    fetched, and of what was never fetched a warning says that it was not looked at."""
    selection = select(project.manifest, names)
    pairs = dict.fromkeys(selection.pairs)
    for name in selection.packages:
        package = project.plan.packages[name]
        pairs.update(dict.fromkeys((p.request.model, package.target) for p in package.models))
    requests = {pair: request_of(project, pair) for pair in pairs}
    goals = {pair: request.action("check") for pair, request in requests.items()}
    samples = [request.action("check_samples") for request in requests.values()]
    planned = project.plan.names()
    wanted = [goal for goal in dict.fromkeys((*goals.values(), *samples)) if goal in planned]
    result = project.builder.build(
        project.plan.actions,
        wanted,
        jobs=processors(),
        offline=offline,
        keep_going=True,
        observer=observer,
    )
    findings = [_finding(finding, {}) for finding in project.manifest.warnings]
    places = {model: _place(project, model) for model, _ in goals}
    checked: dict[tuple[str, str], dict[str, Any]] = {}
    for (model, target), goal in goals.items():
        if result.states.get(goal) in {"run", "cached"}:
            found = read_json(project.builder.output(result, goal, "check.json"))
            extra = {**places[model], "model": model, "target": target}
            findings += [{**finding, **extra} for finding in found["findings"]]
            checked[model, target] = found
    exit_code = 0
    for action, error in result.failures:
        owner = action.split(":")[0].split("@")[0]
        if error.problems[0].code == NOT_FETCHED:
            findings.append(_not_looked_at(located(project, action, error).problems[0], owner))
            continue
        exit_code = max(exit_code, error.exit_code)
        found = located(project, action, error).problems
        findings += [item for p in found if (item := problem_finding(p, owner)) not in findings]
    told = ignoring.sort(project.manifest, findings, checked)
    if not exit_code and any(finding["severity"] == "error" for finding in told.kept):
        exit_code = EXIT_FAILED
    return CheckReport(
        told.kept,
        {"@".join(pair): found["units"] for pair, found in checked.items()},
        ranges(project),
        exit_code,
        {"@".join(pair): found["placement"] for pair, found in checked.items()},
        told.ignored,
        places,
    )


def _not_looked_at(found: Problem, model: str) -> dict[str, Any]:
    problem = Problem(
        f"{model} was not looked at: its source was never fetched",
        found.where,
        advice="check it without --offline, or build it once",
        code=NOT_FETCHED,
    )
    return {**problem_finding(problem, model), "severity": "warning"}


def _finding(finding: Finding, extra: dict[str, Any]) -> dict[str, Any]:
    return {**finding.to_json(), **extra}


def _place(project: Project, model: str) -> dict[str, Any]:
    """Where the manifest names the model: that is where a finding on one of its nodes can be acted upon."""
    file, line, column = project.manifest.position(("models", model, "source")).rsplit(":", 2)
    return {"file": file, "line": int(line), "column": int(column)}


def problem_finding(problem: Problem, model: str = "") -> dict[str, Any]:
    """A problem, which has a place in a file or elsewhere, as a finding."""
    place = _PLACE.fullmatch(problem.where)
    return {
        "code": problem.code or "MB100",
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

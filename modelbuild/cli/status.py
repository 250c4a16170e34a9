"""`modelbuild status`: what is up to date. Runs nothing."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelbuild.cli import console
from modelbuild.project import settled

if TYPE_CHECKING:
    from modelbuild.build.survey import ActionStatus
    from modelbuild.project.standing import Standing

REMEDIES = {
    "missing": "puts it back",
    "altered": "puts it back",
    "other": "replaces it",
    "unexpected": "removes it",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none"
    )


def run(options: argparse.Namespace) -> int:
    """List what is not up to date and what is not on the disk as it was built; with -v, every action.

    Where the last build of the selection left all as it is, its snapshot says so, and nothing is loaded."""
    report = settled.unchanged(options.directory, options.file, options.names, renews=False)
    if report is not None:
        actions = [{"name": name, "state": "up to date", "waits_for": ""} for name in report.states]
        packages = [{"name": package.name, "ok": True, "files": []} for package in report.packages]
        lines = [f"{name}: up to date" for name in report.states] if options.verbose else []
        lines.append(_counts([action["state"] for action in actions]))
        console.result("\n".join(lines), {"ok": True, "actions": actions, "packages": packages})
        return 0
    from modelbuild import api

    project = api.open_project(options.directory, options.file)
    _tell(api.status(project, options.names), api.standings(project, options.names), options.verbose)
    return 0


def _tell(found: Mapping[str, ActionStatus], packages: Sequence[Standing], verbose: bool) -> None:
    states = [status.state for status in found.values()]
    lines = [f"{name}: {status}" for name, status in found.items() if verbose or status.state != "up to date"]
    changed = [difference for package in packages for difference in package.differences]
    lines += [f"{difference}; the next build {REMEDIES[difference.kind]}" for difference in changed]
    lines.append(_counts(states))
    data: dict[str, Any] = {
        "ok": set(states) <= {"up to date"} and not changed,
        "actions": [
            {"name": name, "state": status.state, "waits_for": status.waits_for}
            for name, status in found.items()
        ],
        "packages": [package.to_json() for package in packages],
    }
    console.result("\n".join(lines), data)


def _counts(states: Sequence[str]) -> str:
    counts = {state: states.count(state) for state in sorted(set(states))}
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "nothing is planned"

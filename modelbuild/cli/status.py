"""`modelbuild status`: what is up to date. Runs nothing."""

from __future__ import annotations

import argparse
from collections import Counter

from modelbuild import api
from modelbuild.cli import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this verb."""
    parser.add_argument(
        "names", nargs="*", metavar="PACKAGE|MODEL|MODEL@TARGET", help="every package, if none"
    )


def run(options: argparse.Namespace) -> int:
    """List what is not up to date and what is not on the disk as it was built; with -v, every action."""
    project = api.open_project(options.directory, options.file)
    found = api.status(project, options.names)
    packages = api.standings(project, options.names)
    counts = Counter(status.state for status in found.values())
    lines = [
        f"{name}: {status}"
        for name, status in found.items()
        if options.verbose or status.state != "up to date"
    ]
    changed = [difference for package in packages for difference in package.differences]
    lines += [f"{difference}; the next build {REMEDIES[difference.kind]}" for difference in changed]
    lines.append(
        ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "nothing is planned"
    )
    data = {
        "ok": set(counts) <= {"up to date"} and not changed,
        "actions": [
            {"name": name, "state": status.state, "waits_for": status.waits_for}
            for name, status in found.items()
        ],
        "packages": [package.to_json() for package in packages],
    }
    console.result("\n".join(lines), data)
    return 0


REMEDIES = {
    "missing": "puts it back",
    "altered": "puts it back",
    "other": "replaces it",
    "unexpected": "removes it",
}

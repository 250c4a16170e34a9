"""A no-op in a git hook of a real repository."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

from bench import manifests, table
from bench.compare import SETTLED, say
from bench.measure import Command, Run, interleaved, middle, run, spread
from bench.tools import OURS, modelbuild

EMPTY, BUILDING, INSTALLED = "post-rewrite", "post-checkout", "pre-commit"  # names that git knows
IDENTITY = {
    "GIT_AUTHOR_NAME": "bench",
    "GIT_AUTHOR_EMAIL": "bench@example.com",
    "GIT_COMMITTER_NAME": "bench",
    "GIT_COMMITTER_EMAIL": "bench@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    **OURS,
}


def hook(actions: int, folder: Path, runs: int) -> list[str]:
    """`git hook run` of an empty hook, of one that runs `modelbuild build`, of the installed pre-commit."""
    if shutil.which("git") is None:
        return ["git is not there: no hook was measured."]
    manifests.write(folder, manifests.models_for(actions))
    (folder / ".gitignore").write_text(".modelbuild/\ndist/\nreports/\n", encoding="ascii")
    _git(folder, "init", "-q")
    say(f"  first build of {actions:,} actions")
    run(Command((*modelbuild(), "build", "-q"), folder, OURS))
    run(Command((*modelbuild(), "hooks", "install"), folder, IDENTITY))
    _git(folder, "add", ".")
    _git(folder, "commit", "-q", "--no-verify", "-m", "all")
    hooks = folder / ".git/hooks"
    _write_hook(hooks / EMPTY, "exit 0")
    _write_hook(hooks / BUILDING, f"exec {shlex.join(modelbuild())} build -q")
    time.sleep(SETTLED)
    names = {
        EMPTY: "an empty hook",
        BUILDING: "a hook that runs `modelbuild build`, nothing to do",
        INSTALLED: "the installed pre-commit hook, nothing staged",
    }
    commands = {name: Command(("git", "hook", "run", name), folder, IDENTITY) for name in names}
    found = interleaved(
        {name: partial(_run, command) for name, command in commands.items()},
        dict.fromkeys(names, runs),
        warm_up=2,
    )
    rows = [
        (f"{text}, {actions:,} actions", table.milliseconds(middle(found[name]).seconds), spread(found[name]))
        for name, text in names.items()
    ]
    return table.table(("git hook run", "ms", "(range)"), rows)


def _run(command: Command, number: int) -> Run:
    return run(command)


def _write_hook(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    path.chmod(0o755)


def _git(folder: Path, *words: str) -> None:
    subprocess.run(("git", *words), cwd=folder, env={**os.environ, **IDENTITY}, check=True)

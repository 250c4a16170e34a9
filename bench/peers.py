"""ninja, make, doit and DVC on the graph of `layers`: their files, their commands, their installation."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.layers import Task

PACKAGES = ("ninja", "doit", "dvc")
_QUIET = {"DVC_NO_ANALYTICS": "1", "CORE_ANALYTICS": "false"}


@dataclass(frozen=True)
class Peer:
    """A builder: `write` leaves its files in a folder, `words` is the command that builds all. `pretend`
    leaves what its first build would, where that takes longer than anyone wants to wait."""

    name: str
    words: tuple[str, ...]
    write: Callable[[Sequence[Task], Path], None]
    version: tuple[str, ...]
    most: int  # tasks; with more, one run takes minutes
    runs: int  # of a no-op, where a run takes long
    environment: Mapping[str, str]
    prepare: tuple[tuple[str, ...], ...] = ()
    pretend: Callable[[Sequence[Task], Path], None] | None = None


def install(scratch: Path) -> str:
    """A virtual environment with the peers that pip has. What went wrong, or nothing."""
    folder = scratch / "peers"
    if not (folder / "bin/pip").exists():
        venv.create(folder, with_pip=True)
    failures = []
    for package in PACKAGES:
        done = subprocess.run(
            [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", package],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            failures.append(f"{package} could not be installed")
    return "; ".join(failures)


def peers(scratch: Path, jobs: int) -> dict[str, Peer]:
    """Those that are there, by name: of the scratch environment, or of the system."""
    found = {}
    for name, make_peer in _PEERS.items():
        program = _find(name, scratch / "peers/bin")
        if program is not None:
            found[name] = make_peer(program, jobs)
    return found


def _find(name: str, scratch: Path) -> str | None:
    own = scratch / name
    return str(own) if own.exists() else shutil.which(name)


def _ninja(program: str, jobs: int) -> Peer:
    words = (program, "-j", str(jobs), "--quiet")
    return Peer("ninja", words, _write_ninja, (program, "--version"), sys.maxsize, sys.maxsize, {})


def _make(program: str, jobs: int) -> Peer:
    words = (program, "-j", str(jobs), "-s", "-rR")
    return Peer("make", words, _write_make, (program, "--version"), sys.maxsize, sys.maxsize, {})


def _doit(program: str, jobs: int) -> Peer:
    words = (program, "-v", "0", "-n", str(jobs))
    return Peer("doit", words, _write_doit, (program, "--version"), sys.maxsize, 5, {})


def _dvc(program: str, jobs: int) -> Peer:
    words = (program, "repro", "-q")  # it has no jobs
    prepare = ((program, "init", "--no-scm", "-q"),)
    return Peer("DVC", words, _write_dvc, (program, "--version"), 1000, 2, _QUIET, prepare, _pretend_dvc)


_PEERS: dict[str, Callable[[str, int], Peer]] = {"ninja": _ninja, "make": _make, "doit": _doit, "dvc": _dvc}


def _command(task: Task) -> str:
    return f"cat {' '.join(task.inputs)} > {task.output}"


def _write_ninja(tasks: Sequence[Task], folder: Path) -> None:
    lines = ["rule cat", "  command = cat $in > $out"]
    lines += [f"build {task.output}: cat {' '.join(task.inputs)}" for task in tasks]
    (folder / "build.ninja").write_text("\n".join(lines) + "\n", encoding="ascii")


def _write_make(tasks: Sequence[Task], folder: Path) -> None:
    lines = [f"all: {' '.join(task.output for task in tasks)}"]
    lines += [f"{task.output}: {' '.join(task.inputs)}\n\tcat $^ > $@" for task in tasks]
    (folder / "Makefile").write_text("\n".join(lines) + "\n", encoding="ascii")


def _write_doit(tasks: Sequence[Task], folder: Path) -> None:
    described = [
        {"name": task.name, "actions": [_command(task)], "file_dep": task.inputs, "targets": [task.output]}
        for task in tasks
    ]
    text = f"TASKS = {described!r}\n\n\ndef task_cat():\n    yield from TASKS\n"
    (folder / "dodo.py").write_text(text, encoding="ascii")


def _write_dvc(tasks: Sequence[Task], folder: Path) -> None:
    lines = ["stages:"]
    for task in tasks:
        lines += [f"  {task.name}:", f"    cmd: {_command(task)}", "    deps:"]
        lines += [f"      - {path}" for path in task.inputs]
        lines += ["    outs:", f"      - {task.output}:", "          cache: false"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n", encoding="ascii")


def _pretend_dvc(tasks: Sequence[Task], folder: Path) -> None:
    """The outputs and dvc.lock of a whole build, which DVC writes anew after each of the tasks."""
    lines = ["schema: '2.0'", "stages:"]
    for task in tasks:
        (folder / task.output).write_bytes(b"".join((folder / path).read_bytes() for path in task.inputs))
        lines += [f"  {task.name}:", f"    cmd: {_command(task)}", "    deps:"]
        lines += [line for path in sorted(task.inputs) for line in _locked(path, folder)]
        lines += ["    outs:", *_locked(task.output, folder)]
    (folder / "dvc.lock").write_text("\n".join(lines) + "\n", encoding="ascii")


def _locked(path: str, folder: Path) -> list[str]:
    data = (folder / path).read_bytes()
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return [f"    - path: {path}", "      hash: md5", f"      md5: {digest}", f"      size: {len(data)}"]


def prepared(peer: Peer, tasks: Sequence[Task], folder: Path) -> None:
    """The peer's files in `folder`, and what it wants done before its first build."""
    peer.write(tasks, folder)
    for words in peer.prepare:
        subprocess.run(words, cwd=folder, env={**os.environ, **peer.environment}, check=True)
    if peer.pretend is not None:
        peer.pretend(tasks, folder)

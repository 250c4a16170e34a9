"""The real command in a real process, for end-to-end tests; and in this one, where that proves as much."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelbuild.cli.main import main
from tests import prepared

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """What a run of the command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which is one JSON object with --json."""
        return json.loads(self.out)


def modelbuild(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None, timeout: float = 300
) -> Done:
    """Run `modelbuild ARGUMENTS` in `folder`; never a traceback. The process is forked from one that has
    imported the command, unless `environment` has what an interpreter reads as it starts."""
    forked = prepared.command(folder, arguments, environment or {}, timeout)
    if forked is not None:
        assert "Traceback" not in forked[1] + forked[2], forked[2]
        return Done(*forked)
    done = subprocess.run(
        [sys.executable, "-m", "modelbuild", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def called(folder: Path, *arguments: str) -> Done:
    """The same in this process, which has imported what commands import: for the tests whose verb another one
    of the file runs in a process of its own."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    printed, said = (stream.buffer.getvalue().decode() for stream in (out, err))
    assert "Traceback" not in said + printed, said
    return Done(code, printed, said)


def ran(done: Done) -> int:
    """How many actions a `build --json` ran."""
    count: int = done.json["actions"]["run"]
    return count


def files_below(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

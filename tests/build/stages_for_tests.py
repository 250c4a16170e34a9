"""Stage functions that the builder's tests run in real workers. `trace` in the parameters counts runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.errors import ModelbuildError


def note(parameters: Mapping[str, Any]) -> None:
    """Adds a line to the file named by the environment, so that a test can count the runs."""
    trace = os.environ.get("TEST_TRACE")
    if trace:
        with Path(trace).open("ab") as stream:
            stream.write(f"{parameters.get('label', '?')}\n".encode())


def join(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Writes label and all inputs, in the order of their roles, to `out/text`."""
    note(parameters)
    parts = [str(parameters.get("text", ""))]
    parts += [f"{role}={inputs[role].read_text()}" for role in sorted(inputs)]
    (out / "text").write_text("(" + ",".join(parts) + ")")


def upper(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Writes the only input in capitals: a change of case alone is cut off here."""
    note(parameters)
    (out / "text").write_text("".join(path.read_text() for path in inputs.values()).upper())


def fail(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Fails as a stage does that found something wrong."""
    note(parameters)
    (out / "half").write_text("half")
    raise ModelbuildError("the data is bad", where="data.txt:3", why="a test", advice="none", exit_code=1)


def fail_if(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Fails if an input contains the word BAD, else joins."""
    if any("BAD" in path.read_text() for path in inputs.values()):
        fail(inputs, parameters, out)
    join(inputs, parameters, out)

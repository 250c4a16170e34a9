"""The stage of the state machine: what it does stands in its parameters, and TEST_DIE names who is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages_for_tests import note

from modelbuild.errors import ModelbuildError

FAILED = "<failed>"  # stands for the reason why a soft input is not there


def joined(text: str, upper: bool, contents: Mapping[str, str]) -> str:
    """What comes out: the parameter and all inputs in the order of their roles."""
    made = f"{text}({','.join(f'{role}={contents[role]}' for role in sorted(contents))})"
    return made.upper() if upper else made


def named(content: str) -> list[str]:
    """The files that a content names."""
    return [line[4:] for line in content.splitlines() if line.startswith("use ")]


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Joins; a `strict` one fails if something it read is BAD."""
    note(parameters)
    if parameters["label"] in Path(os.environ["TEST_DIE"]).read_text().split():
        os.kill(os.getpid(), signal.SIGKILL)
    contents = {
        role: FAILED if role.endswith(".failure") else path.read_text() for role, path in inputs.items()
    }
    made = joined(parameters["text"], parameters["upper"], contents)
    (out / "text").write_text(made)
    if parameters["strict"] and "BAD" in made:
        raise ModelbuildError("it is BAD", exit_code=1)


def discover(inputs: Mapping[str, Path], parameters: Mapping[str, Any]) -> list[Path]:
    """Every file that the input `x` names, and those that such a file names. Fails if one is BROKEN."""
    root = inputs["x"].parent
    found: list[Path] = []
    waiting = [inputs["x"]]
    while waiting:
        content = waiting.pop().read_text()
        if "BROKEN" in content:
            raise ModelbuildError("it is BROKEN", exit_code=1)
        new = [root / name for name in named(content) if root / name not in found]
        found += dict.fromkeys(new)
        waiting += [path for path in dict.fromkeys(new) if path.exists()]
    return found

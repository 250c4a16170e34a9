"""The cheapest stage there is; `python -m bench.trivial N` is the builder alone on the graph of `layers`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild.build.action import Action, FileInput, OutputOf

OUTPUT = "out"


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """The inputs, one after another."""
    (out / OUTPUT).write_bytes(b"".join(inputs[role].read_bytes() for role in sorted(inputs)))


def actions(count: int) -> list[Action]:
    """The tasks of `layers` as the builder takes them."""
    from bench.layers import layered

    tasks = layered(count)
    made_by = {task.output: task.name for task in tasks}
    return [
        Action(
            task.name,
            "bench.trivial:run",
            "1",
            inputs={
                str(role): OutputOf(made_by[path], OUTPUT) if path in made_by else FileInput(path)
                for role, path in enumerate(task.inputs)
            },
        )
        for task in tasks
    ]


def main(words: Sequence[str]) -> None:
    """Builds the graph of N tasks in the current folder and prints how many ran."""
    from modelbuild.build.build import Builder
    from modelbuild.build.jobs import processors

    planned = actions(int(words[0]))
    result = Builder(Path()).build(planned, [action.name for action in planned], jobs=processors())
    assert result.ok, result.failures
    print(json.dumps({"run": sum(state == "run" for state in result.states.values())}))


if __name__ == "__main__":
    main(sys.argv[1:])

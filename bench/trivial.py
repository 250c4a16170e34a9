"""The cheapest stage there is; `python -m bench.trivial N` is the builder alone on the graph of `layers`.

As `modelbuild build` does, it looks first whether anything differs from what is remembered, and imports what
builds only then.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelbuild.build.recall import Recalled, recall

if TYPE_CHECKING:
    from pathlib import Path

    from modelbuild.build.action import Action

OUTPUT = "out"
STATE = ".modelbuild"


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """The inputs, one after another."""
    (out / OUTPUT).write_bytes(b"".join(inputs[role].read_bytes() for role in sorted(inputs)))


def actions(count: int) -> list[Action]:
    """The tasks of `layers` as the builder takes them."""
    from bench.layers import layered
    from modelbuild.build.action import Action, FileInput, OutputOf

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
    request = f"trivial-{words[0]}"
    seen = recall(os.getcwd(), f"{os.getcwd()}/{STATE}", request)  # noqa: PTH109 - pathlib is slow to import
    ran = 0 if seen is not None and not seen.different else _build(request, int(words[0]), seen)
    print(json.dumps({"run": ran}))


def _build(request: str, count: int, seen: Recalled | None) -> int:
    from pathlib import Path

    from modelbuild.build.build import Builder
    from modelbuild.build.jobs import processors
    from modelbuild.build.remember import Product

    began = time.time_ns()
    builder = Builder(Path(), Path(STATE))
    with builder.hold():
        found = builder.resume(request, seen)
        planned = actions(count) if found is None else found.actions
        given = {} if found is None else found.given()
        goals = [action.name for action in planned]
        result = builder.build(planned, goals, given=given, jobs=processors())
        assert result.ok, result.failures
        if found is None:  # something is published, as in every project; no edit of the bench concerns it
            product = Product("product", {OUTPUT: result.outputs[goals[0]][OUTPUT]})
            builder.publish(product.files, Path(product.folder))
            builder.remember(request, {}, began, [product], None, None)
        else:
            builder.renew(request, found, {}, None)
    return sum(state == "run" for state in result.states.values())


if __name__ == "__main__":
    main(sys.argv[1:])

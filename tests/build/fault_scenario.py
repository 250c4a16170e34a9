"""The life of a small project, a phase at a time; with `serve`, each phase in a fork and under a fault.

A line of standard input is `{root, phase, role, fault, exchange}`, a line of the output what became of it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from build_harness import HERE, SEARCH_PATH, action
from faults import Fault, Injector

import modelbuild.build.execution
import modelbuild.build.publish
import modelbuild.build.survey  # noqa: F401 - all that a phase imports, before the disk fails
from modelbuild.build import clock, disk
from modelbuild.build.build import Builder
from modelbuild.errors import ModelbuildError

Exchange = Callable[[Path, Path], bool]
ACTIONS = [
    action("a", inputs={"x": "src/a.txt"}),
    action("b", "fail_if_bad", inputs={"x": "src/b.txt"}),
    action("c", "read_all", inputs={"x": "list.txt"}, discover="stages_for_tests:named_files"),
    action("d", "upper", inputs={"x": "@a", "y": "@c"}),
    action("f", "fail_if_bad", inputs={"x": "src/f.txt"}),
    action("s", "several"),
    action("report", soft={"d": "@d", "f": "@f", "b": "@b"}, always=True),
]
SOURCES = {
    "first": {
        "src/a.txt": "a1",
        "src/b.txt": "b1",
        "src/f.txt": "BAD",
        "src/n.txt": "n",
        "list.txt": "use src/n.txt",
    },
    "edit": {"src/a.txt": "a2", "src/b.txt": "BAD", "src/n2.txt": "n2", "list.txt": "use src/n2.txt"},
}
PHASES = ("first", "nothing", "edit", "look", "clean")


def prepare(root: Path, phase: str) -> None:
    """Writes the sources that the phase starts from; `dist/notes.txt` is the user's."""
    for name, text in {**SOURCES.get(phase, {}), "dist/notes.txt": "mine"}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(root: Path, phase: str, environment: dict[str, str]) -> dict[str, Any]:
    """One phase: the states of the actions and the failures, by their messages."""
    builder = Builder(root, environment=environment)
    if phase == "clean":
        builder.clean()
        return {"states": {}, "failures": {}}
    goals = [one.name for one in ACTIONS]
    if phase == "look":
        states = {name: str(status) for name, status in builder.status(ACTIONS, goals).items()}
        return {"states": states, "why": builder.why(ACTIONS, "d").to_json(), "failures": {}}
    with builder.hold():
        result = builder.build(ACTIONS, goals, jobs=1, keep_going=True)
        out = result.outputs
        if "report" in out:
            builder.publish({"report.html": out["report"]["text"]}, Path("reports/p"))
        if "d" in out and "s" in out:
            files = {"m.nef": out["d"]["text"], "deep/e.json": out["s"]["a/b/deep.txt"]}
            builder.publish(files, Path("dist/p"))
        if "b" in out:
            builder.publish({"q.nef": out["b"]["text"]}, Path("dist/q"))
        elif result.states["b"] == "failed":
            builder.withdraw(Path("dist/q"), Path("dist/.stale/q"))
    failures = {name: str(error) for name, error in result.failures}
    codes = {name: error.exit_code for name, error in result.failures}
    return {"states": dict(result.states), "failures": failures, "exit_codes": codes}


def perform(request: dict[str, Any]) -> dict[str, Any]:
    """Runs the phase under the fault: what it returned or raised, and the operations that were seen."""
    root, role = Path(request["root"]), request["role"]
    # the files of the scenario are a moment old, and their rows shall be written all the same
    clock.GRANULARITY_NS = clock.COARSE_NS = -(10**18)
    fault = Fault(str(root), **request["fault"])
    environment = {"PYTHONPATH": SEARCH_PATH, "TEST_TRACE": f"{root}.trace"}
    injector = Injector(fault)
    if role == "worker":
        environment |= {"PYTHONPATH": f"{HERE / 'faulty'}{os.pathsep}{SEARCH_PATH}"}
        environment |= {"TEST_FAULT": fault.to_environment(), "TEST_FAULT_LOG": f"{root}.log"}
    else:
        injector.install()
        disk.exchange = _counted(disk.exchange, injector, request["exchange"])
    told: dict[str, Any] = {"states": {}, "failures": {}, "exit_codes": {}, "raised": None, "traceback": ""}
    try:
        told |= run(root, request["phase"], environment)
    except ModelbuildError as error:
        told["raised"] = {"text": str(error), **error.to_json()}
    except Exception:
        told["traceback"] = traceback.format_exc()
    return {**told, "count": injector.count, "struck": injector.struck, "seen": injector.seen}


def _counted(exchange: Exchange, injector: Injector, has: bool) -> Exchange:
    """The exchange of two names as an operation that can fail, or that the system does not have."""

    def call(one: Path, other: Path) -> bool:
        injector.strike("rename", str(one))
        return has and exchange(one, other)

    return call


def serve() -> None:
    """A fork a request; one that crashed is answered by `{"crashed": true}`."""
    for line in sys.stdin:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            answer = perform(json.loads(line))
            os.write(writer, json.dumps(answer).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as stream:
            text = stream.read()
        os.waitpid(child, 0)
        print(text or '{"crashed": true}', flush=True)


if __name__ == "__main__":
    serve()

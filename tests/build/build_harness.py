"""What the builder's tests share: a project, its actions, and builds in a process of their own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelbuild.build.action import Action, FileInput, OutputOf
from modelbuild.build.build import Builder
from modelbuild.build.clock import Clock
from modelbuild.build.result import BuildResult
from modelbuild.errors import ModelbuildError

HERE = Path(__file__).parent
SEARCH_PATH = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
PATIENCE_MS = 300_000  # an upper bound that only a defect reaches


def action(name: str, stage: str = "join", **more: Any) -> Action:
    """An action over a stage of stages_for_tests. A source is a file's path or `action/output`.

    `inputs` and `soft` map roles to sources written as text: `"a.txt"` or `"@other"` (its output `text`).
    """
    parameters = {"label": name, **more.pop("parameters", {})}
    inputs = {role: _source(text) for role, text in more.pop("inputs", {}).items()}
    soft = {role: _source(text) for role, text in more.pop("soft", {}).items()}
    function = more.pop("function", f"stages_for_tests:{stage}")
    return Action(name, function, more.pop("version", "1"), parameters, inputs, soft, **more)


def _source(text: str) -> Any:
    return OutputOf(text[1:], "text") if text.startswith("@") else FileInput(text)


class Project:
    """A root folder, a builder in it, and the trace of what its stages did."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        self.trace_file = root.parent / f"{root.name}.trace"
        self.environment = {"PYTHONPATH": SEARCH_PATH, "TEST_TRACE": str(self.trace_file)}
        self.builder = Builder(root, environment=self.environment)

    @property
    def state(self) -> Path:
        return self.root / ".modelbuild"

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def build(
        self, actions: Sequence[Action], goals: Sequence[str] | None = None, **options: Any
    ) -> BuildResult:
        options.setdefault("jobs", 2)
        return self.builder.build(actions, goals or [one.name for one in actions], **options)

    def ran(self) -> list[str]:
        """Labels of the stages that ran since the last call, sorted."""
        if not self.trace_file.exists():
            return []
        labels = self.trace_file.read_text().split()
        self.trace_file.unlink()
        return sorted(labels)

    def text(self, result: BuildResult, name: str) -> str:
        return self.builder.output(result, name, "text").read_text()

    def failure(self, result: BuildResult, name: str) -> ModelbuildError:
        return dict(result.failures)[name]

    def records(self) -> list[Path]:
        return sorted((self.state / "records").rglob("*.json"))

    def blobs(self) -> list[Path]:
        return sorted(path for path in (self.state / "store").rglob("*") if path.is_file())


def settle(*paths: Path) -> None:
    """Returns when the files are older than the step of their clock."""
    clock = Clock(str(paths[0].parent))
    while not all(clock.is_settled(path.stat()) for path in paths):
        pass


def state_of(result: BuildResult) -> dict[str, str]:
    return dict(result.states)


SCRIPT = """
import json, signal, sys
from build_harness import Project, action
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is begun with it ignored
from pathlib import Path
root, specification, jobs, keep_going = json.loads(sys.argv[1])
project = Project(Path(root))
def tell(event):
    if event.kind in ("waiting", "started"):
        print(event.kind, event.action, flush=True)
actions = [action(**one) for one in specification]
try:
    result = project.build(actions, jobs=jobs, keep_going=keep_going, observer=tell)
except KeyboardInterrupt:
    sys.exit(130)
print(json.dumps(dict(result.states), sort_keys=True), flush=True)
"""


def start_build(
    project: Project, specification: Sequence[Mapping[str, Any]], *, jobs: int = 2, **environment: str
) -> subprocess.Popen[str]:
    """A build in its own process. It prints when it waits and when an action has been started, by then with a
    task that a worker has; at last the states as JSON."""
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps([str(project.root), specification, jobs, True])],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH, **environment},
    )


CLEAN = """
import sys
from build_harness import Project
from pathlib import Path
Project(Path(sys.argv[1])).builder.clean(lambda event: print(event.kind, flush=True))
"""


def start_cleaning(project: Project) -> subprocess.Popen[str]:
    """`clean` in its own process; it prints `waiting` where it must."""
    return subprocess.Popen(
        [sys.executable, "-c", CLEAN, str(project.root)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SEARCH_PATH},
    )


def wait_for_line(process: subprocess.Popen[str], wanted: str) -> None:
    """Reads on to that line."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line.strip())
        if line.strip() == wanted:
            return
    raise AssertionError(f"{seen} ended without {wanted!r}")


def last_line(process: subprocess.Popen[str]) -> str:
    """Waits for the end of the process; the last line that it printed."""
    return process.communicate(timeout=PATIENCE_MS / 1000)[0].splitlines()[-1]


def wait_for_end(pidfd: int) -> bool:
    """Whether the process behind the descriptor ends."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(PATIENCE_MS))

"""Trials of a failing disk: a phase of the scenario under one fault, and what must hold then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from build_harness import HERE
from fault_scenario import PHASES, prepare

PRODUCTS = ("dist/p", "dist/q", "dist/.stale/q", "reports/p")
KINDS = {  # name -> the fault
    "ENOSPC": {"kind": "ENOSPC"},
    "full": {"kind": "ENOSPC", "lasts": True},
    "EIO": {"kind": "EIO"},
    "gone": {"kind": "EIO", "lasts": True},
    "EACCES": {"kind": "EACCES"},
    "crash": {"kind": "crash"},
    "power": {"kind": "power"},
}
CLEAN = [".modelbuild", ".modelbuild/lock", "dist", "dist/notes.txt"]
Tree = dict[str, bytes]


def tree(folder: Path) -> Tree | None:
    """Relative path -> bytes; None if there is no such folder."""
    if not folder.is_dir():
        return None
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def products(root: Path) -> dict[str, Tree | None]:
    return {name: tree(root / name) for name in PRODUCTS}


@dataclass
class Stage:
    """One phase undisturbed: the folder as it finds it, and what it returns and leaves."""

    before: Path
    answer: dict[str, Any]
    old: dict[str, Tree | None]
    new: dict[str, Tree | None]
    counts: dict[str, int] = field(default_factory=dict)


class Trials:
    """The server of phases, the templates, and the judgement of one trial."""

    def __init__(self, folder: Path, server: subprocess.Popen[str], exchange: bool) -> None:
        self._folder = folder
        self._server = server
        self.exchange = exchange
        self._serial = 0
        self.stages: dict[str, Stage] = {}
        root = folder / "model"
        root.mkdir()
        for phase in PHASES:
            prepare(root, phase)
            before = folder / f"before-{phase}"
            shutil.copytree(root, before)
            old = products(root)
            answer = self.ask(root, phase, "builder", {})
            assert answer["raised"] is None and not answer["traceback"], answer
            stage = self.stages[phase] = Stage(before, answer, old, products(root))
            stage.counts["builder"] = answer["count"]
            copy = self._copy(phase)
            self.ask(copy, phase, "worker", {})
            log = Path(f"{copy}.log")
            stage.counts["worker"] = len(log.read_text().splitlines()) if log.exists() else 0
            self._forget(copy)

    def ask(self, root: Path, phase: str, role: str, fault: dict[str, Any]) -> dict[str, Any]:
        """Runs the phase in a fork of the server."""
        assert self._server.stdin is not None and self._server.stdout is not None
        request = {"root": str(root), "phase": phase, "role": role, "fault": fault}
        request["exchange"] = self.exchange
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer

    def wrong(self, phase: str, role: str, kind: str, at: int) -> list[str]:
        """What was wrong of a phase whose `at`th operation failed, and of the builds after it; nothing, it is
        hoped."""
        root = self._copy(phase)
        answer = self.ask(root, phase, role, {**KINDS[kind], "at": at})
        found = [
            *self._wrong_answer(phase, role, kind, answer),
            *self._wrong_products(phase, kind, root),
            *(self._wrong_success(phase, root) if self._succeeded(phase, answer) else ()),
            *self._wrong_afterwards(phase, root),
        ]
        self._forget(root)
        struck = answer.get("struck") or "?"
        return [f"{phase}, {role}, {kind} at {at} ({struck}): {text}" for text in found]

    def _succeeded(self, phase: str, answer: dict[str, Any]) -> bool:
        return (
            "crashed" not in answer
            and answer["raised"] is None
            and answer["failures"] == self.stages[phase].answer["failures"]
        )

    def _wrong_answer(self, phase: str, role: str, kind: str, answer: dict[str, Any]) -> Iterator[str]:
        if "crashed" in answer:
            if role == "worker" or kind not in ("crash", "power"):
                yield "the builder died"
            return
        if answer["traceback"]:
            yield answer["traceback"]
            return
        raised = answer["raised"]
        expected = self.stages[phase].answer["failures"]
        new = {name: text for name, text in answer["failures"].items() if expected.get(name) != text}
        texts = [*new.values()]
        if kind != "EACCES" and any(answer["exit_codes"][name] != 1 for name in new):
            yield f"exit codes {answer['exit_codes']}: {new}"
        if raised is not None:
            texts.append(raised["text"])
            if raised["exit_code"] != 1:
                yield f"exit code {raised['exit_code']}: {raised['text']}"
        for text in texts:
            if "ended with status 77" in text:  # a stage that crashes is nothing to advise about
                continue
            if "do:" not in text and "was not built" not in text:
                yield f"no advice: {text}"
            if "why:" not in text:
                yield f"no reason: {text}"
            if "internal error" in text:
                yield f"called a bug: {text}"

    def _wrong_products(self, phase: str, kind: str, root: Path) -> Iterator[str]:
        stage = self.stages[phase]
        cut_off = KINDS[kind].get("lasts") or kind in ("crash", "power")
        stays = phase not in ("first", "clean") and (self.exchange or not cut_off)
        for name, found in products(root).items():
            right = [None, stage.old[name], stage.new[name]]
            if name == "dist/.stale/q":
                right.append(stage.old["dist/q"])
            elif name == "reports/p" and found is not None:  # it tells of the failing disk
                right += [found] if [*found] == ["report.html"] and found["report.html"][-1:] == b")" else []
            if found not in right:
                yield f"{name} is half done: {found}"
            if found is None and name == "dist/p" and stays:
                yield "a product was gone for a moment"
        if (root / "dist/notes.txt").read_bytes() != b"mine":
            yield "a file of the user's was touched"

    def _wrong_success(self, phase: str, root: Path) -> Iterator[str]:
        if products(root) != self.stages[phase].new:
            yield f"it said that all is well, and left {products(root)}"

    def _wrong_afterwards(self, phase: str, root: Path) -> Iterator[str]:
        stage = self.stages[phase]
        again = self.ask(root, phase, "builder", {})
        if again["raised"] or again["traceback"] or again["failures"] != stage.answer["failures"]:
            yield f"the next time: {again['raised'] or again['traceback'] or again['failures']}"
        elif {**products(root), "dist/.stale/q": stage.new["dist/.stale/q"]} != stage.new:
            yield f"the next time left {products(root)}"
        if phase == "clean":
            left = sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))
            if [name for name in left if name.split("/")[0] in (".modelbuild", "dist", "reports")] != CLEAN:
                yield f"clean left {left}"
            return
        nothing = self.ask(root, "nothing" if phase == "first" else phase, "builder", {})
        if "run" in nothing["states"].values() or nothing["raised"] or nothing["traceback"]:
            yield f"a third time was not idle: {nothing}"
        left = [*(root / ".modelbuild/work").glob("*"), *(root / "dist").glob(".*.*"), *root.glob("*/.*.new")]
        if left and phase != "look":
            yield f"leftovers: {left}"

    def _copy(self, phase: str) -> Path:
        self._serial += 1
        root = self._folder / f"trial-{self._serial}"
        shutil.copytree(self.stages[phase].before, root)
        return root

    def _forget(self, root: Path) -> None:
        shutil.rmtree(root)
        for path in (Path(f"{root}.log"), Path(f"{root}.trace")):
            path.unlink(missing_ok=True)


@contextmanager
def opened(folder: Path, exchange: bool = True) -> Iterator[Trials]:
    """Trials below the folder, over a server of their own; `exchange`: the system can swap two names."""
    server = subprocess.Popen(
        [sys.executable, str(HERE / "fault_scenario.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent.parent)])},
    )
    try:
        yield Trials(folder, server, exchange)
    finally:
        server.communicate()

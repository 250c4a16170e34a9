"""The commands that run no stage, each with every operation on the disk failing: the builder's own tests have
those that run some."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from modelbuild.project.building import build
from modelbuild.project.options import BuildOptions
from modelbuild.project.project import open_project
from tests.project.small_project import write_manifest, write_model, write_samples

HERE = Path(__file__).parent
STRIDE = 307  # of the short form
KINDS: dict[str, dict[str, Any]] = {
    "ENOSPC": {"kind": "ENOSPC"},
    "full": {"kind": "ENOSPC", "lasts": True},
    "EIO": {"kind": "EIO"},
    "EACCES": {"kind": "EACCES"},
    "crash": {"kind": "crash"},
    "power": {"kind": "power"},
}
CRASHED = 77
MANIFEST = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}}
targets: {cam: {chip: kl720}}
packages: {pa: {target: cam, models: {a: {id: 32768}}}}
"""
# phase -> what happened before, and the command
PHASES = {
    "idle": ("nothing", ["build", "--json"]),
    "touched": ("comment", ["build", "--json"]),
    "product": ("product", ["build", "--json"]),
    "superseded": ("package", ["build", "--json"]),
    "status": ("nothing", ["status", "--json"]),
    "why": ("nothing", ["why", "a@cam:quantize", "--json"]),
    "gc": ("nothing", ["cache", "gc", "--max-size", "0", "--json"]),
    "clean": ("nothing", ["clean", "--json"]),
}


def change(folder: Path, what: str) -> None:
    """What happens before the command."""
    path = folder / "models.yaml"
    if what == "comment":
        path.write_text(path.read_text() + "# a comment\n")
    elif what == "product":
        (folder / "dist/pa/a.json").unlink()
    elif what == "package":
        path.write_text(path.read_text().replace("pa:", "pc:"))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] == "dist"
    }


def products(tree: dict[str, bytes]) -> set[str]:
    """The folders of products, those put aside among them, without what a killed command left."""
    found = {name.rsplit("/", 1)[0] for name in tree}
    return {folder for folder in found if not folder.endswith((".old", ".new"))}


def below(folder: str, tree: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in tree.items() if name.startswith(f"{folder}/")}


@dataclass
class Commands:
    """The server, the built project that each trial copies, and its products."""

    folder: Path
    original: Path
    server: subprocess.Popen[str]
    serial: int = 0

    def run(self, root: Path, words: list[str], **fault: Any) -> dict[str, Any]:
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(json.dumps({"root": str(root), "words": words, "fault": fault}) + "\n")
        self.server.stdin.flush()
        answer: dict[str, Any] = json.loads(self.server.stdout.readline())
        return answer

    def copy(self, phase: str) -> Path:
        self.serial += 1
        root = self.folder / f"trial-{self.serial}"
        shutil.copytree(self.original, root)
        assert self.run(root, ["build", "-q"])["code"] == 0  # a copy is looked at once, and known then
        change(root, PHASES[phase][0])
        return root

    def count(self, phase: str) -> int:
        """Operations of the phase undisturbed."""
        root = self.copy(phase)
        done = self.run(root, PHASES[phase][1])
        shutil.rmtree(root)
        assert done["code"] == 0, done
        found = re.search(r"operations (\d+)", done["err"])
        assert found is not None
        return int(found[1])

    def wrong(self, phase: str, kind: str, at: int) -> list[str]:
        """What was wrong of the phase and of the commands after it."""
        root = self.copy(phase)
        words = PHASES[phase][1]
        before = tree(root)
        done = self.run(root, words, at=at, **KINDS[kind])
        between = tree(root)
        again = self.run(root, words)
        after = tree(root)
        last = self.run(root, ["build", "--json"]) if phase != "clean" else None
        left = [path for top in ("dist", "reports") for path in (root / top).glob(".*.*")]
        shutil.rmtree(root)
        found = [*_wrong_answer(kind, done)]
        if again["code"] != 0:
            found.append(f"the next time: {again}")
        if last is not None and (last["code"] != 0 or json.loads(last["out"])["actions"]["run"]):
            found.append(f"a build afterwards was not idle: {last}")
        if left:
            found.append(f"left {left}")
        for product in products(between):
            inside = below(product, between)
            if inside not in (below(product, before), below(product, after)):
                found.append(f"{product} is half done: {sorted(inside)}")
        return [f"{phase}, {kind} at {at}: {text}" for text in found]


def _wrong_answer(kind: str, done: dict[str, Any]) -> Iterator[str]:
    if done["code"] == CRASHED and kind in ("crash", "power"):
        return
    of_users = done["code"] == 2 and ".modelbuild" not in done["err"]
    if done["code"] not in (0, 1) and not of_users:  # a source or the manifest that cannot be read
        yield f"exit code {done['code']}: {done['err']}"
    if "Traceback" in done["err"] or "internal error" in done["err"]:
        yield f"a traceback: {done['err']}"
    if done["code"] == 1 and ("  do:  " not in done["err"] or "  why: " not in done["err"]):
        yield f"no advice: {done['err']}"


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    folder = tmp_path_factory.mktemp("commands")
    original = folder / "original"
    write_model(original / "a.onnx")
    write_samples(original / "data")
    for method in ("minmax", "mse"):  # the first one's results are then what a collection may remove
        write_manifest(
            original, MANIFEST.replace("kl720", f"kl720, quantize: {{range: {{method: {method}}}}}")
        )
        assert build(open_project(original), (), BuildOptions(jobs=1)).ok
    server = subprocess.Popen(
        [sys.executable, str(HERE / "fault_commands.py"), str(HERE.parent / "build"), str(original)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
    )
    yield Commands(folder, original, server)
    server.communicate()


def test_some_operations_fail(commands: Commands) -> None:
    kinds, wrong = cycle(KINDS), []
    for phase in PHASES:
        for at in range(1, commands.count(phase) + 1, STRIDE):
            wrong += commands.wrong(phase, next(kinds), at)
    assert not wrong, "\n".join(wrong)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("phase", PHASES)
def test_every_operation_fails(commands: Commands, phase: str, kind: str) -> None:
    count = commands.count(phase)
    wrong = [text for at in range(1, count + 1) for text in commands.wrong(phase, kind, at)]
    assert not wrong, "\n".join(wrong)

"""The example's build, killed or interrupted at any moment: the next makes the same bytes, nothing twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/digits"
STRIKE = ROOT / "tests/build/strike.py"
PACKAGE = "digits-kl720"
FEWER = (
    ("count: 64", "count: 4"),
    ("hardware: all", "hardware: first"),
    ("evaluation: test", "evaluation: {set: test, count: 40}"),
)


@dataclass(frozen=True)
class Undisturbed:
    """What a build makes that nobody disturbs, and how many calls the builder's process makes for it."""

    products: dict[str, bytes]
    records: dict[str, bytes]
    calls: int


def prepare(folder: Path) -> Path:
    """The example with few samples: what is tested here is the builder."""
    folder.mkdir(parents=True)
    for name in ("models", "data"):
        shutil.copytree(EXAMPLE / name, folder / name)
    for name in ("models.yaml", "labels.txt"):
        shutil.copy(EXAMPLE / name, folder / name)
    manifest = folder / "models.yaml"
    text = manifest.read_text()
    for old, new in FEWER:
        assert old in text
        text = text.replace(old, new)
    manifest.write_text(text)
    return folder


def build(folder: Path, strikes: list[list[object]], **environment: str) -> subprocess.CompletedProcess[str]:
    words = {"strikes": strikes, "command": ["build", "-C", str(folder), "-j2", PACKAGE]}
    return subprocess.run(
        [sys.executable, str(STRIKE), json.dumps(words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(STRIKE.parent)]), **environment},
        capture_output=True,
        text=True,
        check=False,
        process_group=0,
    )


def below(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (data, _) in below(folder).items()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    project = prepare(folder / "digits")
    done = build(project, [], TEST_CALLS=str(folder / "calls"))
    assert done.returncode == 0, done.stderr
    return Undisturbed(
        {**contents(project / "dist"), **contents(project / "reports")},
        contents(project / ".modelbuild/records"),
        int((folder / "calls").read_text()),
    )


def strike(folder: Path, undisturbed: Undisturbed, seed: int) -> int:
    """One build that is struck, and the next one; the exit code of the first."""
    generator = random.Random(seed)
    victim = generator.choice(["group", "group", "worker", "guard", "interrupt"])
    # most of the calls plan; most of the time goes by in the later ones, when actions run
    at = round(undisturbed.calls * (1 - generator.random() ** 2 / 2))
    project = prepare(folder / str(seed))
    if victim == "interrupt":
        strikes = [[at, "self", int(signal.SIGINT), 0], [at + 1, "self", int(signal.SIGINT), 0]]
    else:
        strikes = [[at, victim, int(signal.SIGKILL), seed]]
    struck = build(project, strikes)
    assert struck.returncode in (0, 1, 130, -signal.SIGKILL), struck.stderr
    assert "Traceback" not in struck.stderr
    if struck.returncode == 130:
        assert "interrupted: what was finished is kept" in struck.stderr
    records = project / ".modelbuild/records"
    before = below(records)
    done = build(project, [], TEST_CALLS=os.devnull)
    assert done.returncode == 0, done.stderr
    after = below(records)
    assert {name: after[name] for name in before} == before, "what was finished is not done again"
    assert {name: after[name][0] for name in undisturbed.records} == undisturbed.records
    assert {**contents(project / "dist"), **contents(project / "reports")} == undisturbed.products
    assert not list((project / ".modelbuild").rglob("*.bad"))
    return struck.returncode


def test_struck_once(tmp_path: Path, undisturbed: Undisturbed) -> None:
    assert strike(tmp_path, undisturbed, 1) != 0


@pytest.mark.long
def test_struck_200_times(tmp_path: Path, undisturbed: Undisturbed) -> None:
    for seed in range(100, 300):
        strike(tmp_path, undisturbed, seed)
        shutil.rmtree(tmp_path / str(seed))

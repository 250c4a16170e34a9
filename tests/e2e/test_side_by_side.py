"""Several commands at once in one checkout, as terminals, editors and git hooks start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import files_below, modelbuild
from tests.project.small_project import write_manifest, write_model, write_samples

pytestmark = pytest.mark.usefixtures("all_processors")
MANIFEST = """\
samples: {some: {files: "data/*.npy"}}
defaults: {calibration: some}
models: {a: {source: a.onnx}, b: {source: b.onnx}}
targets: {cam: {chip: kl720}}
packages:
  pa: {target: cam, models: {a: {id: 32768}}}
  pb: {target: cam, models: {b: {id: 32769}}}
"""
PATIENCE = 600


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "modelbuild", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.parametrize("builds", [2, pytest.param(10, marks=pytest.mark.long)])
def test_builds_at_once(tmp_path: Path, builds: int) -> None:
    for seed, name in enumerate("ab"):
        write_model(tmp_path / f"{name}.onnx", seed)
    write_samples(tmp_path / "data")
    write_manifest(tmp_path, MANIFEST)
    running = [start(tmp_path, "build", "--json", "-j", str(1 + index % 2)) for index in range(builds)]
    looks = [["status", "--json"], ["why", "a@cam:quantize", "--json"], ["build", "-n", "--json"]]
    looking = [start(tmp_path, *words) for words in looks * max(1, builds // 3)]
    ended = [(process, *process.communicate(timeout=PATIENCE)) for process in running + looking]
    for process, _, err in ended:
        assert "Traceback" not in err and "internal error" not in err, err
        # `status` tells by its exit code whether all is up to date
        assert process.returncode == 0 or (process in looking and process.returncode == 1 and not err), err
    reports = [json.loads(out) for process, out, _ in ended if process in running]
    assert all(report["ok"] for report in reports)
    total = sum(reports[0]["actions"].values())
    assert sum(report["actions"]["run"] for report in reports) == total > 10  # each action once
    packages = {json.dumps(report["packages"]) for report in reports}
    assert len(packages) == 1
    shipped = files_below(tmp_path / "dist")
    modelbuild(tmp_path, "clean")
    assert modelbuild(tmp_path, "build", "--json").json["actions"]["run"] == total
    assert files_below(tmp_path / "dist") == shipped


@pytest.mark.parametrize("times", [1, pytest.param(3, marks=pytest.mark.long)])
def test_cleaning_and_inspecting_beside_builds(tmp_path: Path, times: int) -> None:
    """Whatever is cleaned away is built again by the next; what is inspected is whole or not there."""
    write_model(tmp_path / "a.onnx", 0)
    write_samples(tmp_path / "data")
    write_manifest(
        tmp_path, MANIFEST.replace("b: {source: b.onnx}", "").replace(MANIFEST.splitlines()[-1], "")
    )
    first = modelbuild(tmp_path, "build", "--json")
    assert first.code == 0, first.err
    nef = first.json["packages"][0]["files"][-1]["path"]
    shipped = files_below(tmp_path / "dist")
    working = []
    for _ in range(times):
        working += [start(tmp_path, "clean"), start(tmp_path, "build", "-q")]
        working += [start(tmp_path, "inspect", nef, "--json")]
    for process in working:
        out, err = process.communicate(timeout=PATIENCE)
        assert "Traceback" not in err and "internal error" not in err, err
        if "inspect" in process.args and process.returncode:  # type: ignore[operator]
            assert "is not there" in err, (out, err)
        else:
            assert process.returncode == 0, err
    assert modelbuild(tmp_path, "build").code == 0
    assert files_below(tmp_path / "dist") == shipped

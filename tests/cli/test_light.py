"""A command that runs no stage starts fast: it imports no framework."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import REPOSITORY

PROGRAM = """
import json, sys
from modelbuild.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.mark.parametrize("words", [("build",), ("status",), ("why", "all-nef:gate"), ("config", "small@nef")])
def test_neither_onnx_nor_onnxruntime_is_imported(small: Path, words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words, "-C", str(small)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert not {"onnx", "onnxruntime"} & set(modules)


# What a build without work may not import, however it came about, and what must not happen in it
HEAVY = {"onnx", "onnxruntime", "numpy", "pydantic", "yaml", "jinja2", "rich", "importlib.metadata"}
SLOW = {"subprocess", "dataclasses", "pathlib", "json"}  # beside all of the rest
WATCHED = """
import sys
from modelbuild.cli.main import main
happened = []
def note(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.system",
                 "socket.__new__"):
        happened.append(event)
    elif event == "open" and "models.yaml" in str(arguments[0]):
        happened.append(f"read {arguments[0]}")
sys.addaudithook(note)
code = main(sys.argv[1:])
modules = sorted(sys.modules)
import json
print(json.dumps([code, happened, modules]))
"""


def watched(folder: Path, *words: str) -> tuple[list[str], set[str], str]:
    """What happened in a build that went well, the modules that it imported, and what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, "build", "-C", str(folder), *words],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *shown, last = done.stdout.splitlines()
    code, happened, modules = json.loads(last)
    assert code == 0, done.stderr
    return happened, set(modules), "\n".join(shown)


def test_a_build_without_work_imports_nothing_heavy_and_starts_no_process(copied: Path) -> None:
    happened, modules, _ = watched(copied)  # here nothing was built before: it loads the manifest
    assert "pydantic" in modules and any("models.yaml" in event for event in happened)
    for words in ((), ("-q",), ("--json",), ("-j", "1", "-k", "--offline")):
        happened, modules, shown = watched(copied, *words)
        assert happened == []
        slow = SLOW - ({"json"} if words == ("--json",) else set())
        assert not modules & (HEAVY | slow) and "modelbuild.manifest.load" not in modules
        assert ("nothing to do" in shown) is not bool({"-q", "--json"} & set(words))
        if words == ("--json",):
            found = json.loads(shown)
            assert found["ok"] and found["actions"]["cached"] and not found["actions"]["run"]


def test_a_build_of_one_change_does_not_load_the_manifest(copied: Path) -> None:
    watched(copied)
    sample = sorted((copied / "data").glob("*.npy"))[0]
    sample.write_bytes(sample.read_bytes()[:-1] + b"\x41")
    happened, modules, shown = watched(copied)
    assert " ran, " in shown and not any("models.yaml" in event for event in happened)
    assert not modules & (HEAVY - {"rich"})


# What predicting the speed of a model file may not import: all that is for manifests, samples, calibration
# and running
NOT_FOR_A_FILE = {
    "modelbuild.manifest",
    "modelbuild.samples",
    "modelbuild.stages.request",
    "modelbuild.stages.backends.npu",
    "modelbuild.quantize.quantize",
    "modelbuild.quantize.observe",
    "modelbuild.arithmetic.multiplier_shift",
    "modelbuild.toolchains",
    "modelbuild.report",
    "modelbuild.artifacts.runner",
    "modelbuild.npu.simulator",
    "modelbuild.project.project",
    "modelbuild.build.build",
    "modelbuild.build.store",
    "modelbuild.cli.progress",
    "modelbuild.graph.guard",
    "onnxruntime",
    "jinja2",
    "rich",
    "PIL",
    "jsonschema",
}


def test_evaluating_a_file_imports_nothing_of_manifests_and_samples(small: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALL_MODULES, "evaluate", "small.onnx", "--chip", "kl720", "-C", str(small)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *shown, last = done.stdout.splitlines()
    code, modules = json.loads(last)
    assert code == 0 and shown[0].startswith("small on kl720: ")
    assert not NOT_FOR_A_FILE & set(modules)


ALL_MODULES = """
import json, sys
from modelbuild.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]))
"""


def test_inspecting_a_package_imports_no_framework_of_models(small: Path) -> None:
    (package,) = sorted((small / "dist").glob("*/*.sim.nef"))[:1]
    done = subprocess.run(
        [sys.executable, "-c", ALL_MODULES, "inspect", str(package), "--json"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    frameworks = {"onnx", "onnxruntime", "google.protobuf", "ml_dtypes", "pydantic", "jinja2", "rich", "PIL"}
    assert not frameworks & set(modules) and "modelbuild.graph.passes" not in modules

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

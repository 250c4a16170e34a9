"""Scratch environments of the peers: found, or made with pip. They are no dependencies of the project."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

from bench.quantizers.tools import ENVIRONMENTS

_KNOWN = "import sys, importlib.metadata as m; [m.version(name) for name in sys.argv[1:]]"


def interpreter(scratch: Path, name: str) -> Path:
    """The Python of an environment, with its packages. Raises RuntimeError where pip cannot do that."""
    python = scratch / name / "bin/python"  # not resolved: the link is the environment
    packages = ENVIRONMENTS[name]
    if not python.exists():
        venv.create(scratch / name, with_pip=True)
    names = [package.partition("==")[0] for package in packages]
    if subprocess.run([str(python), "-c", _KNOWN, *names], capture_output=True, check=False).returncode:
        words = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["pip failed"]
            raise RuntimeError(f"not installed: {said[-1]}")
    return python

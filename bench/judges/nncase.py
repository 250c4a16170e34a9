"""The vendor's nncase 1.9: its compiler and its simulator, in a Python and a process of their own.

Whoever needs it first makes the environment, in the user's cache folder.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

VERSION = "1.9.0.20230322"
PYTHONS = ("3.10", "3.9", "3.8", "3.7")  # those that the release has packages for, newest first
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelbuild-judges"
DRIVER = Path(__file__).with_name("nncase_driver.py")
SECONDS = 120  # of one run; the judge hangs on some inputs
INSTALL_SECONDS = 600
TOLD = 2000  # characters of what the judge printed, in an error


class JudgeError(Exception):
    """The judge refused, crashed or did not end; `code` is its exit code (negative: the signal), None if it
    was stopped. The text has the end of what it printed."""

    def __init__(self, what: str, code: int | None, printed: str) -> None:
        super().__init__(f"{what}\n{printed}")
        self.code = code
        self.printed = printed


class Unavailable(Exception):
    """There is no judge on this machine; the text says why."""


@dataclass(frozen=True)
class Vendor:
    """What the vendor's compiler made, and the process's seconds: those that passed, and of processors."""

    kmodel: bytes
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Judged:
    """The outputs of each input set, and the seconds of the runs without loading."""

    outputs: list[list[np.ndarray]]
    seconds: float


def judge() -> Path:
    """The interpreter that has the judge. Raises Unavailable."""
    python, why = environment()
    if python is None:
        raise Unavailable(f"no nncase {VERSION}, the judge of kmodels: {why}")
    return python


def run_kmodel(data: bytes, inputs: Sequence[np.ndarray], *, seconds: float = SECONDS) -> list[np.ndarray]:
    """What the simulator makes of one input set. Errors: JudgeError, Unavailable."""
    return run_sets(data, [inputs], seconds=seconds).outputs[0]


def run_sets(data: bytes, sets: Sequence[Sequence[np.ndarray]], *, seconds: float = SECONDS) -> Judged:
    """What the simulator makes of input sets, one after the other. Errors: JudgeError, Unavailable."""
    with _room() as folder:
        (folder / "model").write_bytes(data)
        given = {
            f"{at} {index}": np.ascontiguousarray(array)
            for at, one in enumerate(sets)
            for index, array in enumerate(one)
        }
        np.savez(folder / "given.npz", allow_pickle=False, **given)
        _drive(folder, {"action": "run", "sets": len(sets)}, seconds)
        with np.load(folder / "found.npz") as found:
            outputs: list[list[np.ndarray]] = [[] for _ in sets]
            for name in found.files[1:]:
                outputs[int(name.partition(" ")[0])].append(found[name])
            return Judged(outputs, float(found["seconds"]))


def compile_onnx(
    path: Path,
    target: str,
    options: Mapping[str, object] | None = None,
    samples: Sequence[Sequence[np.ndarray]] = (),
    *,
    seconds: float = SECONDS,
) -> bytes:
    """The kmodel that nncase makes of an ONNX model. `options` are attributes of its CompileOptions and
    PTQTensorOptions; `samples` are sets of inputs as the compiled model takes them: without any, the result
    stays float. Errors: JudgeError, Unavailable."""
    return compile_timed(path, target, options, samples, seconds=seconds).kmodel


def compile_timed(
    path: Path,
    target: str,
    options: Mapping[str, object] | None = None,
    samples: Sequence[Sequence[np.ndarray]] = (),
    *,
    seconds: float = SECONDS,
) -> Vendor:
    """As `compile_onnx`, with the time of the whole process."""
    with _room() as folder:
        # Its importer takes no model whose tensors have no shapes.
        onnx.save(onnx.shape_inference.infer_shapes(onnx.load(path)), folder / "model")
        joined = b"".join(np.ascontiguousarray(array).tobytes() for sample in samples for array in sample)
        (folder / "samples").write_bytes(joined)
        request = {
            "action": "compile",
            "target": target,
            "options": dict(options or {}),
            "samples": len(samples),
        }
        took = _drive(folder, request, seconds)
        return Vendor((folder / "found").read_bytes(), *took)


@contextmanager
def _room() -> Iterator[Path]:
    """A folder for one run: the judge writes files into its working directory."""
    judge()
    with tempfile.TemporaryDirectory(prefix="nncase-") as name:
        yield Path(name)


def _drive(folder: Path, request: Mapping[str, object], seconds: float) -> tuple[float, float]:
    """Runs the driver: its seconds, and those of processors. What it prints goes to a file, as processes of
    the judge's own may hold pipes open."""
    (folder / "request.json").write_text(json.dumps(request), "utf-8")
    printed = folder / "printed"
    before, began = os.times(), time.monotonic()
    with printed.open("wb") as log:
        process = subprocess.Popen(
            [str(judge()), "-I", str(DRIVER)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code != 0:
        how = "did not end" if code is None else f"ended with {code}"
        text = printed.read_bytes().decode("utf-8", "replace")[-TOLD:]
        raise JudgeError(f"nncase {request['action']} {how}", code, text)
    after, took = os.times(), time.monotonic() - began
    return took, after.children_user + after.children_system - before.children_user - before.children_system


@functools.cache
def environment() -> tuple[Path | None, str]:
    """The interpreter, or why there is none. Processes side by side wait for the one that installs."""
    base, version = _old_python()
    if base is None:
        return None, f"no Python of {', '.join(PYTHONS)} with venv on PATH or of pyenv"
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return _installed(base, CACHE / f"nncase-{VERSION}-python{version}")
    except OSError as error:
        return None, f"its environment cannot be made: {error}"


def _installed(base: Path, folder: Path) -> tuple[Path | None, str]:
    """Makes the environment in `folder` unless it is there; `ready` is written last."""
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists() and python.exists():
        return python, ""
    shutil.rmtree(folder, ignore_errors=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    install += ["--retries", "1", "--only-binary", ":all:", f"nncase=={VERSION}", "numpy<2"]
    for words in ([str(base), "-m", "venv", str(folder)], install, [str(python), "-Ic", "import nncase"]):
        try:
            done = subprocess.run(words, capture_output=True, timeout=INSTALL_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return None, f"`{' '.join(words[1:4])}` did not end in {INSTALL_SECONDS} s"
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()[-TOLD:]
            return None, f"`{' '.join(words[1:4])}` ended with {done.returncode}: {said}"
    ready.write_text(f"{VERSION}\n", "utf-8")
    return python, ""


def _old_python() -> tuple[Path | None, str]:
    """The newest interpreter of those that can have the judge: of PATH, or a version of pyenv."""
    roots = [Path(os.environ["PYENV_ROOT"])] if os.environ.get("PYENV_ROOT") else []
    roots.append(Path.home() / ".pyenv")
    for version in PYTHONS:
        places = [Path(folder) / f"python{version}" for folder in os.get_exec_path()]
        for root in roots:
            places += sorted((root / "versions").glob(f"{version}.*/bin/python{version}"))
        for place in places:
            if _works(place, version):
                return place, version
    return None, ""


def _works(place: Path, version: str) -> bool:
    """Whether it is such a Python: pyenv's shims are on PATH for versions that are not switched on."""
    if not os.access(place, os.X_OK):
        return False
    words = [str(place), "-Ic", "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(words, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.decode("ascii", "replace").strip() == version

"""HDF5 files -> groups, texts and numbers. h5py reads them in a process of its own, under limits.

The C library below h5py loops or crashes on some damaged files; nothing within Python stops it. The process
writes a JSON header and, behind it, all numbers in float32; only then does the caller take anything.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import struct
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import ModelbuildError

LENGTH = struct.Struct("<Q")
# Of the clock. Where the system has limits, the process limits its own processor time; a minute was too
# little for a good file on a busy machine.
_SECONDS = 600 if importlib.util.find_spec("resource") else 10
_BYTES_A_SECOND = 2**20


@dataclass(frozen=True)
class Group:
    """A group: its text attributes, and what lies in it. `refused` tells why a member was not read."""

    texts: Mapping[str, str | list[str]] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def group(self, path: str) -> Group | None:
        """The group at `path`, whose names stand between slashes. Raises where a link stands for it."""
        place: Group | None = self
        for name in filter(None, path.split("/")):
            if place is None:
                break
            place._refuse(name)
            place = place.groups.get(name)
        return place

    def array(self, path: str) -> NDArray[np.float32]:
        """The numbers of the dataset at `path`. Raises where there are none."""
        folder, _, last = path.rpartition("/")
        place = self.group(folder)
        if place is not None:
            place._refuse(last)
        if place is None or last not in place.arrays:
            raise damaged(f"there are no numbers `{path}`")
        return place.arrays[last]

    def list_of(self, name: str) -> list[str] | None:
        """The list of texts `name`; h5py's users split long ones into `name0`, `name1` ..."""
        whole = self.texts.get(name)
        if whole is not None:
            return list(whole) if isinstance(whole, list) else [whole]
        found: list[str] = []
        index = 0
        while f"{name}{index}" in self.texts:
            part = self.texts[f"{name}{index}"]
            found += part if isinstance(part, list) else [part]
            index += 1
        return found if index else None

    def _refuse(self, name: str) -> None:
        if name in self.refused:
            raise ModelbuildError(
                f"`{name}` in the HDF5 file {self.refused[name]}", advice="save the model again"
            )


def damaged(what: str) -> ModelbuildError:
    """The error for a file that contradicts itself."""
    return ModelbuildError(
        f"the HDF5 file is truncated or damaged: {what}",
        advice="compare its size with the original's and copy it again",
    )


def read(path: Path, part: str = "", skip: str = "", seconds: float = _SECONDS) -> Group:
    """The file `path`, or the file `part` in the ZIP archive `path`, less the top group `skip`.

    Raises where h5py is not installed, or the file is damaged, unfolds to far more than its size, or takes
    the library longer (`seconds` of the clock, and one for each MiB) or more memory than such a file may.
    """
    if importlib.util.find_spec("h5py") is None:
        raise ModelbuildError(
            "reading Keras models needs the package h5py",
            why="it is an optional extra",
            advice="type `pip install 'modelbuild[keras]'`",
        )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "modelbuild.formats.hdf5_process", str(path), part, skip]
    patience = seconds + path.stat().st_size // _BYTES_A_SECOND
    try:
        ran = subprocess.run(command, capture_output=True, env=environment, check=False, timeout=patience)
    except subprocess.TimeoutExpired as error:
        raise damaged(f"the HDF5 library had not read it after {patience} s") from error
    if ran.returncode != 0 or len(ran.stdout) < LENGTH.size:
        raise damaged(f"the HDF5 library gave up on it (status {ran.returncode})")
    end = LENGTH.size + LENGTH.unpack_from(ran.stdout)[0]
    header = json.loads(ran.stdout[LENGTH.size : end])
    if "error" in header:
        raise ModelbuildError.from_json(header["error"])
    return _group(header, np.frombuffer(ran.stdout, "<f4", offset=end))


def _group(header: Mapping[str, Any], numbers: NDArray[np.float32]) -> Group:
    arrays = {
        name: numbers[start : start + math.prod(shape)].reshape(shape)
        for name, (start, shape) in header["arrays"].items()
    }
    groups = {name: _group(inner, numbers) for name, inner in header["groups"].items()}
    return Group(header["texts"], groups, arrays, header["refused"])

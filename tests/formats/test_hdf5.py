"""HDF5 files are read under limits, and where the system has none; paths of groups."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.formats import hdf5

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
HIDDEN = "raise ImportError('no module named resource')\n"
UNWILLING = """
RLIMIT_CPU, RLIMIT_CORE, RLIMIT_AS, RLIM_INFINITY = 0, 4, 9, -1

def getrlimit(kind):
    return (-1, -1)

def setrlimit(kind, limits):
    raise ValueError("current limit exceeds maximum limit")
"""


def saved(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        group = file.create_group("block/conv")
        group.attrs["weight_names"] = [b"block/conv/kernel:0"]
        group.create_dataset("block/conv/kernel:0", data=NUMBERS)
    return path


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> None:
    """Lets the process that reads find other modules of these names."""
    folder.mkdir()
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


def test_names_of_groups_may_hold_slashes(tmp_path: Path) -> None:
    file = hdf5.read(saved(tmp_path / "a.h5"))
    group = file.group("block/conv")
    assert group is not None
    assert group.list_of("weight_names") == ["block/conv/kernel:0"]
    np.testing.assert_array_equal(group.array("block/conv/kernel:0"), NUMBERS)
    assert file.group("block/none") is None
    assert file.group("none/conv") is None


@pytest.mark.parametrize("resource", [HIDDEN, UNWILLING], ids=["Windows", "macOS"])
def test_files_are_read_where_the_system_sets_no_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resource: str
) -> None:
    path = saved(tmp_path / "a.h5")
    stand_in(tmp_path / "modules", monkeypatch, resource=resource)
    group = hdf5.read(path).group("block/conv")
    assert group is not None
    np.testing.assert_array_equal(group.array("block/conv/kernel:0"), NUMBERS)


def test_a_library_that_never_ends_is_stopped_without_limits_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path / "a.h5")
    stand_in(tmp_path / "modules", monkeypatch, resource=HIDDEN, h5py="while True:\n    pass\n")
    with pytest.raises(ModelbuildError, match="truncated or damaged: the HDF5 library had not read it"):
        hdf5.read(path, seconds=0.5)


def test_the_reader_imports_without_the_module_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    for name in ("modelbuild.formats.hdf5", "modelbuild.formats.hdf5_process"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    from modelbuild.formats import hdf5_process

    assert callable(hdf5_process.main)

"""Same inputs, same bytes: whatever the folder, umask, locale, time zone, hash seed and -j."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import files_below
from tests.e2e.conftest import copy_short

pytestmark = pytest.mark.usefixtures("all_processors")
SURROUNDINGS = (
    {"umask": 0o022, "jobs": "1", "LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0", "HOME": "/nonexistent"},
    {
        "umask": 0o077,
        "jobs": "2",
        "LC_ALL": "C.UTF-8",
        "TZ": "Pacific/Auckland",
        "PYTHONHASHSEED": "12345",
        "OMP_NUM_THREADS": "2",
        "USER": "somebody",
        "SOURCE_DATE_EPOCH": "",
    },
)


def built_in(folder: Path, surroundings: dict[str, object]) -> dict[str, bytes]:
    """Everything that a build leaves in dist/ and reports/."""
    copy_short(folder)
    settings = {key: str(value) for key, value in surroundings.items() if key.isupper() and value != ""}
    environment = {**os.environ, **settings}
    subprocess.run(
        [sys.executable, "-m", "modelbuild", "build", "-q", "-j", str(surroundings["jobs"])],
        cwd=folder,
        env=environment,
        umask=int(str(surroundings["umask"])),
        check=True,
        timeout=300,
        capture_output=True,
    )
    return {**files_below(folder / "dist"), **files_below(folder / "reports")}


def test_packages_and_reports_are_the_same_bytes(tmp_path: Path) -> None:
    first = built_in(tmp_path / "one", dict(SURROUNDINGS[0]))
    second = built_in(tmp_path / "another, rather longer, folder" / "x", dict(SURROUNDINGS[1]))
    assert first.keys() == second.keys() and len(first) >= 14
    assert [name for name in first if first[name] != second[name]] == []
    for name, data in first.items():
        assert str(tmp_path).encode() not in data, f"{name} holds a path of this machine"

"""The processors that a process may use, not those that the machine has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from modelbuild.build.jobs import processors

pytestmark = pytest.mark.usefixtures("all_processors")

PINNED = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from modelbuild.build.jobs import processors
print(processors())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the platform has no affinity")
def test_affinity_counts() -> None:
    assert processors() == len(os.sched_getaffinity(0))
    done = subprocess.run([sys.executable, "-c", PINNED], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize(("count", "expected"), [(12, 12), (None, 1)])
def test_without_affinity_the_machine_counts(
    monkeypatch: pytest.MonkeyPatch, count: int | None, expected: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert processors() == expected

"""Ends all that lies below a process, and waits for nobody whom it may not end."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems hand no orphans over")

PREPARED = """
import os, subprocess, sys
from modelbuild.build import guard, processes
processes.adopt_orphans()
mine = subprocess.Popen(["sleep", "100000"]).pid
stranger = subprocess.Popen(["sh", "-c", "read line"], stdin=subprocess.PIPE).pid
subprocess.run(["sh", "-c", "setsid sleep 100000 &"])  # nobody's child by now but ours
kill = os.kill

def refuse(pid, number):
    if pid == stranger:  # as if it ran with the rights of another user
        raise PermissionError(1, "Operation not permitted")
    kill(pid, number)

os.kill = refuse
assert len(processes.children()) == 3
"""


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", PREPARED + code], check=True, timeout=300)


def test_a_child_with_the_rights_of_another_is_left_and_not_waited_for() -> None:
    run("processes.kill_children(); assert processes.children() == [stranger]")


def test_the_guard_survives_such_an_orphan() -> None:
    run("guard._reap(); os.waitpid(mine, 0); assert stranger in processes.children()")


def test_of_the_others_none_is_left() -> None:
    run("os.kill = kill; processes.kill_children(); assert not processes.children()")
    run("os.kill = kill; processes.kill_children(); assert not processes.has_children()")

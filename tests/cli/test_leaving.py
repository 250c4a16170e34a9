"""The program ends at once, and whole: what it said is out, and what others asked for at the end is done."""

from __future__ import annotations

import subprocess
import sys

import pytest

LEAVES = """
import sys
{before}
from modelbuild.cli.leaving import leave
class Freed:
    def __del__(self):
        print("taken apart", flush=True)
kept = Freed()
sys.stdout.write("said")
leave(3)
print(" and back")
"""


def run(before: str) -> tuple[int, str]:
    words = [sys.executable, "-c", LEAVES.format(before=before)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def test_nothing_is_taken_apart_and_what_was_said_is_out() -> None:
    assert run("") == (3, "said")


@pytest.mark.parametrize(
    "before",
    [
        "import atexit; atexit.register(print, 'asked for')",
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "sys.setprofile(lambda *_: None)",
        "sys.settrace(lambda *_: None)",
    ],
    ids=["at exit", "a thread", "a profiler", "a debugger"],
)
def test_it_comes_back_where_somebody_waits_for_the_interpreters_end(before: str) -> None:
    code, said = run(before)
    assert code == 0
    assert said.startswith("said and back\n")
    assert ("asked for" in said) == ("asked for" in before)


def test_a_stream_that_takes_no_more_is_told_of_as_ever() -> None:
    words = [sys.executable, "-c", LEAVES.format(before="sys.stdout = open('/dev/full', 'w')")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 120) and "No space left" in done.stderr

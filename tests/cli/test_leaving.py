"""The program ends at once, and whole: what it said is out, and what others asked for at the end is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


PROGRAM = """
import atexit, sys
sys.argv = ["modelbuild", "--version"]
{before}
from modelbuild.cli.main import main
code = main()
print("and back", code)
"""


@pytest.mark.parametrize(
    ("before", "comes_back"),
    [("", False), ("atexit.register(int)", True), ("del atexit._ncallbacks", True)],
    ids=["nothing", "at exit", "nobody knows"],
)
def test_the_program_leaves_so(before: str, comes_back: bool) -> None:
    words = [sys.executable, "-c", PROGRAM.format(before=before)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("modelbuild ")
    assert done.stdout.endswith("and back 0\n") == comes_back


def test_where_the_current_folder_is_gone_that_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = "import sys; from modelbuild.cli.main import main; sys.exit(main())"
    script = f'rmdir "$PWD" && exec "$0" -c "{program}" status'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 2) and done.stderr.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr


def test_a_stream_that_takes_no_more_is_told_of_as_ever() -> None:
    words = [sys.executable, "-c", LEAVES.format(before="sys.stdout = open('/dev/full', 'w')")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 120) and "No space left" in done.stderr


def test_a_caller_that_goes_on_is_left_with_nothing(tmp_path: Path) -> None:
    """What the program does not take apart would be a leak in one that builds again and again."""
    import weakref

    from modelbuild.cli import leaving
    from modelbuild.cli.main import main

    class Large:
        pass

    large = Large()
    gone = weakref.ref(large)
    leaving.keep(large)
    del large
    assert gone() is not None
    main(["--directory", str(tmp_path), "status"])
    assert gone() is None

"""Stage functions that start processes, or that end in ways which only real processes can."""

from __future__ import annotations

import importlib
import json
import mmap
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from stages_for_tests import join

from modelbuild.build import progress

Inputs = Mapping[str, Path]
Parameters = Mapping[str, Any]
SLEEP = ["sleep", "100000"]


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def breed(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Starts processes in every way there is, tells TEST_STARTED who they are, and never ends; without
    TEST_STARTED it joins."""
    started = os.environ.get("TEST_STARTED")
    if not started:
        join(inputs, parameters, out)
        return
    forked = os.fork()
    if not forked:
        os.setsid()
        while True:
            signal.pause()
    found = {
        "worker": os.getpid(),
        "supervisor": os.getppid(),
        "guard": parent_of(os.getppid()),
        "child": subprocess.Popen(SLEEP).pid,
        "session": subprocess.Popen(SLEEP, start_new_session=True).pid,
        "orphan": orphan(),
        "fork": forked,
    }
    Path(started).write_text(json.dumps(found))
    while True:
        signal.pause()


def orphan() -> int:
    """A process in a session of its own whose parent has ended."""
    command = f"setsid {' '.join(SLEEP)} >&2 & echo $!"
    return int(subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=True).stdout)


def abandon(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Ends while what it started still runs; `text` has the process ids."""
    (out / "text").write_text(f"{orphan()} {subprocess.Popen(SLEEP).pid}")


def alive(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Which of the processes whose ids are in the input are there."""
    found = [pid for pid in inputs["x"].read_text().split() if Path(f"/proc/{pid}").exists()]
    (out / "text").write_text(str(found))


def parallel(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Counts how many of these run at the same time: `text` says so."""
    folder = Path(parameters["folder"])
    mine = folder / str(os.getpid())
    mine.write_text(str(parameters.get("size", 1)))
    seen = sorted(path.name for path in folder.iterdir())
    (out / "text").write_text(str(len(seen)))
    mine.unlink()


def advance(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Tells of its progress, more often than anybody wants to hear."""
    for step in range(parameters["steps"] + 1):
        progress.report(step, parameters["steps"], "sample")
    join(inputs, parameters, out)


def babble(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Leaves a thread that never ends to tell of progress; `text` is the process."""
    began = threading.Event()

    def late() -> None:
        while True:
            progress.report(1, 1, "late")
            began.set()

    threading.Thread(target=late, daemon=True).start()
    began.wait()
    (out / "text").write_text(str(os.getpid()))


def whoami(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """`text` is the process."""
    (out / "text").write_text(str(os.getpid()))


def whence(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """`text` is the file of the module that the parameter names."""
    (out / "text").write_text(str(importlib.import_module(parameters["module"]).__file__))


def eat(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Takes so many bytes of memory, gives them back, and is killed if it shall be."""
    taken = b"x" * parameters["bytes"]
    (out / "text").write_text(str(len(taken)))
    if parameters.get("killed"):
        os.kill(os.getpid(), signal.SIGKILL)


def change_mapped(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Reads its input through a mapping while somebody writes to it, or cuts it short."""
    with inputs["x"].open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        if parameters["how"] == "cut":
            os.truncate(inputs["x"], 0)
        else:
            inputs["x"].write_bytes(b"y" * len(mapped))
        (out / "text").write_bytes(mapped[:])


def fill(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Writes half of its result, then meets a full disk as the parameter `how` says."""
    how = parameters["how"]
    (out / "text").write_text("half")
    if how == "nothing":
        return
    if how == "bus":
        os.kill(os.getpid(), signal.SIGBUS)
    if how == "print":
        while True:
            print("x" * 65536, flush=True)
    with suppress(OSError) if how != "stuff" else nullcontext(), (out / "big").open("wb", 0) as stream:
        while True:
            stream.write(b"x" * 4096)
    if how == "numpy":  # what ndarray.tofile says of a full disk has no errno
        raise OSError("1000 requested and 10 written")
    if how == "library":
        raise RuntimeError("could not save the model")


def close_all(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Closes every descriptor, as daemons do, and with it the pipe for the answer."""
    os.closerange(3, 256)


def doze(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """A stage that takes a moment."""
    time.sleep(parameters.get("seconds", 0))
    join(inputs, parameters, out)


def kill_guard(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Ends the process that starts the workers, and waits to be ended by that."""
    os.kill(parent_of(os.getppid()), signal.SIGKILL)
    while True:
        signal.pause()


_HOARD: list[bytes] = []


def hoard(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Keeps that many bytes for ever; `text` is the process that does."""
    _HOARD.append(b"x" * parameters["bytes"])
    (out / "text").write_text(str(os.getpid()))


def change_found(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Writes to a file that its discovery found."""
    inputs["discovered/other.txt"].write_text("two")
    join(inputs, parameters, out)


def scatter(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """As many outputs as the parameter `count` says, and one that repeats the parameter `text`."""
    for index in range(parameters["count"]):
        (out / f"output number {index}").write_text(str(index))
    (out / "text").write_text(parameters["text"])


def look_around(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """What was there before the action began."""
    found = [str(path) for folder in (out, Path.cwd()) for path in folder.rglob("*")]
    (out / "text").write_text(str(found))


def make_room(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Makes a folder and puts nothing into it; its one output lies beside that."""
    (out / "cache").mkdir()
    (out / "text").write_text("")


def drone(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Prints a lot."""
    for index in range(parameters["lines"]):
        print(f"line {index}")
    (out / "text").write_text("")


def exhaust(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Writes how many lines its parameter has, and takes them all out of it."""
    (out / "text").write_text(str(len(parameters["shared"]["lines"])))
    parameters["shared"]["lines"].clear()


def is_open(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Whether this process has the file of the device and number that are given."""
    found = []
    for path in Path("/dev/fd").iterdir():
        with suppress(OSError):
            seen = os.fstat(int(path.name))
            found.append([seen.st_dev, seen.st_ino])
    (out / "text").write_text(str(parameters["file"] in found))


def tell_who(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Says through the pipe `pipe` which process this is."""
    Path(parameters["pipe"]).write_text(str(os.getpid()))
    (out / "text").write_text("")


def outlive(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Waits until the process that says so through the pipe `pipe` has ended; `text` says whether it has."""
    other = int(Path(parameters["pipe"]).read_text())
    ended = True
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(other)
        ended = bool(select.select([descriptor], [], [], 60)[0])
        os.close(descriptor)
    (out / "text").write_text("ended" if ended else "still there")


def find_nothing(inputs: Inputs, parameters: Parameters) -> list[str]:
    """Leaves in the file `place` which process this is."""
    Path(parameters["place"]).write_text(str(os.getpid()))
    return []


def same(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Whether this is the process that left its number in the file `place`."""
    (out / "text").write_text(str(Path(parameters["place"]).read_text() == str(os.getpid())))

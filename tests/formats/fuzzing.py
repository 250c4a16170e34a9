"""A reader against many altered files, in a process of its own, each held to 2 s and 200 MB."""

from __future__ import annotations

import faulthandler
import gc
import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from modelbuild.errors import ModelbuildError
from tests.formats.mutations import WORDS, Mutation, mutate

SHORT, LONG = 100, 100_000
SECONDS, BYTES = 2.0, 200 << 20  # of the processor and of memory, for one input
AIMED = 0.5  # how many of the mutations are aimed at what the format counts and points with
_SEED = 20261121
_BESIDE = 64 << 20  # of addresses, for stacks and modules that are loaded late: they are not memory

Reader = Callable[[bytes], str | None]
Origin = tuple[tuple[str, int], ...]  # the innermost places in the code
Dress = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Case:
    """A file and what reads it. `aim` gives the aimed mutations of a file; `dress` repairs checksums in what
    was altered, or puts it where it belongs. `read` gives an outcome as text where it tells some apart."""

    read: Reader
    make: Callable[[], bytes]
    dress: Dress = bytes
    aim: Callable[[bytes], Mutation] = WORDS


@dataclass(frozen=True)
class Tally:
    """What came of a run: `outcomes` are the places in the code that refused an input, and those that `read`
    told apart; `seconds` the processor's for the slowest input, `peak` the bytes above those of before."""

    mutations: int
    aimed: int
    read: int
    outcomes: int
    seconds: float
    peak: int


def check(case: Case, count: int) -> Tally:
    """Read `count` mutations. Fails on any error but ours, with the number of the input (`altered` makes it
    again), and on what takes too much."""
    number = mmap.mmap(-1, 8)
    told = _in_a_child(lambda: json.dumps(asdict(_run(case, count, number))), number)
    return Tally(**json.loads(told))


def once(read: Callable[[bytes], str], data: bytes) -> str:
    """What `read` says of one input, within its bounds."""

    def work() -> str:
        before = _peak()
        _limit_addresses()
        told, taken = _timed(read, data)
        _assert_bounds(taken, _peak() - before)
        assert isinstance(told, str), told
        return told

    return _in_a_child(work, mmap.mmap(-1, 8))


_folders: list[Path] = []


def folder() -> Path:
    """Where what `read` gives a file may put it: a folder, for the time of a run."""
    return _folders[-1]


@contextmanager
def _folder() -> Iterator[None]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        _folders.append(Path(name))
        try:
            yield
        finally:
            _folders.pop()


def _in_a_child(work: Callable[[], str], number: mmap.mmap) -> str:
    """What `work` gives, in a process of its own whose peak of memory begins with it. Fails where that
    raises or does not end by itself."""
    read_end, write_end = os.pipe()
    with _folder():
        child = os.fork()
        if not child:
            os.close(read_end)
            _child(work, write_end)
        os.close(write_end)
        with os.fdopen(read_end, "rb") as stream:
            told = stream.read().decode(errors="replace")
        status = os.waitpid(child, 0)[1]
    if status == 0:
        return told
    (at,) = struct.unpack("<q", number[:8])
    ended = f", signal {status & 0x7F}" if status & 0x7F else ""
    raise AssertionError(f"input {at}{ended}\n{told}")


def altered(case: Case, number: int) -> bytes:
    """The input of that number."""
    data, dice = case.make(), random.Random(_SEED)
    aimed = case.aim(data)
    for _ in range(number + 1):
        changed = (aimed if dice.random() < AIMED else mutate)(data, dice)
    return case.dress(changed)


def _child(work: Callable[[], str], told: int) -> None:
    """Never returns: the outcome goes into the pipe `told`."""
    status = 1
    gc.freeze()  # else each collection goes through all that the tests have made so far, and copies its pages
    try:
        # Not a handler of Python's: where the time goes is told and the process ended even inside of C.
        faulthandler.enable(told)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        faulthandler.register(signal.SIGPROF, told, all_threads=False, chain=True)
        os.write(told, work().encode())
        status = 0
    except BaseException:
        os.write(told, traceback.format_exc().encode()[-6000:])
    finally:
        os._exit(status)


def _run(case: Case, count: int, number: mmap.mmap) -> Tally:
    data = case.make()
    case.read(case.dress(data))
    aimed_at, dice = case.aim(data), random.Random(_SEED)
    gc.collect()
    before, outcomes = _peak(), set[object]()
    _limit_addresses()
    read = aimed = 0
    slowest = 0.0
    for index in range(count):
        struct.pack_into("<q", number, 0, index)
        is_aimed = dice.random() < AIMED
        aimed += is_aimed
        changed = case.dress((aimed_at if is_aimed else mutate)(data, dice))
        outcome, taken = _timed(case.read, changed)
        read += not isinstance(outcome, tuple)
        outcomes.add(outcome)
        slowest = max(slowest, taken)
        _assert_bounds(taken, _peak() - before)
    return Tally(count, aimed, read, len(outcomes), round(slowest, 4), _peak() - before)


def _timed(read: Reader, data: bytes) -> tuple[str | Origin | None, float]:
    """What `read` says, or where the documented error comes from; and the seconds of the processor."""
    told: str | Origin | None
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    start = time.process_time()
    try:
        told = read(data)
    except ModelbuildError as error:
        assert error.exit_code == 2
        told = _origin(error)
    taken = time.process_time() - start
    signal.setitimer(signal.ITIMER_PROF, 0)
    return told, taken


def _limit_addresses() -> None:
    limit = _addresses() + BYTES + _BESIDE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _assert_bounds(seconds: float, size: int) -> None:
    assert seconds < SECONDS and size < BYTES, f"{seconds} s, {size} bytes"


def _origin(error: BaseException) -> Origin:
    """Where an error was raised first, and the two calls that led there."""
    while isinstance(error.__context__, ModelbuildError):  # it was given a place, and raised again
        error = error.__context__
    place, found = error.__traceback__, list[tuple[str, int]]()
    while place is not None:
        found.append((place.tb_frame.f_code.co_filename, place.tb_lineno))
        place = place.tb_next
    return tuple(found[-3:])


def _peak() -> int:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes << 10


def _addresses() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def truncated(case: Case, pieces: int = 300) -> None:
    """Read the file cut off at so many places."""
    data = case.make()
    with _folder():
        for size in range(0, len(data), max(1, len(data) // pieces)):
            try:
                case.read(data[:size])
            except ModelbuildError as error:
                assert error.exit_code == 2


def rows(cases: Mapping[str, Case], count: int) -> None:
    """Run the cases and print a row of the table of docs/altered-files.md for each as it ends."""
    for name, case in cases.items():
        start = time.monotonic()
        try:
            found = check(case, count)
        except AssertionError as error:
            print(f"FAILED {name}: {error}", flush=True)
            continue
        print(
            f"| {name} | {found.mutations:,} | {100 * found.aimed / found.mutations:.0f} % | "
            f"{100 * found.read / found.mutations:.0f} % | {found.outcomes} | {found.seconds:.3f} | "
            f"{found.peak / (1 << 20):.0f} |  <!-- {time.monotonic() - start:.0f} s -->",
            flush=True,
        )

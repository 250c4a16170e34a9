"""Damaged model files: every one must load or be refused with a clean error, within 10 s and 1 GB.

For a test of any format:

    samples = [Sample("lenet", {"m.prototxt": text, "m.caffemodel": blob}, {"weights": "m.caffemodel"})]
    assert mutations.faults(samples, range(60), tmp_path) == []

The first file of a sample is the model; the others lie beside it. Each seed damages one file of one sample;
`written(samples, seed, folder)` writes that damage again. The loading happens in a process of its own that
forks for each seed, so that neither a crash nor a limit reaches the tests.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

SECONDS = 10  # of the processor, so that a busy machine fails nothing
BYTES = 2**30
_REPOSITORY = Path(__file__).resolve().parents[2]
_WALL_SECONDS = 120  # for one that sleeps
REFUSED, LOADED, BUG = 0, 10, 11
_NUMBERS = (0, 1, 127, 128, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True)
class Sample:
    """A healthy model: its files, the model first, and how `importers.load` is called on it.

    `arguments` may hold `weights` (the name of a file) and `input_shapes`.
    """

    name: str
    files: Mapping[str, bytes]
    arguments: Mapping[str, Any] = field(default_factory=dict)


def faults(samples: Sequence[Sample], seeds: Iterable[int], folder: Path) -> list[str]:
    """What went wrong, a sentence for each seed: a traceback, a crash, or a limit that was reached.

    Also says so where none of 50 damaged files is refused: such damage tests nothing.
    """
    homes = [folder / f"sample_{index}" for index in range(len(samples))]
    for home, sample in zip(homes, samples, strict=True):
        home.mkdir(parents=True)
        for name, data in sample.files.items():
            (home / name).write_bytes(data)
    rows = [
        [sample.name, str(home), list(sample.files), dict(sample.arguments)]
        for home, sample in zip(homes, samples, strict=True)
    ]
    job = {"samples": rows, "seeds": list(seeds), "scratch": str(folder / "damaged")}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.importers.mutations"]
    ran = subprocess.run(
        command, input=json.dumps(job), capture_output=True, text=True, cwd=_REPOSITORY, env=environment
    )
    if ran.returncode:
        return [f"the process that loads ended with {ran.returncode}: {ran.stderr[-2000:]}"]
    answer = json.loads(ran.stdout)
    found: list[str] = answer["faults"]
    if len(job["seeds"]) >= 50 and not answer["refused"]:
        found.append("no damaged file was refused")
    return found


def written(samples: Sequence[Sample], seed: int, home: Path) -> Sample:
    """Writes the files of one sample into the folder `home`, one of them damaged; which sample it is."""
    dice = Random(seed)
    sample = dice.choice(samples)
    home.mkdir(parents=True, exist_ok=True)
    victim = dice.choice(list(sample.files))
    for name, data in sample.files.items():
        (home / name).write_bytes(damaged(data, dice) if name == victim else data)
    return sample


def damaged(data: bytes, dice: Random) -> bytes:
    """`data` with one to three faults, of those that disks, networks and editors make, and of malice."""
    text = b"\0" not in data[:4096]
    result = bytearray(data)
    for _ in range(dice.randint(1, 3)):
        if result:
            dice.choice(_TEXT if text and dice.random() < 0.7 else _FAULTS)(result, dice)
    return bytes(result)


def _place(data: bytearray, dice: Random) -> int:
    """Anywhere, but half of the time where the structure is likely to be and not the weights."""
    edge = min(len(data), 2048)
    match dice.randrange(4):
        case 0:
            return dice.randrange(edge)
        case 1:
            return len(data) - 1 - dice.randrange(edge)
        case _:
            return dice.randrange(len(data))


def _flip(data: bytearray, dice: Random) -> None:
    data[_place(data, dice)] ^= 1 << dice.randrange(8)


def _set(data: bytearray, dice: Random) -> None:
    data[_place(data, dice)] = dice.choice([0, 1, 127, 128, 255])


def _number(data: bytearray, dice: Random) -> None:
    """A little-endian number of 16, 32 or 64 bits: offsets, lengths and dimensions are such."""
    kind = dice.choice(["<H", "<I", "<Q"])
    size = struct.calcsize(kind)
    place = _place(data, dice) // size * size
    value = dice.choice(_NUMBERS) & (256**size - 1)
    data[place : place + size] = struct.pack(kind, value)


def _varint(data: bytearray, dice: Random) -> None:
    """A large number as protobuf writes it."""
    place = _place(data, dice)
    data[place : place + 1] = b"\xff" * dice.randint(1, 8) + b"\x7f"


def _insert(data: bytearray, dice: Random) -> None:
    place = _place(data, dice)
    data[place:place] = dice.randbytes(dice.randint(1, 16))


def _delete(data: bytearray, dice: Random) -> None:
    place = _place(data, dice)
    del data[place : place + dice.choice([1, 4, 16, 512])]


def _zeros(data: bytearray, dice: Random) -> None:
    place = _place(data, dice)
    length = min(dice.choice([4, 64, 4096]), len(data) - place)
    data[place : place + length] = bytes(length)


def _move(data: bytearray, dice: Random) -> None:
    source, place, length = _place(data, dice), _place(data, dice), dice.choice([4, 8, 64])
    data[place : place + length] = data[source : source + length]


def _truncate(data: bytearray, dice: Random) -> None:
    del data[_place(data, dice) :]


def _digits(data: bytearray, dice: Random) -> None:
    """Another number in a text."""
    places = [index for index, value in enumerate(data) if 48 <= value <= 57]
    if places:
        place = dice.choice(places)
        numbers = [b"0", b"-1", b"999999999", b"99999999999999999999", b"1e999", b"nan", b"0.5"]
        data[place : place + 1] = dice.choice(numbers)


def _line(data: bytearray, dice: Random) -> None:
    """A line of a text dropped, doubled or moved."""
    lines = bytes(data).split(b"\n")
    index, target = dice.randrange(len(lines)), dice.randrange(len(lines))
    line = lines[index] if dice.random() < 0.5 else lines.pop(index)
    if dice.random() < 0.6:
        lines.insert(target, line)
    data[:] = b"\n".join(lines)


def _symbol(data: bytearray, dice: Random) -> None:
    place = _place(data, dice)
    symbols = [b"{", b"}", b"{" * 5000, b'"', b"[", b":", b"#", b"\\", b"\xff", b"\0"]
    data[place : place + 1] = dice.choice(symbols)


_Fault = Callable[[bytearray, Random], None]
_FAULTS: tuple[_Fault, ...] = (
    _flip, _flip, _set, _set, _number, _number, _varint, _insert, _delete, _zeros, _move, _truncate,
)  # fmt: skip
_TEXT: tuple[_Fault, ...] = (_digits, _digits, _line, _symbol, _flip, _delete, _truncate)


def _load(path: Path, arguments: Mapping[str, Any]) -> int:
    from modelbuild import importers
    from modelbuild.errors import EXIT_FAILED, ModelbuildError
    from modelbuild.graph.normalise import normalise

    more = dict(arguments)
    shapes = {name: tuple(shape) for name, shape in more.pop("input_shapes", {}).items()}
    if "weights" in more:
        more["weights"] = path.parent / more["weights"]
    try:
        importers.discover(path)
        graph = importers.load(path, shapes, (), **more)
    except ModelbuildError as error:
        if error.exit_code == EXIT_FAILED or "Traceback" in str(error):
            raise
        return REFUSED
    try:
        normalise(graph)
    except ModelbuildError:
        return REFUSED
    return LOADED


def fate(load: Callable[[], int], seconds: int = SECONDS) -> tuple[int, str]:
    """Calls `load` in a fork, under the limits: (its result, or 11; what happened where it is 11)."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        os._exit(_limited(load, seconds, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        trace = stream.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        return os.WEXITSTATUS(status), trace
    ended = signal.Signals(os.WTERMSIG(status))
    return BUG, f"took more than {seconds} s" if ended == signal.SIGXCPU else f"ended by {ended.name}"


def _limited(load: Callable[[], int], seconds: int, report: int) -> int:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(_WALL_SECONDS)
    try:
        return load()
    except BaseException:  # whatever it is, it would reach the user
        os.write(report, traceback.format_exc()[-3000:].encode())
        return BUG


def main() -> None:
    """Reads what `faults` wrote from stdin, writes what happened to stdout as JSON."""
    import modelbuild.graph.normalise  # noqa: F401  (once, before the forks)

    job = json.load(sys.stdin)
    samples = [
        Sample(name, {file: (Path(home) / file).read_bytes() for file in files}, arguments)
        for name, home, files, arguments in job["samples"]
    ]
    for sample in samples:
        _load(Path("/nonexistent", next(iter(sample.files))), {})
    answer: dict[str, Any] = {"loaded": 0, "refused": 0, "faults": []}
    for seed in job["seeds"]:
        sample = written(samples, seed, Path(job["scratch"]))
        path = Path(job["scratch"], next(iter(sample.files)))
        code, what = fate(partial(_load, path, sample.arguments))
        if code in (REFUSED, LOADED):
            answer["refused" if code == REFUSED else "loaded"] += 1
        else:
            answer["faults"].append(f"seed {seed} ({sample.name}): {what or f'ended with {code}'}")
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

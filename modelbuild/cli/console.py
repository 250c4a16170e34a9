"""What people see: the result on standard output, all else on standard error."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from modelbuild.build import interrupts
from modelbuild.errors import EXIT_FAILED, ModelbuildError

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_LONGEST = 80  # characters of a name in a text
_LONG_NAME = re.compile(rf"`([^`]{{{_LONGEST + 1},}})`")
_WORDS = 1 << 14  # of a JSON text that are put at once
CODES = {"red": "31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}


class _Style:
    json = False
    quiet = False
    verbose = False
    color = "auto"


_style = _Style()


def configure(*, json: bool, quiet: bool, verbose: bool, color: str) -> None:
    """Set once, from the command line."""
    _style.json, _style.quiet, _style.verbose, _style.color = json, quiet, verbose, color


def is_quiet() -> bool:
    """Whether -q was given: nothing is said but what went wrong, and the text that a verb is asked for."""
    return _style.quiet


def is_verbose() -> bool:
    """Whether -v was given."""
    return _style.verbose


def is_terminal(stream: Any) -> bool:
    """Whether people look at the stream on something that can move a cursor; not so in CI."""
    on_screen = stream.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}
    return on_screen and os.environ.get("CI", "").lower() in {"", "0", "false"}


def shows_colour(stream: Any) -> bool:
    """--color decides; else NO_COLOR, then FORCE_COLOR, if they are set to something; else the stream."""
    wanted = {"always": True, "never": False}.get(_style.color)
    if wanted is not None:
        return wanted
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return os.environ["FORCE_COLOR"] != "0"
    return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: Any = None) -> str:
    """The text in a colour, where the stream (standard error unless told) shows colours."""
    wanted = shows_colour(sys.stderr if stream is None else stream)
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if wanted else text


def report(error: ModelbuildError) -> None:
    """Every problem of an error, on standard error."""
    from modelbuild.project.nearby import told

    for problem in error.problems:
        say(f"{paint('error:', 'red')} {told(problem)}")


def say(text: str) -> None:
    """A message that is always shown, on standard error."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError as error:
        raise untold(error) from None


def untold(error: OSError) -> BaseException:
    """What it means that standard error took no more: a terminal that has gone, or else the error itself."""
    return interrupts.hung_up() if error.errno == errno.EIO else error


def progress(text: str) -> None:
    """What is being done; not with -q."""
    if not _style.quiet:
        say(text)


def detail(text: str) -> None:
    """Shown with -v only."""
    if _style.verbose:
        say(text)


def result(text: str, data: Any) -> None:
    """The verb's result, with -q too: the JSON object with --json, else the text."""
    if _style.json:
        put(json_pieces(data))
    elif text:
        put(text + "\n")


def json_text(data: Any) -> str:
    """The JSON object as it is printed."""
    return "".join(json_pieces(data))


def json_pieces(data: Any) -> Iterator[str]:
    """The same in pieces: the text of a large object takes more room than the object."""
    import json
    from itertools import islice

    encoder = json.JSONEncoder(indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    words = encoder.iterencode(data)
    piece = _escaped(islice(words, _WORDS))
    while following := _escaped(islice(words, _WORDS)):
        yield piece
        piece = following
    yield piece + "\n"


def _escaped(words: Iterable[str]) -> str:
    """JSON without lone surrogates, which stand for bytes of a file's name that are no UTF-8: JSON has an
    escape for them, and what standard output would write in their place is none."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", "".join(words))


def put(text: str | Iterable[str]) -> None:
    """Text, or its pieces, on standard output, at once. Raises BrokenPipeError where its reader has gone, and
    ModelbuildError (exit 1) where it takes no more; what is put after that goes nowhere."""
    try:
        for piece in (text,) if isinstance(text, str) else text:
            print(piece, end="", flush=True)
    except BrokenPipeError:
        discard(sys.stdout)
        raise
    except OSError as error:
        discard(sys.stdout)
        raise ModelbuildError(
            "the result could not be written",
            where="standard output",
            why=error.strerror or str(error),
            advice="make room on that disk, or send standard output elsewhere",
            exit_code=EXIT_FAILED,
        ) from None


def discard(stream: Any) -> None:
    """Sends to nowhere what the stream still holds and what is to come: Python would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def summary(text: str, data: Any) -> None:
    """As `result`, for verbs whose result is that they did it: nothing to read with -q."""
    result("" if _style.quiet else text, data)


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = (), widest: int | None = None
) -> str:
    """Columns that line up; those in `right` are set right. A cell beyond `widest` columns stands out of its
    own line and moves no other."""
    cells = [[width(str(row[index])) for row in (header, *rows)] for index in range(len(header))]
    widths = [max(room for room in column if widest is None or room <= widest) for column in cells]

    def line(row: Sequence[str]) -> str:
        cells = (
            " " * (room - width(cell)) + cell if index in right else cell + " " * (room - width(cell))
            for index, (cell, room) in enumerate(zip(map(str, row), widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(header), *map(line, rows)])


def short(name: str) -> str:
    """A name of hundreds of characters, as Keras and TFLite join them, without its middle; JSON has all."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST // 2]}…{name[-(_LONGEST // 2 - 1) :]}"


def short_names(text: str) -> str:
    """A sentence with the names in it that are too long without their middle."""
    return _LONG_NAME.sub(lambda found: f"`{short(found[1])}`", text)


def columns() -> int | None:
    """How wide the terminal is on which standard output is seen; None where it is none, or does not say."""
    if sys.stdout is None or not sys.stdout.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except OSError:
        return None


def width(text: str) -> int:
    """The columns that a text takes on a terminal: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def size(count: int) -> str:
    """Bytes as people read them: `512 B`, `9.8 KiB`, `14.0 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def duration(seconds: float) -> str:
    """Seconds as people read them: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 04 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def finding_text(finding: dict[str, Any]) -> str:
    """A finding on one line, its advice on the next."""
    place = finding.get("where") or finding["file"]
    if finding["file"] and finding["line"] is not None:
        place = f"{finding['file']}:{finding['line']}:{finding['column']}"
    head = f"{place}: " if place else ""
    about = f"{finding['model']}@{finding['target']}: " if finding.get("target") else ""
    colour = {"error": "red", "warning": "yellow"}.get(finding["severity"], "dim")
    severity = paint(finding["severity"], colour, sys.stdout)
    text = f"{head}{severity} {finding['code']}: {about}{finding['message']}"
    return text + (f"\n  do:  {finding['advice']}" if finding["advice"] else "")

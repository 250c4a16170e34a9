"""`*_mla_stats.yaml` of an MPK: from which cycle to which each layer keeps the accelerator busy; and how many
of these cycles it waits for memory, which the vendor's leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from modelbuild.errors import ModelbuildError
from modelbuild.formats import yaml_text

MAX_BYTES = 2 << 20
MAX_EVENTS = 400_000  # of YAML
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Words without a slash may be YAML for something else ("on", "True", "1e3").
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*/[A-Za-z0-9_./-]+")
_KEYS = ("name", "start_cycle", "end_cycle")


@dataclass(frozen=True)
class Span:
    """A layer's cycles, both ends included; `stall_cycles` of them without work, None where not told."""

    name: str
    start_cycle: int
    end_cycle: int
    stall_cycles: int | None = None

    @property
    def cycles(self) -> int:
        """How many cycles the layer takes."""
        return self.end_cycle - self.start_cycle + 1


@dataclass(frozen=True)
class Summary:
    """All layers together. `cycles` is one after the last end, `busy` the sum of what each takes. A gap is
    (name of the layer after it, cycles in which no layer runs), an overlap (name of a layer, cycles that it
    shares with those before it). `backwards` are the layers that end before they start."""

    cycles: int
    busy: int
    gaps: tuple[tuple[str, int], ...]
    overlaps: tuple[tuple[str, int], ...]
    backwards: tuple[str, ...]


def summarize(found: Sequence[Span]) -> Summary:
    """What the layers come to, in the order of their starts."""
    right = [span for span in found if span.cycles > 0]
    gaps: list[tuple[str, int]] = []
    overlaps: list[tuple[str, int]] = []
    end = 0  # one after the last cycle so far
    for span in sorted(right, key=lambda span: (span.start_cycle, span.end_cycle)):
        if span.start_cycle > end:
            gaps.append((span.name, span.start_cycle - end))
        elif span.start_cycle < end:
            overlaps.append((span.name, min(end, span.end_cycle + 1) - span.start_cycle))
        end = max(end, span.end_cycle + 1)
    backwards = tuple(span.name for span in found if span.cycles <= 0)
    return Summary(end, sum(span.cycles for span in right), tuple(gaps), tuple(overlaps), backwards)


def spans(layers: Sequence[tuple[str, int]]) -> tuple[Span, ...]:
    """Layers and their cycles, one after the other from cycle 0. A layer of no cycles has no span."""
    found: list[Span] = []
    start = 0
    for name, cycles in layers:
        if cycles > 0:
            found.append(Span(name, start, start + cycles - 1))
            start += cycles
    return tuple(found)


def dump(found: Sequence[Span]) -> bytes:
    """The YAML document."""
    lines = []
    for index, span in enumerate(found):
        lines += [
            f"{index}:",
            f"  name: {_scalar(span.name)}",
            f"  start_cycle: {span.start_cycle}",
            f"  end_cycle: {span.end_cycle}",
        ]
        lines += [] if span.stall_cycles is None else [f"  stall_cycles: {span.stall_cycles}"]
    return ("\n".join(lines) + "\n" if lines else "{}\n").encode()


def load(data: bytes, name: str) -> tuple[Span, ...]:
    """Parse a document: a mapping from integers to mappings of scalars, in document order.

    Errors: ModelbuildError naming `name` for anything else, for keys that come twice, for aliases, for what
    follows the document, and for more than 2 MiB.
    """
    if len(data) > MAX_BYTES:
        raise _bad(name, f"it has {len(data)} bytes, more than {MAX_BYTES}")
    try:
        events = yaml.parse(data.decode("utf-8"), Loader=_LOADER)
        return tuple(_entries(_counted(events, name), name))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _bad(name, yaml_text.reason(error)) from None


def _counted(events: Iterator[yaml.Event], name: str) -> Iterator[yaml.Event]:
    for number, event in enumerate(events):
        if number == MAX_EVENTS:
            raise _bad(name, f"it has more than {MAX_EVENTS} events")
        yield event


def _entries(events: Iterator[yaml.Event], name: str) -> Iterator[Span]:
    expected = (yaml.StreamStartEvent, yaml.DocumentStartEvent, yaml.MappingStartEvent)
    for kind in expected:
        if not isinstance(next(events, None), kind):
            raise _bad(name, "it is not one mapping")
    seen: set[int] = set()
    for event in events:
        if isinstance(event, yaml.MappingEndEvent):
            if any(not isinstance(rest, yaml.DocumentEndEvent | yaml.StreamEndEvent) for rest in events):
                raise _bad(name, "something follows its mapping")
            return
        number = _integer(event, name)
        if number in seen:
            raise _bad(name, f"the key {number} comes twice")
        seen.add(number)
        if not isinstance(next(events, None), yaml.MappingStartEvent):
            raise _bad(name, "an entry is not a mapping")
        yield _span(events, name)


def _span(events: Iterator[yaml.Event], name: str) -> Span:
    found: dict[str, str] = {}
    for key in events:
        if isinstance(key, yaml.MappingEndEvent):
            break
        value = next(events, None)
        if not isinstance(key, yaml.ScalarEvent) or not isinstance(value, yaml.ScalarEvent):
            raise _bad(name, "an entry holds something other than plain values")
        if key.value in found:
            raise _bad(name, f"an entry has the key {key.value[:40]!r} twice")
        found[key.value] = value.value
    missing = [key for key in _KEYS if key not in found]
    if missing:
        raise _bad(name, f"an entry has no {' or '.join(missing)}")
    start, end = _number(found["start_cycle"], name), _number(found["end_cycle"], name)
    stalls = _number(found["stall_cycles"], name) if "stall_cycles" in found else None
    return Span(found["name"], start, end, stalls)


def _integer(event: yaml.Event, name: str) -> int:
    if not isinstance(event, yaml.ScalarEvent):
        raise _bad(name, "its keys are not integers")
    return _number(event.value, name)


def _number(text: str, name: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise _bad(name, f"{text[:40]!r} is not an integer")
    return int(text)


def _scalar(text: str) -> str:
    """A YAML scalar in ASCII, quoted where it has to be."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = (char if " " <= char <= "~" and char not in '"\\' else f"\\U{ord(char):08x}" for char in text)
    return f'"{"".join(escaped)}"'


def _bad(name: str, why: str) -> ModelbuildError:
    return ModelbuildError(f"{name} is not a table of layers and cycles", where=name, why=why)

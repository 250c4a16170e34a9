"""Layers of versions 3 and 4: what a body holds, as data, and the reader that follows it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from modelbuild.formats.checks import Check, unless
from modelbuild.formats.flatbuffer import damaged
from modelbuild.formats.kmodel import convolutions, kpu_registers, kpu_tables
from modelbuild.formats.kmodel.model import WITHIN_LIMITS, Convolution, Layer, Span
from modelbuild.formats.kmodel.records import NAME, Record, Values
from modelbuild.formats.parts import Part

_MAX_SHOWN = 64  # entries of a list that a layer shows; the rest stays in the file


@dataclass(frozen=True)
class Tail:
    """What follows the fields of a body: `count` entries of `size` bytes, of a `record` if they are shown."""

    name: str
    count: Callable[[Mapping[str, int]], int]
    size: int
    record: Record | None = None


@dataclass(frozen=True)
class LayerKind:
    """A kind of layer. `record` is None where nobody says what its body holds."""

    name: str
    record: Record | None = None
    tails: tuple[Tail, ...] = ()
    convolution: Callable[[bytes, int, Values], tuple[int, Convolution]] | None = None


def read(
    data: bytes, body: Span, code: int, kind: LayerKind | None, label: str, budget: convolutions.Budget
) -> tuple[Layer, list[Part]]:
    """The layer in `body`, and the parts that are known of it. Errors: ModelbuildError with the offset."""
    name = kind.name if kind else f"unknown ({code})"
    if kind is None or kind.record is None:
        return Layer(name, code, body.offset, body.size, {}, {}), [
            Part(body.offset, body.size, f"{label}: body of a kind that nobody documents", known=False)
        ]
    values = kind.record.read(data, body.offset, body.end)
    shown = kind.record.shown(values)
    place = body.offset + kind.record.size
    parts = [Part(body.offset, kind.record.size, f"{label}: fields")]
    for tail in kind.tails:
        span = _tail(tail, values, place, body)
        place = span.end
        parts.append(Part(span.offset, span.size, f"{label}: {tail.name.replace('_', ' ')}"))
        shown[tail.name] = _shown(data, tail, span)
    convolution = None
    if kind.convolution:
        registers, convolution = kind.convolution(data, body.offset, values)
        budget.spend(convolution)
        parts += convolutions.parts(convolution, registers, label)
    return Layer(name, code, body.offset, body.size, values, shown, convolution), parts


def _tail(tail: Tail, values: Values, place: int, body: Span) -> Span:
    numbers: dict[str, int] = {}
    for name, value in values.items():
        if isinstance(value, int):
            numbers[name] = value
        elif isinstance(value, list):
            numbers |= {f"{name}{index}": item for index, item in enumerate(value)}
    try:
        count = body.end - place if tail.size == 0 else tail.count(numbers)
    except ZeroDivisionError:
        count = -1
    size = count * (tail.size or 1)
    if count < 0 or place + size > body.end:
        raise damaged(f"{count} {tail.name} do not fit into a body that ends at {body.end}", NAME, place)
    return Span(place, size)


def _shown(data: bytes, tail: Tail, span: Span) -> object:
    if tail.record is None:
        return {"offset": span.offset, "size": span.size}
    step = tail.record.size
    places = range(span.offset, span.end, step)[:_MAX_SHOWN]
    return [tail.record.shown(tail.record.read(data, place)) for place in places]


def everything_else(_: Mapping[str, int]) -> int:
    """The count of a tail of size 0: it takes what is left of the body."""
    return 0


def product(text: str) -> Callable[[Mapping[str, int]], int]:
    """The product of fields, and of one divisor: "a b / c"."""
    above, _, below = text.partition("/")
    names, divisors = above.split(), below.split()

    def count(values: Mapping[str, int]) -> int:
        found = 1
        for name in names:
            found *= values[name]
        for name in divisors:
            found //= values[name]
        return found

    return count


def tail(name: str, count: str, layout: str, record: Record | None = None) -> Tail:
    """Entries of a `struct` layout or record; an empty layout takes what is left of the body."""
    if not layout and record is None:
        return Tail(name, everything_else, 0)
    return Tail(name, product(count), record.size if record else struct.calcsize(f"<{layout}"), record)


def problems(layer: Layer, data: bytes) -> list[str]:
    """What the KPU cannot do of a layer of 8 bits; of 16 bits little is known, and nothing is checked."""
    convolution = layer.convolution
    if convolution is None or not convolution.eight_bit:
        return []
    table = kpu_tables.activation(data, convolution.activation)
    return kpu_registers.problems(convolution.registers) + kpu_tables.activation_problems(table)


def kpu_check(layers: Iterable[Layer], data: bytes) -> Check:
    """That the KPU can run all layers that are for it."""
    for index, layer in enumerate(layers):
        found = problems(layer, data)
        if found:
            return unless(WITHIN_LIMITS, f"layer {index}: {found[0]}")
    return unless(WITHIN_LIMITS, "")

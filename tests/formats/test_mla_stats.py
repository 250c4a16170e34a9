"""Layers and cycles: abutting, inclusive, and read strictly."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import mla_stats

LAYERS = st.lists(st.tuples(st.text(max_size=20), st.integers(0, 1 << 40)), max_size=6)


def test_spans_abut_and_leave_out_what_takes_no_time() -> None:
    found = mla_stats.spans([("MLA_0/a", 100), ("MLA_0/view", 0), ("MLA_0/b", 7)])
    assert [(span.name, span.start_cycle, span.end_cycle) for span in found] == [
        ("MLA_0/a", 0, 99),
        ("MLA_0/b", 100, 106),
    ]
    assert sum(span.cycles for span in found) == 107


@given(LAYERS)
def test_what_is_written_is_read(layers: list[tuple[str, int]]) -> None:
    found = mla_stats.spans(layers)
    data = mla_stats.dump(found)
    assert mla_stats.load(data, "stats") == found
    assert data.isascii()
    loaded = yaml.safe_load(data)
    assert [loaded[i]["name"] for i in range(len(found))] == [span.name for span in found]


def test_the_form_is_the_vendors() -> None:
    data = mla_stats.dump(mla_stats.spans([("MLA_0/conv2d_add_relu_3", 3)]))
    assert data == b"0:\n  name: MLA_0/conv2d_add_relu_3\n  start_cycle: 0\n  end_cycle: 2\n"


@given(LAYERS, st.data())
def test_stalls_are_told_where_they_are_known(layers: list[tuple[str, int]], data: st.DataObject) -> None:
    known = st.none() | st.integers(0, 1 << 40)
    found = tuple(replace(span, stall_cycles=data.draw(known)) for span in mla_stats.spans(layers))
    written = mla_stats.dump(found)
    assert mla_stats.load(written, "stats") == found
    assert written.count(b"stall_cycles") == sum(span.stall_cycles is not None for span in found)


def test_flow_style_and_further_keys_are_read_too() -> None:
    data = b'{7: {start_cycle: 5, end_cycle: 9, name: "x", note: y}}'
    assert mla_stats.load(data, "stats") == (mla_stats.Span("x", 5, 9),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "0: 1",
        "0: {name: a, start_cycle: 0}",
        "0: {name: a, start_cycle: x, end_cycle: 1}",
        "0: {name: a, start_cycle: 0, end_cycle: 1, stall_cycles: x}",
        "0: {name: [a], start_cycle: 0, end_cycle: 1}",
        "a: {name: a, start_cycle: 0, end_cycle: 1}",
        "&a 0: {name: a, start_cycle: *a, end_cycle: 1}",
        "0: {name: a",
        "!!python/object:os.system 0: {}",
        "[" * 100_000,
        "\x00",
        "0: {name: a, start_cycle: 0, end_cycle: 1, name: b}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ModelbuildError, match="stats is not a table"):
        mla_stats.load(text.encode(), "stats")


ENTRY = "{name: a, start_cycle: 0, end_cycle: 1}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"0: {ENTRY}\n0: {ENTRY}\n", "the key 0 comes twice"),
        (f"{{0: {ENTRY}}}\n---\nx: 1\n", "something follows its mapping"),
        (f"{{0: {ENTRY}}}\n---\n", "something follows its mapping"),
    ],
)
def test_what_is_there_twice_is_refused_and_nothing_is_left_out(text: str, why: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        mla_stats.load(text.encode(), "stats")
    assert caught.value.problems[0].why == why
    assert len(mla_stats.load(f"---\n0: {ENTRY}\n...\n".encode(), "stats")) == 1


def test_a_huge_document_is_refused() -> None:
    with pytest.raises(ModelbuildError, match="more than"):
        mla_stats.load(b" " * (3 << 20), "stats")


def span(name: str, start: int, end: int) -> mla_stats.Span:
    return mla_stats.Span(name, start, end)


def test_abutting_layers_sum_to_the_frame() -> None:
    found = mla_stats.summarize(mla_stats.spans([("a", 100), ("b", 7)]))
    assert found == mla_stats.Summary(107, 107, (), (), ())
    assert mla_stats.summarize(()) == mla_stats.Summary(0, 0, (), (), ())


def test_gaps_and_overlaps_are_told() -> None:
    found = mla_stats.summarize([span("b", 30, 39), span("a", 5, 9), span("c", 35, 49), span("d", 36, 37)])
    assert found.gaps == (("a", 5), ("b", 20))
    assert found.overlaps == (("c", 5), ("d", 2))
    assert (found.cycles, found.busy) == (50, 5 + 10 + 15 + 2)


def test_a_layer_that_ends_before_it_starts_is_told_and_not_counted() -> None:
    found = mla_stats.summarize([span("a", 0, 9), span("odd", 20, 10)])
    assert (found.backwards, found.cycles, found.busy) == (("odd",), 10, 10)


def test_events_are_bounded() -> None:
    entries = b"".join(b"%x: , " % number for number in range(0x100000, 0x100000 + 205_000))
    wide = b"0: {name: a, start_cycle: 0, end_cycle: 1, " + entries + b"}"
    with pytest.raises(ModelbuildError, match="stats is not a table") as caught:
        mla_stats.load(wide, "stats")
    assert "events" in caught.value.problems[0].why

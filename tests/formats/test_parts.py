"""Every byte of a file has a part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.formats.parts import Part, covered


def test_gaps_are_unknown_and_parts_inside_others_make_none() -> None:
    given_parts = [Part(8, 4, "b"), Part(0, 4, "a"), Part(9, 1, "inside b"), Part(12, 0, "empty")]
    assert covered(given_parts, 16) == (
        Part(0, 4, "a"),
        Part(4, 4, "unknown", known=False),
        Part(8, 4, "b"),
        Part(9, 1, "inside b"),
        Part(12, 4, "unknown", known=False),
    )
    assert covered([], 0) == ()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10))), st.integers(0, 40))
def test_every_byte_has_a_part(spans: list[tuple[int, int]], size: int) -> None:
    parts = covered((Part(offset, count, "x") for offset, count in spans), size)
    seen = {place for part in parts for place in range(part.offset, part.offset + part.size)}
    assert seen >= set(range(size))
    unknown = [
        place for part in parts if not part.known for place in range(part.offset, part.offset + part.size)
    ]
    known = {place for offset, count in spans for place in range(offset, offset + count)}
    assert not known.intersection(unknown) and len(unknown) == len(set(unknown))

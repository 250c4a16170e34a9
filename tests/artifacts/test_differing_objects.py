"""Where JSON objects differ."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.artifacts.differing_objects import differences, paired

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abname"), inner, max_size=4),
    max_leaves=12,
)


def told(a: Any, b: Any, *skip: str) -> list[tuple[Any, ...]]:
    return [tuple(item) for item in differences(a, b, frozenset(skip))]


def test_keys_down_to_values() -> None:
    a = {"x": 1, "same": [1, 2], "deep": {"y": None, "z": [1, 2]}}
    b = {"x": 2, "same": [1, 2], "deep": {"y": "text", "z": [1, 2, 3]}, "more": {"u": 1}}
    assert told(a, b) == [
        ("x", 1, 2),
        ("deep.y", None, "text"),
        ("deep.z", [1, 2], [1, 2, 3]),
        ("more", None, {"u": 1}),
    ]


def test_elements_are_paired_by_what_they_go_by() -> None:
    a = {"members": [{"name": "a", "size": 1}, {"name": "b", "size": 2}, {"name": "c", "size": 3}]}
    b = {"members": [{"name": "c", "size": 3}, {"name": "b", "size": 4}, {"name": "d", "size": 5}]}
    assert told(a, b) == [
        ("members[a]", {"name": "a", "size": 1}, None),
        ("members[b].size", 2, 4),
        ("members[d]", None, {"name": "d", "size": 5}),
    ]


def test_elements_without_names_and_with_equal_ones() -> None:
    assert told({"x": [{"n": 1}, {"n": 2}]}, {"x": [{"n": 1}, {"n": 3}]}) == [("x[1].n", 2, 3)]
    twice = [{"name": "p", "n": 1}, {"name": "p", "n": 2}, {"name": "p#2", "n": 3}]
    assert [name for name, _, _ in paired(twice, twice)] == ["p", "p#2", "p#2#2"]
    assert told({"x": twice}, {"x": twice[:1]})[0][0] == "x[p#2]"


def test_what_is_skipped_and_what_is_one_number() -> None:
    assert told({"offset": 1, "l": [{"id": 1, "offset": 2}]}, {"offset": 3, "l": [{"id": 1}]}, "offset") == []
    assert told({"x": 1}, {"x": 1.0}) == []
    assert told({"x": 1}, {"x": True}) == [("x", 1, True)]


@given(JSON, JSON)
def test_nothing_is_told_of_equal_ones_and_something_of_others(a: Any, b: Any) -> None:
    assert told({"k": a}, {"k": a}) == []
    there, back = told({"k": a}, {"k": b}), told({"k": b}, {"k": a})
    assert sorted(key for key, _, _ in there) == sorted(key for key, _, _ in back)
    if type(a) is type(b) and isinstance(a, str | int) and a != b:
        assert there == [("k", a, b)]

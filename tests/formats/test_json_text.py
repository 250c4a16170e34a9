"""JSON inside containers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.formats import json_text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_what_is_written_is_read(value: json_text.Json) -> None:
    data = json_text.dump(value)
    assert json_text.load(data, "x") == json.loads(data) == value
    assert data.isascii() and data.endswith(b"\n")


def test_keys_are_sorted() -> None:
    assert json_text.dump({"b": 1, "a": {"d": 1, "c": 2}}) == json_text.dump({"a": {"c": 2, "d": 1}, "b": 1})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "'a' comes twice"),
        ("NaN", "NaN is not"),
        ("1e999", "too large"),
        ("[" * 65 + "]" * 65, "deeper than 64"),
        ("[" * 200_000, ""),
        ("9" * 10_000, ""),
        ("{", ""),
        ("\udcff", ""),
        (" " * (5 << 20), "more than"),
    ],
)
def test_anything_else_is_refused(text: str, why: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        json_text.load(text.encode("utf-8", "surrogateescape"), "member.json")
    assert caught.value.problems[0].where == "member.json"
    assert why in caught.value.problems[0].why


def test_numbers_that_json_does_not_have_are_not_written() -> None:
    with pytest.raises(ModelbuildError, match="cannot be written"):
        json_text.dump([float("inf")])


def test_shapes_are_told_apart() -> None:
    with pytest.raises(ModelbuildError, match="not what its format asks for"):
        json_text.mapping([], "x")
    with pytest.raises(ModelbuildError, match="not what its format asks for"):
        json_text.items({}, "x")
    assert json_text.items(None, "x") == []
    assert (json_text.integer(True, 3), json_text.real("1", 2.0), json_text.text(1)) == (3, 2.0, "")
    assert json_text.integers([1, "a", 2, False]) == (1, 2)

"""YAML with places, and the laying of one file on another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.chips.located import Located, merge, parse, place, plain
from modelbuild.errors import ModelbuildError

TEXT = "a: 1\nb:\n  c: [2, 3.5, yes]\n  d: null\n"


def test_values_and_places() -> None:
    root = parse(TEXT, "x.yaml")
    assert plain(root) == {"a": 1, "b": {"c": [2, 3.5, True], "d": None}}
    assert place(root, ("b", "c")) == "x.yaml:3:3"
    assert place(root, ("b", "c", 1)) == "x.yaml:3:10"
    assert place(root, ("b", "missing", "deeper")) == "x.yaml:2:1"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\na: 2\n", "x.yaml:2:1", "twice"),
        ("a: &n [1]\nb: *n\n", "x.yaml:1:4", "anchors"),
        ("1: a\n", "x.yaml:1:1", "must be text"),
        ("a: [1, 2\nb: 3\n", "x.yaml:2:2", "not YAML"),
        ("a: !!python/object:os.system x\n", "x.yaml:1:4", "not YAML"),
        ("", "x.yaml", "empty"),
        ("[" * 20_000, "x.yaml", ""),
        ("a: " + "1" * 6000, "x.yaml", "not YAML"),
        ("a: \x00", "x.yaml", "not YAML"),
    ],
)
def test_bad_text_is_named_with_its_place(text: str, where: str, what: str) -> None:
    with pytest.raises(ModelbuildError) as caught:
        parse(text, "x.yaml")
    assert caught.value.problems[0].where.startswith(where)
    assert what in caught.value.problems[0].what


def test_a_date_is_read_as_its_text() -> None:
    assert plain(parse("a: 2026-07-01\n", "x")) == {"a": "2026-07-01"}


def test_merging() -> None:
    base = parse(
        "keep: 1\nmap: {a: 1, b: 2, c: 3}\nlist: [1, 2]\nfact: {value: 1, source: s, sure: vendor}", "b"
    )
    over = parse("map: {b: 5, c: null, d: 6}\nlist: [9]\nfact: {value: 2}", "o")
    assert plain(merge(base, over)) == {
        "keep": 1,
        "map": {"a": 1, "b": 5, "d": 6},
        "list": [9],
        "fact": {"value": 2},  # a new value does not inherit the old value's source
    }
    assert place(merge(base, over), ("map", "b")) == "o:1:7"
    assert place(merge(base, over), ("map", "a")) == "b:2:7"


TREES = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def _locate(value: object) -> Located:
    if isinstance(value, list):
        return Located(tuple(map(_locate, value)), "w")
    if isinstance(value, dict):
        return Located({key: _locate(item) for key, item in value.items()}, "w")
    assert isinstance(value, str | int | bool)
    return Located(value, "w")


@given(TREES)
def test_merging_with_itself_or_with_nothing_changes_nothing(tree: object) -> None:
    located = _locate(tree)
    assert plain(merge(located, located)) == tree
    if isinstance(tree, dict):
        assert plain(merge(Located({}, "w"), located)) == tree

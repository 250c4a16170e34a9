"""`--try`: how values are told apart, and every combination of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.project.variants import MOST, combinations


def values(text: str) -> list[str]:
    """Of one `--try a=TEXT`."""
    return [found["a"] for found in combinations([f"a={text}"])]


def test_every_combination_the_last_key_fastest() -> None:
    assert combinations(["x.y=1,2", "z=a, b"]) == [
        {"x.y": "1", "z": "a"},
        {"x.y": "1", "z": "b"},
        {"x.y": "2", "z": "a"},
        {"x.y": "2", "z": "b"},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[int16, int8],int8", ["[int16, int8]", "int8"]),
        ("{m: [1, 2], n: '}'},{m: 3}", ["{m: [1, 2], n: '}'}", "{m: 3}"]),
        ('"a,b",c', ['"a,b"', "c"]),
        (r'"a\",b",c', [r'"a\",b"', "c"]),
        ("'it''s, x',b", ["'it''s, x'", "b"]),
        ("it's,b", ["it's", "b"]),
        ("a=b,c", ["a=b", "c"]),
        ("a],b", ["a]", "b"]),
    ],
)
def test_commas_in_brackets_and_quotes_belong_to_a_value(text: str, expected: list[str]) -> None:
    assert values(text) == expected


@pytest.mark.parametrize(
    ("tries", "says"),
    [
        (["a"], "is not KEY=VALUE,VALUE"),
        (["a..b=1"], "is not KEY=VALUE,VALUE"),
        (["=1"], "is not KEY=VALUE,VALUE"),
        (["a="], "an empty value"),
        (["a=1,,2"], "an empty value"),
        (["a=1, 1"], "a value twice"),
        (["a=1", " a =2"], "given twice"),
        (["a=[1,2"], "a closing ] is missing"),
        (["a={b: [1}"], "a closing ] is missing"),
        (["a='b,c"], "a closing ' is missing"),
    ],
)
def test_what_cannot_be_meant(tries: list[str], says: str) -> None:
    with pytest.raises(ModelbuildError, match=says.replace("]", r"\]")) as caught:
        combinations(tries)
    assert caught.value.exit_code == 2


def test_absurd_counts_are_refused_before_they_are_made() -> None:
    many = ",".join(map(str, range(1000)))
    with pytest.raises(ModelbuildError) as caught:
        combinations([f"{key}={many}" for key in "abcdefgh"])
    assert "1,000,000,000,000,000,000,000,000 combinations" in str(caught.value)
    assert "1000 of a x" in str(caught.value) and str(MOST) in str(caught.value)
    assert len(combinations(["a=" + ",".join(map(str, range(MOST)))])) == MOST


quoted = st.text(max_size=5).map(lambda text: "'" + text.replace("'", "''") + "'")
plain = st.text("abc1.-'\" ", min_size=1, max_size=5).filter(
    lambda text: text[0] in "abc1.-" and text[-1] != " "
)
flow = st.recursive(
    quoted | plain, lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
)


@settings(max_examples=60, deadline=None)
@given(st.lists(flow, min_size=1, max_size=6, unique_by=str.strip))
def test_what_is_joined_is_told_apart_again(listed: list[str]) -> None:
    assert values(",".join(listed)) == [value.strip() for value in listed]


@given(st.text("ab,[]{}'\"\\= ", max_size=30))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        found = values(text)
    except ModelbuildError:
        return
    assert all(found) and ",".join(found).replace(" ", "") == text.replace(" ", "")

"""How the text of a scalar is read."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_core import PydanticCustomError

from modelbuild.manifest import scalars
from modelbuild.manifest.tree import Position, Scalar


def plain(text: str) -> Scalar:
    return Scalar(text, False, Position("m.yaml", 1, 1))


def quoted(text: str) -> Scalar:
    return Scalar(text, True, Position("m.yaml", 1, 1))


@pytest.mark.parametrize(
    "text", ["0010", "1.10", "1e3", "yes", "on", "2026-01-02", "12:30:45", "0x1F", "~x", "true"]
)
def test_text_is_what_was_written(text: str) -> None:
    assert scalars.read_text(plain(text)) == scalars.read_text(quoted(text)) == text


@pytest.mark.parametrize("text", ["", " ", "a\nb", "a\0b", "\x7f"])
def test_text_that_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        scalars.read_text(quoted(text))


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("-7", -7), ("+7", 7), ("32768", 32768), ("0x8001", 0x8001), ("-0x10", -16)]
)
def test_integers(text: str, value: int) -> None:
    assert scalars.read_integer(plain(text)) == value


@pytest.mark.parametrize("text", ["1.0", "1e3", "010", "00", "1_000", "0o17", "0b1", "", "x", "9" * 40, "１"])
def test_what_is_no_integer(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        scalars.read_integer(plain(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1.0), (".5", 0.5), ("5.", 5.0), ("-1.5e-3", -0.0015), ("1E2", 100.0), ("007", 7.0)],
)
def test_numbers(text: str, value: float) -> None:
    assert scalars.read_number(plain(text)) == value


@pytest.mark.parametrize("text", [".inf", "nan", ".nan", "1e999", "1/255", "1,5", "0x10", "1_0", "12:30", ""])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(PydanticCustomError):
        scalars.read_number(plain(text))


def test_quoted_numbers_are_text() -> None:
    for reader in (scalars.read_integer, scalars.read_number):
        with pytest.raises(PydanticCustomError) as caught:
            reader(quoted("5"))
        assert (caught.value.context or {})["advice"] == "remove the quotes"


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (plain("deep"), "deep"),
        (plain("3"), 3),
        (plain("0.5"), 0.5),
        (plain("true"), True),
        (plain("007"), "007"),
        (plain("yes"), "yes"),
        (quoted("3"), "3"),
        (None, None),
        ([plain("1"), {"a": plain("x")}], [1, {"a": "x"}]),
    ],
)
def test_values_of_unknown_type(value: Any, read: Any) -> None:
    assert scalars.read_plain(value) == read


def test_long_values_are_cut_in_messages() -> None:
    assert len(scalars.describe(plain("x" * 1000))) < 70

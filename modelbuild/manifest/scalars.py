"""Types of the manifest's values: each reads the text of a scalar as its key demands."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from modelbuild.manifest.tree import Scalar

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17}|0x[0-9a-fA-F]{1,15})")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_NUMBER = re.compile(r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]{1,4})?")
_TRUE = ("true", "True", "TRUE")
_FALSE = ("false", "False", "FALSE")
_SHOWN = 60  # characters of a value in a message


def describe(value: object) -> str:
    """What was found, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = value.text if isinstance(value, Scalar) else str(value)
    shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    quoted = isinstance(value, Scalar) and value.quoted
    return f'the text "{shown}"' if quoted else f"`{shown}`"


def wrong(expected: str, value: object, advice: str = "") -> PydanticCustomError:
    """The error of a value that is not what its key takes. `advice` is for `explain`, not for the message."""
    return PydanticCustomError(
        "manifest",
        "expected {expected}, found {found}",
        {"expected": expected, "found": describe(value), "advice": advice},
    )


def read_text(value: object) -> str:
    """A scalar's characters as written: `0010`, `1.10` and `yes` stay what they are."""
    if not isinstance(value, Scalar):
        raise wrong("text", value)
    if not value.text.strip():
        raise wrong("text that is not empty", value)
    if any(ord(character) < 32 or ord(character) == 127 for character in value.text):
        raise wrong("text in one line without control characters", value)
    return value.text


def read_integer(value: object) -> int:
    """A whole number, decimal or 0x…"""
    if isinstance(value, Scalar) and not value.quoted:
        if _LEADING_ZERO.fullmatch(value.text):
            plain = value.text.lstrip("+").replace("0", "", 1).lstrip("0") or "0"
            raise wrong("a whole number without leading zeros", value, f"write {plain}")
        if _INTEGER.fullmatch(value.text):
            return int(value.text, 0)
    raise wrong("a whole number", value, _unquote(value, _INTEGER))


def read_number(value: object) -> float:
    """A finite decimal number, with or without exponent."""
    if isinstance(value, Scalar) and not value.quoted and _NUMBER.fullmatch(value.text):
        number = float(value.text)
        if math.isfinite(number):
            return number
    raise wrong("a number", value, _unquote(value, _NUMBER))


def read_plain(value: object) -> Any:
    """A value whose key says nothing about its type: null, true, false, number or text by its look."""
    if isinstance(value, dict):
        return {key: read_plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [read_plain(item) for item in value]
    if not isinstance(value, Scalar) or value.quoted:
        return value.text if isinstance(value, Scalar) else value
    if value.text in _TRUE + _FALSE:
        return value.text in _TRUE
    for pattern, reader in ((_INTEGER, read_integer), (_NUMBER, read_number)):
        if pattern.fullmatch(value.text) and not _LEADING_ZERO.match(value.text):
            return reader(value)
    return value.text


def read_switch(value: object) -> bool:
    """true or false, without quotes."""
    if isinstance(value, Scalar) and not value.quoted and value.text in _TRUE + _FALSE:
        return value.text in _TRUE
    raise wrong("true or false", value)


def read_numbers(value: object) -> float | tuple[float, ...]:
    """A number, or a list of them (one a channel)."""
    if isinstance(value, list):
        if not value:
            raise wrong("a number or a list of numbers", value, "an empty list says nothing: remove the key")
        return tuple(read_number(item) for item in value)
    if isinstance(value, Scalar):
        return read_number(value)
    raise wrong("a number or a list of numbers", value)


def _unquote(value: object, pattern: re.Pattern[str]) -> str:
    quoted = isinstance(value, Scalar) and value.quoted and pattern.fullmatch(value.text)
    return "remove the quotes" if quoted else ""


def _tuple(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    raise wrong(
        "a list", value, "begin its lines with `- `, or write [a, b]" if isinstance(value, dict) else ""
    )


def _one_or_many(value: object) -> object:
    if isinstance(value, list):
        if not value:
            raise wrong("one or more", value, "an empty list says nothing: remove the key")
        return tuple(value)
    return (value,)


def _section(value: object) -> object:
    return {} if value is None else value


def kind(value: object) -> str:
    """The tag by which a union of a short and a long form is decided; `explain` removes it from paths."""
    if value is None:
        return "<nothing>"
    if isinstance(value, list | tuple):
        return "<list>"
    if isinstance(value, Scalar | str | int | float):
        return "<scalar>"
    return "<mapping>"


BY_KIND = Discriminator(kind)
AS_SCALAR = Tag("<scalar>")
AS_LIST = Tag("<list>")
AS_MAPPING = Tag("<mapping>")

AsText = BeforeValidator(read_text)
AsTuple = BeforeValidator(_tuple)
AsOneOrMany = BeforeValidator(_one_or_many)
Section = BeforeValidator(_section)  # `models:` with nothing below it is an empty section

Text = Annotated[str, AsText]
NAME_PATTERN = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
Integer = Annotated[int, BeforeValidator(read_integer)]
Number = Annotated[float, BeforeValidator(read_number)]
Switch = Annotated[bool, BeforeValidator(read_switch)]
Plain = Annotated[Any, BeforeValidator(read_plain)]
Numbers = Annotated[
    float | tuple[float, ...],
    BeforeValidator(read_numbers),
    WithJsonSchema(
        {"anyOf": [{"type": "number"}, {"type": "array", "items": {"type": "number"}, "minItems": 1}]}
    ),
]


def _name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        raise PydanticCustomError(
            "manifest",
            "the name {found} cannot be used",
            {
                "found": describe(value),
                "advice": "use up to 100 letters, digits, `_`, `-` and `.`, a letter, digit or `_` first",
            },
        )
    return value


# Keys of mappings are always text already.
Name = Annotated[str, BeforeValidator(_name)]
NameText = Annotated[str, BeforeValidator(lambda value: _name(read_text(value)))]
Version1 = Annotated[Literal[1], BeforeValidator(read_integer)]

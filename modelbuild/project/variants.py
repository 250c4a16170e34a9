"""`--try KEY=a,b`: every combination of the values that several settings are to be tried with."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import product

from modelbuild.errors import ModelbuildError

MOST = 256  # a build each; more is a slip of the pen, or a search that needs another tool
_CLOSERS = {"[": "]", "{": "}"}
_QUOTED = re.compile(r"""'(?:[^']|'')*+'|"(?:[^"\\]|\\.)*+\"""", re.DOTALL)
_BEFORE_VALUES = ("", "[", "{", ",", ":")  # elsewhere a quote is a character like others


def combinations(tries: Sequence[str]) -> list[dict[str, str]]:
    """Key -> value, as typed, for each combination; the last key changes fastest.

    Raises ModelbuildError for what is no KEY=VALUE,VALUE, a key given twice, and more than MOST combinations.
    """
    choices: dict[str, list[str]] = {}
    for text in tries:
        key, values = _choices(text)
        if key in choices:
            raise ModelbuildError(
                f"--try {key} is given twice", advice=f"write --try {key}=VALUE,VALUE with all of its values"
            )
        choices[key] = values
    count = math.prod(len(values) for values in choices.values())
    if count > MOST:
        factors = " x ".join(f"{len(values)} of {key}" for key, values in choices.items())
        raise ModelbuildError(
            f"{count:,} combinations are too many to build",
            why=f"{factors}; at most {MOST} are built in one sweep",
            advice="try fewer values, or one key after another",
        )
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def _choices(text: str) -> tuple[str, list[str]]:
    key, equals, rest = text.partition("=")
    key = ".".join(part.strip() for part in key.split("."))
    if not equals or not all(key.split(".")):
        raise ModelbuildError(
            f"--try {text} is not KEY=VALUE,VALUE", advice="write --try quantize.range.method=mse,minmax"
        )
    values = [value.strip() for value in split(rest, text)]
    if not all(values):
        raise ModelbuildError(
            f"--try {text} has an empty value",
            advice="leave the comma out, or write null for a key without a value",
        )
    if len(set(values)) < len(values):
        raise ModelbuildError(f"--try {text} has a value twice", advice="leave one out")
    return key, values


def split(text: str, whole: str) -> list[str]:
    """The parts between commas that stand neither in brackets nor in quotes, as YAML has them."""
    parts, missing, at = [""], list[str](), 0
    while at < len(text):
        begins = parts[-1].rstrip()[-1:] in _BEFORE_VALUES
        quoted = _QUOTED.match(text, at) if begins else None
        piece = quoted[0] if quoted else text[at]
        at += len(piece)
        if piece in "'\"" and begins:
            missing.append(piece)
            break
        if piece in _CLOSERS:
            missing.append(_CLOSERS[piece])
        elif missing and piece == missing[-1]:
            missing.pop()
        if piece == "," and not missing:
            parts.append("")
        else:
            parts[-1] += piece
    if missing:
        raise ModelbuildError(
            f"--try {whole}: a closing {missing[-1]} is missing",
            advice="commas in brackets and in quotes belong to a value: --try 'KEY=[a, b],\"c, d\"'",
        )
    return parts

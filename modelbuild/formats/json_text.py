"""JSON inside containers: read strictly, written deterministically."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from modelbuild.errors import ModelbuildError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
MAX_BYTES = 4 << 20
MAX_DEPTH = 64
_MAX_DIGITS = 100  # sums of such integers can still be printed


TWICE = "no key twice in JSON"
DEPTH = f"JSON of at most {MAX_DEPTH} levels"
SIZE = f"JSON of at most {MAX_BYTES >> 20} MiB"
FORM = "JSON as its format asks for"


class BadJson(ModelbuildError):
    """A document that cannot be read; `rule` is the one it breaks, `why` how."""

    def __init__(self, name: str, why: str, rule: str = FORM) -> None:
        self.rule, self.why = rule, why
        super().__init__(f"{name} is not what its format asks for", where=name, why=why)


class _Twice(ValueError):
    """A key that comes twice."""


def dump(value: Json) -> bytes:
    """The document with sorted keys, indented, ending in a newline."""
    try:
        document = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False)
    except ValueError as error:
        raise ModelbuildError("a value cannot be written as JSON", why=str(error)) from None
    return document.encode() + b"\n"


def load(data: bytes, name: str) -> Json:
    """Parse a document. Errors: ModelbuildError naming `name` for what is not JSON, keys that come twice,
    NaN, integers beyond 100 digits, nesting beyond 64 and documents beyond 4 MiB."""
    if len(data) > MAX_BYTES:
        raise BadJson(name, f"it has {len(data)} bytes, more than {MAX_BYTES}", SIZE)
    try:
        value: Json = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except RecursionError:
        raise BadJson(name, f"it nests deeper than {MAX_DEPTH} levels", DEPTH) from None
    except ValueError as error:
        raise BadJson(name, str(error)[:200], TWICE if isinstance(error, _Twice) else FORM) from None
    _check_depth(value, name)
    return value


def mapping(value: Json, name: str) -> dict[str, Json]:
    """The value as a mapping. Errors: ModelbuildError naming `name`."""
    if not isinstance(value, dict):
        raise BadJson(name, f"a mapping is expected where it has {_kind(value)}")
    return value


def items(value: Json, name: str) -> list[Json]:
    """The value as a list; absent is empty. Errors: ModelbuildError naming `name`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadJson(name, f"a list is expected where it has {_kind(value)}")
    return value


def text(value: Json) -> str:
    """The value as text; empty where it is not text."""
    return value if isinstance(value, str) else ""


def integer(value: Json, default: int = 0) -> int:
    """The value as an integer, or `default` where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def real(value: Json, default: float = 0.0) -> float:
    """The value as a float, or `default` where it is no number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def integers(value: Json) -> tuple[int, ...]:
    """The integers of a list; empty where it is no list of integers."""
    found = value if isinstance(value, list) else []
    return tuple(item for item in found if isinstance(item, int) and not isinstance(item, bool))


def _kind(value: Json) -> str:
    return "nothing" if value is None else type(value).__name__


def _unique(pairs: Sequence[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _Twice(f"the key {twice!r} comes twice")
    return found


def _constant(token: str) -> float:
    raise ValueError(f"{token} is not a number of JSON")


def _integer(token: str) -> int:
    if len(token) > _MAX_DIGITS:
        raise ValueError(f"{token[:40]} is too large")
    return int(token)


def _float(token: str) -> float:
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{token} is too large")
    return value


def _check_depth(value: Json, name: str) -> None:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        following: list[Json] = []
        for item in level:
            if isinstance(item, Mapping):
                following += item.values()
            elif isinstance(item, list):
                following += item
        level = following
        if not level:
            return
    raise BadJson(name, f"it nests deeper than {MAX_DEPTH} levels", DEPTH)

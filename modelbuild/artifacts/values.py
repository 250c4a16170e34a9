"""Results of users' functions as bytes and as named numbers: JSON whose leaves may be arrays."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from modelbuild.graph.fresh_names import fresh

_ARRAY = "__array__"  # {"__array__": 3} stands for the third array
_DEEPEST = 100  # lists and mappings in each other; what reads them calls itself for each


def encode(value: Any) -> bytes:
    """The bytes of a value. Raises TypeError naming the place of what is neither JSON nor an array."""
    arrays: list[np.ndarray[Any, Any]] = []
    text = json.dumps(_plain(value, "", arrays, 0)).encode()
    stream = io.BytesIO()
    named = {f"a{index}": array for index, array in enumerate(arrays)}
    write_npz(stream, {"text": np.frombuffer(text, np.uint8), **named})
    return stream.getvalue()


def write_npz(stream: IO[bytes], named: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Arrays under their names, whatever these are: `numpy.savez` has parameters of its own, as `file`."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in named.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980, the same in any run
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def decode(data: bytes) -> Any:
    """The inverse of `encode`; tuples are lists."""
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return _with_arrays(json.loads(arrays["text"].tobytes()), arrays)


def _plain(value: Any, at: str, arrays: list[np.ndarray[Any, Any]], depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
        return _plain(value, at, arrays, depth)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiubU":
        arrays.append(value)
        return {_ARRAY: len(arrays) - 1}
    if depth >= _DEEPEST and isinstance(value, dict | list | tuple):
        raise TypeError(f"the result has more than {_DEEPEST} lists and mappings in each other")
    if isinstance(value, dict):
        wrong = next((key for key in value if not isinstance(key, str | int | np.integer)), None)
        if wrong is not None:
            raise TypeError(
                f"the key {wrong!r} of {at or 'the result'} is a {type(wrong).__name__}, not text"
            )
        if _ARRAY in value:
            raise TypeError(f"the key {_ARRAY!r} of {at or 'the result'} cannot be used")
        return {str(key): _plain(item, f"{at}[{key!r}]", arrays, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{at}[{index}]", arrays, depth + 1) for index, item in enumerate(value)]
    raise TypeError(
        f"{at or 'the result'} is a {type(value).__name__}, neither JSON (numbers, text, lists, mappings) "
        "nor a numpy array of numbers"
    )


def _with_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_ARRAY}:
        return arrays[f"a{value[_ARRAY]}"]
    return {key: _with_arrays(item, arrays) for key, item in value.items()}


def to_json(value: Any) -> Any:
    """The value with lists in place of arrays, and null in place of numbers that JSON lacks."""
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def numbers(value: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The numbers in a value: (`boxes`, array), (`faces.0.score`, array of no dimension). A list of numbers,
    or of equally long lists of numbers, is one array. Each name stands once: later ones are numbered."""
    taken = set[str]()
    for name, array in _numbers(value, ""):
        yield fresh(name, taken), array


def _numbers(value: Any, at: str) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        whole = _array(value)
        if whole is not None:
            yield at or "result", whole
        else:
            for index, item in enumerate(value):
                yield from _numbers(item, f"{at}.{index}" if at else str(index))
    else:
        whole = _array(value)
        if whole is not None:
            yield at or "result", whole


def _array(value: Any) -> np.ndarray[Any, Any] | None:
    if isinstance(value, str) or value is None:
        return None
    try:
        found = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return found if found.dtype.kind in "fiub" else None

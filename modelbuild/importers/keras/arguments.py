"""The arguments of a function on tensors, by the names of Keras 3, whichever Keras called it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from modelbuild.graph.model import Array
from modelbuild.importers.keras.call import CUT, Call
from modelbuild.importers.keras.nodes import Place, plain

_MAX_LISTED = 2**16
# TensorFlow's names of parameters -> the names here.
_NAMES: Mapping[str, str] = {
    "a_max": "x_max", "a_min": "x_min", "b": "y", "clip_value_max": "x_max",
    "clip_value_min": "x_min", "dimension": "axis", "keep_dims": "keepdims", "ksize": "pool_size",
    "method": "interpolation", "multiples": "repeats", "newshape": "shape", "num_or_size_splits": "sizes",
    "pad_width": "paddings", "perm": "axes", "reduction_indices": "axis", "slice_spec": "key", "x2": "y",
    "squeeze_dims": "axis",
}  # fmt: skip
_WITHOUT_EFFECT = ("name", "out_type", "trainable")


class Arguments:
    """What one function is called with. `done` raises for what nobody asked for."""

    def __init__(self, call: Call, names: Sequence[str]) -> None:
        """`names` are those of the positional arguments; a function of Keras 3 has its settings besides."""
        given = call.step.call
        if len(given.positional) > len(names):
            call.fail(f"is called with {len(given.positional)} arguments")
        values = dict(given.named)
        if call.step.layer.function.startswith("keras."):
            values |= {key: plain(value) for key, value in call.step.layer.config.items()}
        renamed = {_NAMES.get(key, key): value for key, value in values.items() if key not in _WITHOUT_EFFECT}
        self.call = call
        self._values = renamed | dict(zip(names, given.positional, strict=False))
        self._read = set[str]()

    def raw(self, name: str, default: Any = None) -> Any:
        """An argument as it is; the default where it is absent or None."""
        self._read.add(name)
        value = self._values.get(name)
        return default if value is None else value

    def settings(self, *names: str) -> dict[str, Any]:
        """The arguments `names` that are there, for a layer that takes them as its configuration."""
        return {name: self.raw(name) for name in names if self.raw(name) is not None}

    def done(self) -> None:
        """Raises for an argument that says something and was not read."""
        for name, value in self._values.items():
            if name not in self._read and value is not None and value is not False:
                self.call.fail(f"is called with `{name}`, which is not supported", advice=CUT)

    # ---- tensors

    def tensor(self, name: str, like: str = "") -> str:
        """A tensor; a number becomes a constant, of the type of the tensor `like`."""
        return self._tensor(self.raw(name), name, like)

    def tensors(self, name: str) -> list[str]:
        """A list of tensors, at least one."""
        value = self.raw(name)
        listed = value if isinstance(value, list) else [value]
        like = next((self._input(item) for item in listed if isinstance(item, Place)), "")
        if not listed or len(listed) > _MAX_LISTED:
            self.wrong(name)
        return [self._tensor(item, name, like) for item in listed]

    def pair(self, first: str = "x", second: str = "y") -> list[str]:
        """Two operands, one of which may be a number."""
        for name, other in ((first, second), (second, first)):
            if isinstance(self.raw(name), Place):
                like = self.tensor(name)
                found = self.tensor(other, like)
                return [like, found] if name == first else [found, like]
        return self.call.fail("is called without a tensor")

    def _input(self, place: Place) -> str:
        return self.call.step.inputs[place.index]

    def _tensor(self, value: Any, name: str, like: str) -> str:
        if isinstance(value, Place):
            return self._input(value)
        array = self._array(value, name)
        dtype = self.call.writer.dtype(like) if like else np.dtype(np.float32)
        if dtype.kind in "iu" and array.dtype.kind == "f":
            self.call.fail(f"mixes integers with `{name}: {str(value)[:40]}`")
        return self.call.constant(name, array.astype(dtype))

    def _array(self, value: Any, name: str) -> Array:
        try:
            array = np.asarray(value)
        except (ValueError, TypeError, OverflowError):
            self.wrong(name)
        fits = array.dtype.kind in "ifb" and array.size <= _MAX_LISTED and array.ndim <= 8
        if not fits or not np.isfinite(array).all() or (array.size and np.abs(array).max() > 1e30):
            self.wrong(name)
        return array

    # ---- values

    def integers(self, name: str) -> list[int] | None:
        """Whole numbers: written out, or computed from shapes. None where the argument is absent."""
        value = self.raw(name)
        if value is None:
            return None
        listed = value if isinstance(value, list) else [value]
        if len(listed) > _MAX_LISTED:
            self.wrong(name)
        return [number for item in listed for number in self._whole(item, name)]

    def integer(self, name: str, default: int | None = None) -> int:
        """One whole number."""
        found = self.integers(name)
        if found is None and default is not None:
            return default
        if found is None or len(found) != 1:
            self.wrong(name)
        return found[0]

    def axes(self, name: str, rank: int) -> list[int] | None:
        """Axes of a tensor of `rank`, counted from the front, in order. None where all are meant."""
        found = self.integers(name)
        if found is None:
            return None
        if not all(-rank <= axis < rank for axis in found) or len({a % rank for a in found}) < len(found):
            self.wrong(name)
        return sorted(axis % rank for axis in found)

    def axis(self, name: str, rank: int, default: int | None = None) -> int:
        """One axis of a tensor of `rank`, counted from the front."""
        axis = self.integer(name, default)
        if not -rank <= axis < rank:
            self.wrong(name)
        return axis % rank

    def flag(self, name: str, default: bool = False) -> bool:
        """A truth value."""
        value = self.raw(name, default)
        return value if isinstance(value, bool) else self.wrong(name)

    def real(self, name: str, default: float | None = None) -> float:
        """A finite number."""
        value = self.raw(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
            self.wrong(name)
        return float(value)

    def word(self, name: str, default: str) -> str:
        """A word, in small letters."""
        value = self.raw(name, default)
        return value.lower() if isinstance(value, str) else self.wrong(name)

    def _whole(self, value: Any, name: str) -> list[int]:
        if isinstance(value, list) and len(value) == 2:  # a pair, such as a padding
            return [number for item in value for number in self._whole(item, name)]
        known = self.call.writer.value(self._input(value)) if isinstance(value, Place) else None
        if known is not None and known.dtype.kind in "iu":
            return [int(number) for number in known.reshape(-1)]
        if isinstance(value, Place):
            self.call.fail(
                f"takes its `{name}` from a tensor", why="it is known only when the model runs", advice=CUT
            )
        if isinstance(value, float) and math.isfinite(value) and value == int(value):
            value = int(value)
        return [value] if type(value) is int and abs(value) < 2**31 else self.wrong(name)

    def wrong(self, name: str) -> NoReturn:
        """Raises for an argument that is not of its kind, or of none that is read."""
        self.call.fail(
            f"is called with `{name}: {str(self.raw(name))[:60]}`",
            why="it is none of the values that are read",
            advice=CUT,
        )

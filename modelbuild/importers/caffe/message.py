"""A parsed message: typed access to its fields, and a memory of which were asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NoReturn

from modelbuild.errors import ModelbuildError, did_you_mean

_MAX_INTEGER = 2**31
_MISSPELT = (
    0.9  # so alike are two names of one field: kernel_size and kernelsize, not kernel_size and kernel_h
)
# Fields of any layer's parameters that say how to train or with which library to compute: no numbers change.
_WITHOUT_EFFECT = frozenset(
    {"engine", "weight_filler", "bias_filler", "filler", "force_nd_im2col", "cudnn_flag"}
)


@dataclass(frozen=True)
class Scalar:
    """A number, word or quoted text, as written."""

    text: str
    quoted: bool
    line: int
    column: int


@dataclass
class Message:
    """Field name -> its values in the order of the file. A field that may stand once takes its last value."""

    file: str
    line: int
    column: int
    fields: dict[str, list[Message | Scalar]] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    @property
    def where(self) -> str:
        """`file:line:column`."""
        return f"{self.file}:{self.line}:{self.column}"

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        self.read.add(name)
        return name in self.fields

    def messages(self, name: str) -> list[Message]:
        """All messages under `name`."""
        found = self._values(name)
        for value in found:
            if not isinstance(value, Message):
                raise self._wrong(name, value, "a message in braces")
        return [value for value in found if isinstance(value, Message)]

    def message(self, name: str) -> Message:
        """The one message under `name`, several being merged as protobuf does; an empty one where absent."""
        found = self.messages(name)
        if len(found) == 1:
            return found[0]
        merged = Message(self.file, self.line, self.column)
        for part in found:
            for key, values in part.fields.items():
                merged.fields.setdefault(key, []).extend(values)
        return merged

    def texts(self, name: str) -> list[str]:
        """All texts or words under `name`."""
        return [scalar.text for scalar in self._scalars(name)]

    def text(self, name: str, default: str = "") -> str:
        """The text or word under `name`."""
        return next(reversed(self.texts(name)), default)

    def integers(self, name: str) -> list[int]:
        """All whole numbers under `name`. Raises for those of 32 bits and more."""
        return [self._integer(name, scalar) for scalar in self._scalars(name)]

    def integer(self, name: str, default: int) -> int:
        """The whole number under `name`."""
        return next(reversed(self.integers(name)), default)

    def reals(self, name: str) -> list[float]:
        """All numbers under `name`."""
        return [self._float(name, scalar) for scalar in self._scalars(name)]

    def real(self, name: str, default: float) -> float:
        """The number under `name`."""
        return next(reversed(self.reals(name)), default)

    def boolean(self, name: str, default: bool) -> bool:
        """The truth value under `name`."""
        found = self._scalars(name)
        if not found:
            return default
        text = found[-1].text
        if found[-1].quoted or text not in _BOOLEANS:
            raise self._wrong(name, found[-1], "true or false")
        return _BOOLEANS[text]

    def choice(self, name: str, options: Sequence[str]) -> str:
        """The word under `name`, one of `options` by name or number; the first one where it is absent."""
        found = self._scalars(name)
        if not found:
            return options[0]
        text = found[-1].text
        if text.isdecimal() and int(text) < len(options):
            return options[int(text)]
        if text not in options:
            raise self._wrong(name, found[-1], f"one of {', '.join(options)}")
        return text

    def refuse_misspelt(self, label: str) -> None:
        """Raises for a field that nobody asked for and that is spelt nearly as one that was missed."""
        missed = self.read - self.fields.keys()
        for name in [name for name in self.fields if name not in self.read]:
            if get_close_matches(name, missed, 1, _MISSPELT):
                self._refuse(name, label)

    def refuse_others(self, label: str) -> None:
        """Raises for a field that nobody asked for: what it says would be lost silently."""
        unknown = [name for name in self.fields if name not in self.read and name not in _WITHOUT_EFFECT]
        if not unknown:
            return
        self._refuse(unknown[0], label)

    def _refuse(self, name: str, label: str) -> NoReturn:
        first = self.fields[name][0]
        raise ModelbuildError(
            f"{label} has the field `{name}`, which is not known",
            where=f"{self.file}:{first.line}:{first.column}",
            advice=did_you_mean(name, self.read) or "remove it if the result does not depend on it",
        )

    def _values(self, name: str) -> list[Message | Scalar]:
        self.read.add(name)
        return self.fields.get(name, [])

    def _scalars(self, name: str) -> list[Scalar]:
        found = self._values(name)
        for value in found:
            if not isinstance(value, Scalar):
                raise self._wrong(name, value, "a value, not a message")
        return [value for value in found if isinstance(value, Scalar)]

    def _integer(self, name: str, scalar: Scalar) -> int:
        try:
            text = scalar.text.lower()
            octal = text.lstrip("-").startswith("0") and text.lstrip("-").isdecimal()
            value = int(text, 8 if octal else 0) if len(text) < 24 else _MAX_INTEGER
        except ValueError as error:
            raise self._wrong(name, scalar, "a whole number") from error
        if scalar.quoted or abs(value) >= _MAX_INTEGER:
            raise self._wrong(name, scalar, "a whole number of 32 bits")
        return value

    def _float(self, name: str, scalar: Scalar) -> float:
        try:
            value = float(scalar.text.lower().removesuffix("f")) if len(scalar.text) < 400 else math.nan
        except ValueError as error:
            raise self._wrong(name, scalar, "a number") from error
        if scalar.quoted or not math.isfinite(value):
            raise self._wrong(name, scalar, "a finite number")
        return value

    def _wrong(self, name: str, value: Message | Scalar, wanted: str) -> ModelbuildError:
        shown = f"`{value.text[:40]}`" if isinstance(value, Scalar) else "a message"
        return ModelbuildError(
            f"`{name}` must be {wanted}, not {shown}", where=f"{self.file}:{value.line}:{value.column}"
        )


_BOOLEANS = {"true": True, "True": True, "t": True, "1": True}
_BOOLEANS |= {"false": False, "False": False, "f": False, "0": False}

"""A user's measure of accuracy, `tools/score.py:f1`: `function(outputs, labels) -> float`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelbuild.artifacts.function_process import FunctionProcess
from modelbuild.errors import ModelbuildError

_SHOWN = 60  # characters of a number in a message


class Scoring(FunctionProcess):
    """Calls the function with the outputs of all samples, and their labels."""

    @property
    def place(self) -> str:
        """The bound that names it."""
        return f"accept.function.{self._spec}"

    def __call__(
        self, files: Mapping[str, Path], shapes: Mapping[str, Any], labels: Sequence[Any] | None
    ) -> float:
        """The function's value. `files` holds an .npy of each output, as `shapes` [samples, ...] says; it is
        mapped, not read. Raises (exit 2) with the user's own line where the function fails, and where it
        gives something other than a finite number."""
        named = {name: str(path) for name, path in files.items()}
        value = self.ask({"files": named, "labels": None if labels is None else list(labels)}, shapes)
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        number = _finite(value)
        if number is None:
            shown = repr(value) if isinstance(value, bool | int | float) else f"a {type(value).__name__}"
            raise ModelbuildError(
                f"function {self._spec} returned {shown if len(shown) <= _SHOWN else f'{shown[:_SHOWN]}...'}",
                where=self.place,
                why="a measure of accuracy is one finite number",
                advice=_TO_BE_FINITE if isinstance(value, float) else "return a float",
            )
        return number


# Where numbers that are none come from.
_TO_BE_FINITE = (
    "return a finite number: mind a division by 0, the mean of nothing, and samples without labels"
)


def _finite(value: Any) -> float | None:
    """A finite number as a float; None for anything else, and for one that no float reaches."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None

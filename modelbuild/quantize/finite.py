"""NaN and infinity in a tensor of the float model, which no range and no measurement survives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelbuild.errors import EXIT_FAILED, ModelbuildError


def require_finite(name: str, values: NDArray[Any], sample: str) -> None:
    """Raises (exit 1) where `values` of the tensor `name` are not all finite; `sample` says on what."""
    if np.isfinite(values).all():
        return
    kind = "NaN" if np.isnan(values).any() else "infinity"
    raise ModelbuildError(
        f"the tensor {name!r} holds {kind}",
        where=sample,
        advice="look at the preprocessing of the inputs and at the model's own arithmetic",
        exit_code=EXIT_FAILED,
    )

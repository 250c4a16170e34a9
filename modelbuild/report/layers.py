"""The per-layer table: predicted layers, joined with what verification measured on the same nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelbuild.report.measurements import Fidelity, Layer


def rows(evaluated: Iterable[Mapping[str, Any]], fidelity: Fidelity | None) -> tuple[Layer, ...]:
    """`evaluated` are the layers of evaluate.json. A layer's SNR is that of the last operator that stands for
    its node."""
    snr: dict[str, float | None] = {}
    for measured in fidelity.layers if fidelity else ():
        for name in (measured.name, *measured.origin):
            snr[name] = measured.snr_db
    return tuple(Layer(**{**layer, "snr_db": snr.get(layer["name"])}) for layer in evaluated)

"""The per-layer table: predicted layers, joined with what verification measured on the same nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from modelbuild.report.measurements import Fidelity, Layer


def rows(
    evaluated: Iterable[Mapping[str, Any]], fidelity: Fidelity | None, peak: float | None
) -> tuple[Layer, ...]:
    """`evaluated` are the layers of evaluate.json; `peak` is the array's MACs a cycle. A layer's SNR is that
    of the last operator that stands for its node."""
    snr: dict[str, float | None] = {}
    for measured in fidelity.layers if fidelity else ():
        for name in (measured.name, *measured.origin):
            snr[name] = measured.snr_db
    return tuple(
        Layer(
            **{
                **layer,
                "utilisation": utilisation(layer.get("macs", 0), layer.get("cycles", 0), peak),
                "snr_db": snr.get(layer["name"]),
            }
        )
        for layer in evaluated
    )


def utilisation(macs: int, cycles: int, peak: float | None) -> float | None:
    """Share 0..1 of the array's peak; None where there is nothing to multiply, or the peak is not known."""
    return min(1.0, macs / (cycles * peak)) if macs and cycles and peak else None

"""Observations with fewer bins: those that a histogram of so many would have had, since ends are the same."""

from __future__ import annotations

from dataclasses import replace

from modelbuild.quantize.observations import TensorObservation


def with_bins(observed: TensorObservation, bins: int) -> TensorObservation:
    """Neighbours put together. `bins` divides the number that there are."""
    histogram = observed.histogram
    counts = histogram.counts.reshape(bins, -1).sum(axis=1)
    weights = None if histogram.weights is None else histogram.weights.reshape(bins, -1).sum(axis=1)
    return replace(observed, histogram=replace(histogram, counts=counts, weights=weights))

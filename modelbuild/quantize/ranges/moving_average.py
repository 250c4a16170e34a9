"""The moving average of the samples' extremes: what one sample alone reached counts little."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from modelbuild.errors import ModelbuildError
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import TensorObservation
from modelbuild.quantize.settings import OPTION_DEFAULTS


def choose(
    observation: TensorObservation, tensor_format: TensorFormat, options: Mapping[str, Any]
) -> tuple[float, float]:
    """From the first sample's extremes on, average = momentum * average + (1 - momentum) * the next one's.
    The mean of n samples counts as n that are equal. Raises (exit 2) where samples are not known apart."""
    momentum = float(options.get("momentum", OPTION_DEFAULTS["momentum"]))
    rows = observation.sample_ranges
    if not len(rows):  # of a part of a tensor, or of one with scaled channels
        raise ModelbuildError(
            "there is no moving average of a tensor whose channels were divided or scaled",
            why="the extremes of each sample are known of tensors as they are",
            advice="choose another range method, or equalize: false and split: false",
        )
    low, high = (float(end) for end in rows[0])
    for row, count in zip(rows[1:], observation.samples_of_rows[1:], strict=True):
        kept = math.prod([momentum] * int(count))  # powers are not the same on every machine
        low = kept * low + (1 - kept) * float(row[0])
        high = kept * high + (1 - kept) * float(row[1])
    return low, high

"""What was observed of tensors, as it is of the tensors that hold their channels."""

from __future__ import annotations

from dataclasses import replace

from modelbuild.quantize.equalized import put_together
from modelbuild.quantize.histogram import ChannelHistograms
from modelbuild.quantize.observations import Observations, TensorObservation
from modelbuild.quantize.split_graph import Indices, Split


def of_pieces(made: Split, observations: Observations) -> Observations:
    """Of every tensor of the graph that was taken apart."""
    tensors, melted = dict(observations.tensors), dict(observations.melted)
    no_gradient = dict(observations.no_gradient)
    for whole, pieces in made.pieces.items():
        observed, between = tensors.pop(whole, None), melted.pop(whole, None)
        reason = no_gradient.pop(whole, None)
        for name, channels in (*pieces, *made.joins.get(whole, ())):
            if observed is not None:
                tensors[name] = of_channels(observed, channels)
            if between is not None:
                melted[name] = between[channels]
            if reason is not None:
                no_gradient[name] = reason
    return replace(observations, tensors=tensors, melted=melted, no_gradient=no_gradient)


def of_channels(observation: TensorObservation, channels: Indices) -> TensorObservation:
    """Of a tensor that holds these channels alone."""
    count = observation.count // len(observation.channel_sum) * len(channels)
    low, high = observation.channel_low[channels], observation.channel_high[channels]
    found = observation.channels
    parts = None
    histogram, rows = observation.histogram, observation.sample_ranges
    if len(channels) < len(observation.channel_sum):
        assert found is not None
        parts = _of(found, channels)
        share = len(channels) / len(observation.channel_sum)
        histogram = replace(
            put_together(observation, parts, low, high),
            zeros=int(histogram.zeros * share),
            zero_weight=histogram.zero_weight * share,
        )
        rows = rows[:0]  # those of single channels are not known
    elif found is not None:
        parts = _of(found, channels)
    return replace(
        observation,
        histogram=histogram,
        count=count,
        channel_low=low,
        channel_high=high,
        channel_sum=observation.channel_sum[channels],
        channel_variance=observation.channel_variance[channels],
        channels=parts,
        channel_weight=None if observation.channel_weight is None else observation.channel_weight[channels],
        sample_ranges=rows,
    )


def _of(found: ChannelHistograms, channels: Indices) -> ChannelHistograms:
    return ChannelHistograms(
        found.counts[channels], None if found.weights is None else found.weights[channels]
    )

"""`equalize: smooth`, and ranges that are searched in fewer bins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.bins import with_bins
from modelbuild.quantize.equalize import SMALLEST
from modelbuild.quantize.histogram import BINS
from tests.quantize.cases import Made, graph_of, make, normal

COLUMNS = np.array([4.0, 1.0, 0.25, 0.0], np.float32)  # the largest weights that read each channel


def network(clip: float | None = None) -> Graph:
    """Two convolutions; that of the second reads each channel with weights of one size."""
    w2 = np.sign(normal(8, 4, 1, 1, seed=3)) * COLUMNS[None, :, None, None]
    between = (
        Node("Relu", "act", ["a"], ["b"]) if clip is None else Node("Clip", "act", ["a", "lo", "hi"], ["b"])
    )
    nodes = [Node("Conv", "one", ["x", "w1"], ["a"]), between, Node("Conv", "two", ["b", "w2"], ["y"])]
    w1 = normal(4, 3, 1, 1, seed=2)
    ends = {} if clip is None else {"lo": np.float32(0.0), "hi": np.float32(clip)}
    return graph_of(nodes, {"x": (1, 3, 16, 16)}, ["y"], {"w1": w1, "w2": w2.astype(np.float32), **ends})


def factors(made: Made) -> np.ndarray:
    (found,) = made.record.corrections["equalize"].values()
    return np.array(found) / 4096


def reach(made: Made) -> np.ndarray:
    return np.maximum(made.observations.tensors["b"].channel_high, 0.0)


@pytest.mark.parametrize("chip", ["modalix", "kl520"])
def test_factors_are_those_of_the_rule(chip: str) -> None:
    made = make(network(), chip, {"equalize": "smooth"})
    wanted = np.sqrt(reach(made)[:3] / COLUMNS[:3])
    assert factors(made)[:3] == pytest.approx(wanted / wanted.max(), abs=1 / 4096)
    assert factors(made)[3] == 1.0  # nothing reads the channel
    assert factors(made).min() >= SMALLEST


def test_a_clip_lets_the_same_values_through() -> None:
    made = make(network(clip=8.0), "modalix", {"equalize": "smooth"})
    assert (factors(made) >= reach(made) / 8.0 - 1e-6).all()
    assert factors(made)[0] > factors(make(network(), "modalix", {"equalize": "smooth"}))[0]


def test_tensors_of_16_bits_and_given_ranges_stay() -> None:
    wide = make(network(), "modalix", {"equalize": "smooth", "activations": "int16"})
    given = make(network(), "modalix", {"equalize": "smooth", "ranges": {"b": [0, 3]}})
    assert "equalize" not in wide.record.corrections and "equalize" not in given.record.corrections


def test_fewer_bins_are_what_a_histogram_of_so_many_would_hold() -> None:
    observed = make(network()).observations.tensors["b"]
    few = with_bins(observed, 256)
    assert len(few.histogram.counts) == 256 and few.histogram.counts.sum() == observed.histogram.counts.sum()
    assert few.histogram.counts[0] == observed.histogram.counts[: BINS // 256].sum()
    assert (few.histogram.low, few.histogram.high) == (observed.histogram.low, observed.histogram.high)
    assert replace(few, histogram=observed.histogram) == observed


@pytest.mark.parametrize("method", ["mse", "entropy", "percentile", "output_error"])
def test_ranges_of_fewer_bins_are_near_those_of_all(method: str) -> None:
    further = {"percentile": 95} if method == "percentile" else {}
    lines = [
        make(
            network(), settings={"equalize": False, "range": {"method": method, **further, **bins}}
        ).record.by_name()["x"]
        for bins in ({}, {"bins": 4096}, {"bins": 256})
    ]
    assert lines[0] == lines[1]
    assert lines[2].scale is not None and lines[2].scale != lines[0].scale
    assert lines[2].scale == pytest.approx(lines[0].scale, rel=0.1)

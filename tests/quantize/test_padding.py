"""What a Pad fills with fits the scale of what it fills around, or is refused."""

from __future__ import annotations

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.quantize.verify import verify
from tests.kpu.lowering.made import conv, lowered, network, weights
from tests.quantize.cases import F, longs, make

MAX = Node("MaxPool", "last", ["q"], ["y"], {"kernel_shape": [3, 3]})


def padded(value: float, last: Node | None = None) -> Graph:
    """A layer of numbers above 0, `value` around them, and a layer of these (or `last`)."""
    pad = Node("Pad", "edge", ["b", "widths", "value"], ["q"])
    nodes = [conv("x", "a", "w"), Node("Relu", "r", ["a"], ["b"]), pad, last or conv("q", "y", "v", pads=0)]
    shapes = {"w": (8, 3, 3, 3), **({} if last else {"v": (4, 8, 3, 3)})}
    constants = {"widths": longs(0, 0, 1, 1, 0, 0, 1, 1), "value": np.array(value, F)}
    return network(nodes, (1, 3, 16, 16), {**weights(**shapes), **constants})


def snr(chip: str, graph: Graph) -> float:
    """Of the output, in dB."""
    if chip == "k210":
        return lowered(graph).snr()
    made = make(graph, chip)
    return float(verify(made.fixed, made.graph, iter(made.samples))["outputs"][0]["snr_db"])


@pytest.mark.parametrize("value", [-5.0, 5.0])
@pytest.mark.parametrize("chip", ["k210", "kl720", "modalix"])
def test_what_is_laid_around_a_map_is_not_clipped(chip: str, value: float) -> None:
    assert snr(chip, padded(value)) > 28  # clipped: 1 dB and 15 dB


@pytest.mark.parametrize("chip", ["k210", "kl720", "modalix"])
def test_what_no_maximum_takes_costs_no_code(chip: str) -> None:
    assert snr(chip, padded(-1e9, MAX)) == pytest.approx(snr(chip, padded(-4.0, MAX)), abs=0.01)


def test_numbers_that_no_scale_holds_together_are_refused() -> None:
    with pytest.raises(ModelbuildError, match="the Pad 'edge' fills with -1e\\+09") as caught:
        make(padded(-1e9), "modalix")
    assert "do:" in str(caught.value)


def test_a_given_range_has_to_hold_it() -> None:
    with pytest.raises(ModelbuildError, match=r"(?s)'b' is given 0 to 4, and the Pad.*write \[-5, 4\]"):
        make(padded(-5.0), "modalix", {"ranges": {"b": [0, 4]}})

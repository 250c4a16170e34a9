"""Names of what operations make: as text and back, and held against what a program does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.arithmetic.fixed_model import QuantizedTensor, float_tensor, whole_tensor
from modelbuild.errors import ModelbuildError
from modelbuild.kpu.named import Named, Step
from modelbuild.kpu.simulator import Access, Event

NAMES = st.lists(st.text(min_size=1), max_size=3).map(tuple)
SHAPES = st.lists(st.integers(1, 9), max_size=4).map(tuple)
STEPS = st.builds(Step, st.text(), st.integers(0, 1), st.integers(0, 9), NAMES, NAMES)
TENSORS = st.one_of(
    st.builds(float_tensor, st.text(), SHAPES),
    st.builds(whole_tensor, st.text(), SHAPES, st.sampled_from([32, 64])),
    st.builds(
        QuantizedTensor,
        st.text(),
        SHAPES,
        st.just(8),
        st.just(False),
        st.floats(1e-6, 1e6),
        st.integers(0, 255),
    ),
)
X, Y = float_tensor("x", (2, 2)), QuantizedTensor("y", (4,), 8, False, 0.5, 3)


@given(st.lists(STEPS, max_size=4), st.lists(TENSORS, max_size=4))
def test_text_and_back(steps: list[Step], tensors: list[QuantizedTensor]) -> None:
    named = Named(tuple(steps), {tensor.name: tensor for tensor in tensors})
    text = named.to_text()
    assert "\n" not in text and Named.from_text(text) == named


@pytest.mark.parametrize(
    "found",
    [
        [],
        {"steps": []},
        {"steps": [1], "tensors": {}},
        {"steps": [["copy", 0, 0, [], []]], "tensors": [1]},
        {"steps": [], "tensors": {"x": [[-1, -1, 4]]}},
        {"steps": [], "tensors": {"x": [[4], "wide"]}},
        {"steps": [], "tensors": {"x": [[4], 1, 2, 3, 4]}},
        {"steps": [], "tensors": {"x": [[4], 1, 2, 7]}},
    ],
)
def test_any_other_text_is_refused(found: object) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Named.from_text(json.dumps(found))


def event(name: str, reads: list[np.ndarray], writes: list[np.ndarray], exact: bool = True) -> Event:
    def accessed(values: np.ndarray) -> Access:
        return Access("t", "data", 0, str(values.dtype), values.shape, (), values)

    return Event(name, 0, 0, 0, "stackvm", {}, (*map(accessed, reads),), (*map(accessed, writes),), exact)


def test_what_is_seen() -> None:
    """What is written whole; what is made in parts where it is read; floats called integers."""
    half = np.array([1, 2], np.uint8)
    whole = np.array([1, 2, 1, 2], np.uint8)
    floats = np.arange(4, dtype=np.float32).reshape(2, 2)
    named = Named(
        (
            Step("copy", 0, 0, ("h",), ("y",)),
            Step("copy", 0, 0, ("h",), ("y",)),
            Step("dequantize", 0, 0, ("y",), ("x",)),
        ),
        {"x": X, "y": Y},
    )
    events = [event("copy", [half], [half])] * 2 + [
        event("dequantize", [whole], [floats.view(np.uint32)], exact=False)
    ]
    seen = named.seen(events)
    assert list(seen.values) == ["x", "y"] and seen.inexact == {"x"}
    assert seen.values["y"].tolist() == whole.tolist() and np.array_equal(seen.values["x"], floats)
    for others in (events[:2], [*events[:2], event("quantize", [], [])]):
        with pytest.raises(ModelbuildError, match="from number 2"):
            named.seen(others)

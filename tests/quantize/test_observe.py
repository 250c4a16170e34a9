"""Observation is exact, streaming, independent of how samples are run, and says what is wrong."""

from __future__ import annotations

import contextlib
import tracemalloc
import weakref
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize import observe as observing
from modelbuild.quantize.histogram import BINS
from modelbuild.quantize.looking import VALUES, places_in, random_signs
from modelbuild.quantize.observe import Observations, observe
from tests.quantize.cases import graph_of, make, normal, one_node, samples_of

RELU = one_node("Relu", (2, 3, 4))
SIGNS = "+++++---++++-+--+---+---"


def test_numbers_are_those_of_all_samples() -> None:
    samples = samples_of(RELU, 7)
    found = observe(RELU, lambda: iter(samples))
    assert found.samples == 7 and set(found.tensors) == {"x", "y"}
    x = np.concatenate([sample["x"][None] for sample in samples])
    tensor = found.tensors["x"]
    assert tensor.count == x.size
    assert (tensor.histogram.low, tensor.histogram.high) == (x.min(), x.max())
    np.testing.assert_allclose(tensor.channel_low, x.min(axis=(0, 1, 3)))
    np.testing.assert_allclose(tensor.channel_high, x.max(axis=(0, 1, 3)))
    np.testing.assert_allclose(tensor.channel_mean, x.mean(axis=(0, 1, 3)), rtol=1e-6)
    expected, _ = np.histogram(x, BINS, (x.min(), x.max()))
    assert np.abs(tensor.histogram.counts - expected).sum() <= 4
    y = found.tensors["y"].histogram
    assert y.zeros == int((x <= 0).sum()) and y.low == 0.0


def test_saving_is_deterministic_and_loses_nothing(tmp_path: Path) -> None:
    samples = samples_of(RELU, 3)
    found = observe(RELU, lambda: iter(samples))
    found.save(tmp_path / "a.npz")
    observe(RELU, lambda: iter(samples)).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = Observations.load(tmp_path / "a.npz")
    assert again.samples == 3 and list(again.tensors) == list(found.tensors)
    for name, tensor in found.tensors.items():
        np.testing.assert_array_equal(again.tensors[name].histogram.counts, tensor.histogram.counts)
        np.testing.assert_array_equal(again.tensors[name].channel_sum, tensor.channel_sum)
        assert again.tensors[name].histogram.zeros == tensor.histogram.zeros
        assert again.tensors[name].count == tensor.count


def test_no_library_decides_the_bytes(tmp_path: Path) -> None:
    observe(RELU, lambda: iter(samples_of(RELU, 3))).save(tmp_path / "a.npz")
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        entries = archive.infolist()
    assert {(entry.compress_type, entry.create_system) for entry in entries} == {(zipfile.ZIP_STORED, 3)}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04garbage", b"\x93NUMPY" + bytes(50)])
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "o.npz").write_bytes(data)
    with pytest.raises(ModelbuildError, match="not a file of observations"):
        Observations.load(tmp_path / "o.npz")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    observe(RELU, lambda: iter(samples_of(RELU, 1))).save(tmp_path / "o.npz")
    data = (tmp_path / "o.npz").read_bytes()
    for cut in range(0, len(data), 1499):
        (tmp_path / "o.npz").write_bytes(data[:cut])
        with pytest.raises(ModelbuildError):
            Observations.load(tmp_path / "o.npz")


@given(st.integers(0, 2**30), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_damaged_files_are_refused_or_read(damaged: tuple[Path, bytes], place: int, flip: int) -> None:
    path, data = damaged
    changed = bytearray(data)
    changed[place % len(data)] ^= flip
    path.write_bytes(changed)
    with contextlib.suppress(ModelbuildError):
        Observations.load(path)


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    path = tmp_path_factory.mktemp("damaged") / "o.npz"
    observe(RELU, lambda: iter(samples_of(RELU, 1))).save(path)
    return path, path.read_bytes()


def test_a_file_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    observe(RELU, lambda: iter(samples_of(RELU, 1))).save(tmp_path / "o.npz")
    data = (tmp_path / "o.npz").read_bytes()
    assert data.count(b"(2, 4096)") == 2
    (tmp_path / "o.npz").write_bytes(data.replace(b"(2, 4096), } ", b"(2e9,4096), }"))
    (tmp_path / "p.npz").write_bytes(data.replace(b"(2, 4096), }     ", b"(2000000000,), }"))
    for name in ("o.npz", "p.npz"):
        with pytest.raises(ModelbuildError, match="not a file of observations"):
            Observations.load(tmp_path / name)


def test_nan_and_infinity_name_tensor_and_sample() -> None:
    nodes = [Node("Log", "log", ["x"], ["l"]), Node("Relu", "relu", ["l"], ["y"])]
    graph = graph_of(nodes, {"x": (1, 2)}, ["y"])
    good = {"x": np.ones((1, 2), np.float32)}
    for value, text in ((-1.0, "'l' holds NaN"), (0.0, "'l' holds infinity")):
        bad = {"x": np.array([[1.0, value]], np.float32)}
        with pytest.raises(ModelbuildError, match=text) as caught:
            observe(graph, lambda bad=bad: iter([good, bad]))
        assert caught.value.exit_code == 1 and "sample 2" in str(caught.value)


@pytest.mark.parametrize("size", [1e-42, 1e-37, 3e38])
def test_numbers_at_the_ends_of_float32_are_counted(size: float) -> None:
    steps = np.linspace(-1, 1, 24, dtype=np.float64).reshape(2, 3, 4)
    sample = {"x": (steps * size).astype(np.float32)}
    histogram = observe(RELU, lambda: iter([sample])).tensors["x"].histogram
    expected, _ = np.histogram(sample["x"].astype(float), BINS, (histogram.low, histogram.high))
    np.testing.assert_array_equal(histogram.counts, expected)
    made = make(RELU, samples=[sample])
    assert all(np.isfinite(tensor.scale) and tensor.scale > 0 for tensor in made.fixed.tensors.values())


def test_no_sample_is_an_error() -> None:
    with pytest.raises(ModelbuildError, match="no calibration sample"):
        observe(RELU, lambda: iter([]))


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    graph = one_node("Conv", (1, 4, 64, 64), w=normal(8, 4, 1, 1))

    def peak(count: int) -> int:
        def samples():
            return (samples_of(graph, 1, seed)[0] for seed in range(count))

        tracemalloc.start()
        observe(graph, samples)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(12) < 1.3 * peak(3)


def test_tensors_leave_memory_as_they_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a sample runs, only what the run before it left may be there, in either pass."""
    runs: list[list[weakref.ref[np.ndarray]]] = []
    original = FloatSession.run

    def watched(session: FloatSession, sample: dict) -> dict:
        assert not [one for run in runs[:-1] for one in run if one() is not None]
        found = original(session, sample)
        runs.append(list(map(weakref.ref, found.values())))
        return found

    monkeypatch.setattr(FloatSession, "run", watched)
    nodes = [Node("Relu", f"r{i}", [f"t{i}"], [f"t{i + 1}"]) for i in range(6)]
    graph = graph_of(nodes, {"t0": (1, 4)}, ["t6"], {})
    samples = samples_of(graph, 5)
    observe(graph, lambda: iter(samples))
    assert len(runs) == 10


def relative_noise(found: Observations, name: str, error: float) -> float:
    """Of errors of one size on all values of a tensor, zeros included."""
    weights = found.tensors[name].channel_weight
    assert weights is not None
    return float(error**2 * weights.sum() / found.samples / found.outputs)


def test_gradients_predict_the_noise_at_the_outputs() -> None:
    """Of a linear model exactly: errors of one size and random signs in front of a matrix."""
    matrix = normal(20, 30)
    graph = graph_of(
        [Node("MatMul", "m", ["x", "w"], ["y"]), Node("Mul", "s", ["y", "c"], ["z"])],
        {"x": (1, 20)},
        ["z"],
        {"w": matrix, "c": np.array(3.0, np.float32)},
    )
    samples = samples_of(graph, 200)
    found = observe(graph, lambda: iter(samples))
    outputs = np.concatenate([sample["x"] for sample in samples]) @ matrix
    expected = 0.01**2 * float((matrix.astype(float) ** 2).sum()) / float((outputs**2).sum(axis=1).mean())
    assert relative_noise(found, "x", 0.01) == pytest.approx(expected, rel=0.15)
    power = float((3 * outputs.astype(float)) ** 2 @ np.ones(30) @ np.ones(200)) / 200
    assert relative_noise(found, "z", 0.01) == pytest.approx(0.01**2 * 30 / power, rel=1e-5)


def test_each_output_counts_relative_to_itself() -> None:
    nodes = [
        Node("Mul", "a", ["x", "large"], ["y"]),
        Node("Mul", "b", ["x", "small"], ["z"]),
    ]
    constants = {"large": np.array(1000, np.float32), "small": np.array(0.001, np.float32)}
    graph = graph_of(nodes, {"x": (1, 50)}, ["y", "z"], constants)
    found = observe(graph, lambda: iter(samples_of(graph, 64)))
    power = np.mean([np.square(sample["x"]).sum() for sample in samples_of(graph, 64)])
    assert found.outputs == 2
    assert relative_noise(found, "x", 0.01) == pytest.approx(0.01**2 * 50 / power, rel=0.1)


def test_weights_lie_where_the_values_are() -> None:
    """A Relu lets no error of a value below 0 through."""
    samples = samples_of(RELU, 5)
    found = observe(RELU, lambda: iter(samples))
    histogram = found.tensors["x"].histogram
    assert histogram.weights is not None
    centres = histogram.low + (np.arange(BINS) + 0.5) * (histogram.high - histogram.low) / BINS
    assert not histogram.weights[centres < -0.01].any()
    assert histogram.weights[centres > 0.01].all() == histogram.counts[centres > 0.01].all()
    channels = found.tensors["x"].channels
    assert channels is not None and channels.weights is not None
    np.testing.assert_allclose(channels.counts.sum(axis=1), found.tensors["x"].count / 3)
    np.testing.assert_allclose(channels.weights.sum(axis=1), found.tensors["x"].channel_weight, rtol=1e-5)
    np.testing.assert_allclose(channels.weights.sum(), histogram.weights.sum(), rtol=1e-5)
    zeros = found.tensors["y"]
    assert zeros.channels is not None and zeros.histogram.zero_weight > 0
    assert zeros.channels.counts.sum() == zeros.count - zeros.histogram.zeros


def test_squares_are_summed_by_channel() -> None:
    samples = samples_of(RELU, 3)
    found = observe(RELU, lambda: iter(samples)).tensors["x"]
    x = np.concatenate([sample["x"].astype(float) for sample in samples])
    np.testing.assert_allclose(found.channel_square, np.square(x).sum(axis=(0, 2)), rtol=1e-5)


def test_large_tensors_are_looked_at_in_part_and_scaled_to_the_whole() -> None:
    graph = one_node("Relu", (1, 4, 200, 150))
    found = observe(graph, lambda: iter(samples_of(graph, 3))).tensors["x"]
    assert int(found.histogram.counts.sum()) == pytest.approx(found.count, rel=1e-3)
    assert found.channels is not None
    np.testing.assert_allclose(found.channels.counts.sum(axis=1), found.count / 4, rtol=1e-2)
    x = np.concatenate([sample["x"].reshape(-1) for sample in samples_of(graph, 3)])
    assert (found.histogram.low, found.histogram.high) == (x.min(), x.max())
    below = found.histogram.counts[: BINS // 2].sum() / found.count
    assert below == pytest.approx(float((x < (x.min() + x.max()) / 2).mean()), abs=0.02)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_every_channel_row_and_column_is_looked_at(dims: list[int]) -> None:
    shape = tuple(dims)
    places = places_in(shape)
    cells = np.arange(np.prod(shape))
    assert places.count == len(places.of(cells)) <= VALUES
    assert places.count * 6 > min(len(cells), VALUES)
    channels = places.of(cells) // int(np.prod(shape[2:])) % shape[1] if len(shape) > 1 else 0
    np.testing.assert_array_equal(places.channels(shape), channels)
    for axis in range(1, len(shape)):
        seen = np.bincount(np.unravel_index(places.of(cells), shape)[axis], minlength=shape[axis])
        assert seen.max() - seen.min() <= max(2 * shape[0], 0.05 * seen.max())


def test_gradients_of_some_samples_stand_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(RELU, 12)
    whole = observe(RELU, lambda: iter(samples))
    monkeypatch.setattr(observing, "GRADIENT_SAMPLES", 3)
    part = observe(RELU, lambda: iter(samples))
    np.testing.assert_array_equal(part.tensors["x"].histogram.counts, whole.tensors["x"].histogram.counts)
    assert relative_noise(part, "x", 1.0) == pytest.approx(relative_noise(whole, "x", 1.0), rel=0.4)


def test_signs_are_the_same_everywhere() -> None:
    assert "".join("-+"[int(sign > 0)] for sign in random_signs(3, 24)) == SIGNS
    assert set(random_signs(0, 1000)) == {-1, 1} and abs(random_signs(1, 10**5).mean()) < 0.02
    assert (random_signs(1, 100) != random_signs(2, 100)).any()


def test_why_a_tensor_has_no_gradient_is_told_and_kept(tmp_path: Path) -> None:
    nodes = [
        Node("Relu", "r", ["x"], ["a"]),
        Node("Round", "n", ["a"], ["b"]),
        Node("Neg", "e", ["b"], ["y"]),
        Node("Abs", "u", ["b"], ["unread"]),
    ]
    graph = graph_of(nodes, {"x": (1, 2, 8)}, ["y"])
    found = observe(graph, lambda: iter(samples_of(graph, 2)))
    assert found.no_gradient == {"x": "Round", "a": "Round", "unread": ""}
    for name, tensor in found.tensors.items():
        assert (tensor.histogram.weights is None) == (name in found.no_gradient)
        assert (tensor.channel_weight is None) == (name in found.no_gradient)
    found.save(tmp_path / "o.npz")
    again = Observations.load(tmp_path / "o.npz")
    assert again.no_gradient == found.no_gradient and again.outputs == 1
    for name, tensor in found.tensors.items():
        other = again.tensors[name]
        np.testing.assert_array_equal(other.histogram.weights, tensor.histogram.weights)
        np.testing.assert_array_equal(other.channel_weight, tensor.channel_weight)
        assert other.channels is not None and tensor.channels is not None
        np.testing.assert_array_equal(other.channels.counts, tensor.channels.counts)
        np.testing.assert_array_equal(other.channels.weights, tensor.channels.weights)


def test_a_slope_that_is_infinite_is_no_gradient() -> None:
    graph = graph_of([Node("Relu", "r", ["x"], ["a"]), Node("Sqrt", "s", ["a"], ["y"])], {"x": (1, 9)}, ["y"])
    found = observe(graph, lambda: iter(samples_of(graph, 2)))
    assert found.no_gradient == {"a": "infinite"}, "the Relu takes none of it to x"


def test_scalars_and_outputs_of_zeros_are_observed() -> None:
    nodes = [Node("ReduceSum", "r", ["x"], ["y"], {"keepdims": 0}), Node("Mul", "m", ["x", "c"], ["z"])]
    graph = graph_of(nodes, {"x": (2, 3)}, ["y", "z"], {"c": np.zeros(1, np.float32)})
    found = observe(graph, lambda: iter(samples_of(graph, 2)))
    assert found.outputs == 1 and found.tensors["y"].count == 2 and not found.no_gradient

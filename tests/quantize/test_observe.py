"""Observation is exact, streaming, independent of how samples are run, and says what is wrong."""

from __future__ import annotations

import contextlib
import tracemalloc
import weakref
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Graph, Node
from modelbuild.graph.session import FloatSession
from modelbuild.quantize.histogram import BINS
from modelbuild.quantize.looking import VALUES
from modelbuild.quantize.observe import AT_ONCE, GRADIENT_SAMPLES, Observations, observe
from modelbuild.quantize.settings import THREADS
from tests.hypotheses import examples
from tests.quantize.cases import graph_of, make, normal, one_node, samples_of

RELU = one_node("Relu", (2, 3, 4))


def test_numbers_are_those_of_all_samples() -> None:
    samples = samples_of(RELU, 7)
    found = observe(RELU, samples)
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
    found = observe(RELU, samples)
    found.save(tmp_path / "a.npz")
    observe(RELU, samples).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = Observations.load(tmp_path / "a.npz")
    assert again.samples == 3 and list(again.tensors) == list(found.tensors)
    for name, tensor in found.tensors.items():
        np.testing.assert_array_equal(again.tensors[name].histogram.counts, tensor.histogram.counts)
        np.testing.assert_array_equal(again.tensors[name].channel_sum, tensor.channel_sum)
        assert again.tensors[name].histogram.zeros == tensor.histogram.zeros
        assert again.tensors[name].count == tensor.count


def test_no_library_decides_the_bytes(tmp_path: Path) -> None:
    observe(RELU, samples_of(RELU, 3)).save(tmp_path / "a.npz")
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
    observe(RELU, samples_of(RELU, 1)).save(tmp_path / "o.npz")
    data = (tmp_path / "o.npz").read_bytes()
    for cut in range(0, len(data), 1499):
        (tmp_path / "o.npz").write_bytes(data[:cut])
        with pytest.raises(ModelbuildError):
            Observations.load(tmp_path / "o.npz")


@given(st.integers(0, 2**30), st.integers(1, 255))
@examples(60)
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
    observe(RELU, samples_of(RELU, 1)).save(path)
    return path, path.read_bytes()


def test_a_file_that_claims_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    observe(RELU, samples_of(RELU, 1)).save(tmp_path / "o.npz")
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
            observe(graph, [good, bad])
        assert caught.value.exit_code == 1 and "sample 2" in str(caught.value)


def test_nan_anywhere_in_a_large_tensor_is_found() -> None:
    """The smallest and largest value of a runtime need not be NaN where a value is."""
    for place in (0, 7, 5000, 12287):
        x = np.ones((1, 3, 64, 64), np.float32)
        x.reshape(-1)[place] = np.nan
        with pytest.raises(ModelbuildError, match="'x' holds NaN"):
            observe(one_node("Relu", x.shape), [{"x": x}])


@pytest.mark.parametrize("size", [1e-42, 1e-37, 3e38])
def test_numbers_at_the_ends_of_float32_are_counted(size: float) -> None:
    steps = np.linspace(-1, 1, 24, dtype=np.float64).reshape(2, 3, 4)
    sample = {"x": (steps * size).astype(np.float32)}
    histogram = observe(RELU, [sample]).tensors["x"].histogram
    expected, _ = np.histogram(sample["x"].astype(float), BINS, (histogram.low, histogram.high))
    np.testing.assert_array_equal(histogram.counts, expected)
    made = make(RELU, samples=[sample])
    assert all(np.isfinite(tensor.scale) and tensor.scale > 0 for tensor in made.fixed.tensors.values())


@pytest.mark.parametrize("size", [1e-20, 1e-25])
def test_tiny_outputs_leave_gradients_to_the_others(size: float, tmp_path: Path) -> None:
    """Relative to an output of 1e-20, squared gradients are beyond float32."""
    nodes = [Node("Conv", "c", ["x", "w"], ["y"]), Node("Conv", "d", ["x", "v"], ["z"])]
    weights = {"w": normal(3, 2, 3, 3), "v": (size * normal(3, 2, 3, 3)).astype(np.float32)}
    graph = graph_of(nodes, {"x": (1, 2, 5, 5)}, ["y", "z"], weights)
    found = observe(graph, samples_of(graph, 3))
    found.save(tmp_path / "seen.npz")
    assert Observations.load(tmp_path / "seen.npz").outputs == 1
    assert found.tensors["x"].histogram.weights is not None
    assert found.tensors["x"].histogram.weights.max() > 0


def test_tiny_tensors_whose_gradients_leave_float32_have_none(tmp_path: Path) -> None:
    nodes = [Node("Conv", "c", ["x", "w"], ["t"]), Node("Conv", "d", ["t", "v"], ["y"])]
    weights = {"w": 1e-18 * normal(3, 2, 3, 3), "v": 1e18 * normal(2, 3, 1, 1)}
    graph = graph_of(nodes, {"x": (1, 2, 5, 5)}, ["y"], {n: v.astype(np.float32) for n, v in weights.items()})
    samples = [{"x": (1e-2 * sample["x"]).astype(np.float32)} for sample in samples_of(graph, 3)]
    observe(graph, samples).save(tmp_path / "seen.npz")
    Observations.load(tmp_path / "seen.npz")


def test_no_sample_is_an_error() -> None:
    with pytest.raises(ModelbuildError, match="no calibration sample"):
        observe(RELU, [])


class Made:
    """Samples that are made as they are asked for."""

    def __init__(self, graph: Graph, count: int) -> None:
        self.graph, self.count = graph, count
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> dict[str, np.ndarray]:
        self.asked.append(number)
        return samples_of(self.graph, 1, number)[0]


def test_each_sample_is_asked_for_twice_those_with_gradients_before_the_others() -> None:
    made = Made(RELU, 150)
    observe(RELU, made)
    weighed = [index * 150 // GRADIENT_SAMPLES for index in range(GRADIENT_SAMPLES)]
    others = sorted({*range(150)} - {*weighed})
    assert made.asked == [*range(150), *weighed, *others]


def test_one_session_of_the_model_is_open_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many samples there are: those without gradients have a session of their own."""
    sessions = weakref.WeakSet[FloatSession]()
    original = FloatSession.run
    most = 0

    def watched(session: FloatSession, sample: dict) -> dict:
        nonlocal most
        sessions.add(session)
        most = max(most, len(sessions))
        return original(session, sample)

    monkeypatch.setattr(FloatSession, "run", watched)
    graph = one_node("Relu", (1, 4))  # whose reader, the input, has no covariance: that would be a session
    observe(graph, Made(graph, 2 * GRADIENT_SAMPLES))
    assert most == 1


def test_memory_does_not_grow_with_the_number_of_samples() -> None:
    graph = one_node("Conv", (1, 4, 64, 64), w=normal(8, 4, 1, 1))

    def peak(count: int) -> int:
        tracemalloc.start()
        observe(graph, Made(graph, count))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(24) < 1.3 * peak(8)


def test_tensors_leave_memory_as_they_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """When a sample runs, what the runs long before it left is gone, in either pass."""
    runs: list[list[weakref.ref[np.ndarray]]] = []
    original = FloatSession.run

    def watched(session: FloatSession, sample: dict) -> dict:
        assert not [one for run in runs[: -AT_ONCE - 2 * THREADS] for one in run if one() is not None]
        found = original(session, sample)
        runs.append(list(map(weakref.ref, found.values())))
        return found

    monkeypatch.setattr(FloatSession, "run", watched)
    nodes = [Node("Relu", f"r{i}", [f"t{i}"], [f"t{i + 1}"]) for i in range(6)]
    graph = graph_of(nodes, {"t0": (1, 4)}, ["t6"], {})
    samples = samples_of(graph, 20)
    observe(graph, samples)
    assert len(runs) == 40


def test_variances_are_those_of_channels() -> None:
    samples = samples_of(RELU, 3)
    found = observe(RELU, samples).tensors["x"]
    x = np.concatenate([sample["x"].astype(float) for sample in samples])
    np.testing.assert_allclose(found.channel_variance, x.var(axis=(0, 2)), rtol=1e-4)
    np.testing.assert_allclose(found.channel_power, np.square(x).mean(axis=(0, 2)), rtol=1e-4)
    assert found.power == pytest.approx(float(np.square(x).sum()), rel=1e-4)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (10.0, 0.2), (-3000.0, 0.1)])
def test_variances_of_large_tensors_hold_beside_any_mean(mean: float, deviation: float) -> None:
    """The mean is that of all values, and a variance that is less its square would be one of others."""
    graph = one_node("Relu", (1, 16, 96, 96))
    assert 8 * VALUES < 16 * 96 * 96
    samples = [{"x": (mean + deviation * sample["x"]).astype(np.float32)} for sample in samples_of(graph, 4)]
    found = observe(graph, samples).tensors["x"]
    x = np.concatenate([sample["x"].astype(float) for sample in samples])
    np.testing.assert_allclose(found.channel_variance, x.var(axis=(0, 2, 3)), rtol=0.15)
    assert found.channel_variance.mean() == pytest.approx(x.var(axis=(0, 2, 3)).mean(), rel=0.03)


def test_a_variance_beside_an_outlier_is_that_of_the_values() -> None:
    """One value, which is not looked at, makes a range of 10,000 deviations; the values lie at its end."""
    graph = one_node("Relu", (1, 1, 256, 256))
    x = (500 + 0.05 * samples_of(graph, 1)[0]["x"]).astype(np.float32)
    deviation = float(x.astype(float).std())
    x[0, 0, 0, 0] = 0.0
    found = observe(graph, [{"x": x}]).tensors["x"]
    assert found.histogram.low == 0.0 and found.channel_variance[0] == pytest.approx(deviation**2, rel=0.03)


def test_channels_of_which_nothing_is_looked_at_may_lie_anywhere_in_their_range() -> None:
    graph = one_node("Relu", (1, 3 * VALUES, 1, 1))
    samples = samples_of(graph, 3)
    found = observe(graph, samples).tensors["x"]
    seen = np.concatenate([sample["x"] for sample in samples]).var(axis=0).reshape(-1)
    looked = np.isclose(found.channel_variance, seen, rtol=1e-4)
    width = found.channel_high - found.channel_low
    assert 0.1 < looked.mean() < 0.4
    np.testing.assert_allclose(found.channel_variance[~looked], np.square(width[~looked]) / 12)


def test_large_tensors_are_looked_at_in_part_and_scaled_to_the_whole() -> None:
    graph = one_node("Relu", (1, 4, 200, 150))
    found = observe(graph, samples_of(graph, 3)).tensors["x"]
    assert int(found.histogram.counts.sum()) == pytest.approx(found.count, rel=1e-3)
    assert found.channels is not None
    np.testing.assert_allclose(found.channels.counts.sum(axis=1), found.count / 4, rtol=1e-2)
    x = np.concatenate([sample["x"].reshape(-1) for sample in samples_of(graph, 3)])
    assert (found.histogram.low, found.histogram.high) == (x.min(), x.max())
    below = found.histogram.counts[: BINS // 2].sum() / found.count
    assert below == pytest.approx(float((x < (x.min() + x.max()) / 2).mean()), abs=0.02)


def test_weights_of_large_tensors_are_scaled_to_the_whole() -> None:
    """An output's own gradients are signs: their squares add up to its cells over its power."""
    graph = one_node("LeakyRelu", (1, 4, 200, 150), {"alpha": 1.0})
    samples = samples_of(graph, 3)
    found = observe(graph, samples).tensors["x"]
    power = np.mean([np.square(sample["x"].astype(float)).sum() for sample in samples])
    assert found.histogram.weights is not None and found.channel_weight is not None
    assert found.channels is not None and found.channels.weights is not None
    for weights in (found.histogram.weights, found.channel_weight, found.channels.weights):
        assert weights.sum() == pytest.approx(found.count / power, rel=1e-3)


def test_no_optimisation_of_onnxruntime_changes_what_is_seen() -> None:
    """It takes a Pad with 0 into the MaxPool behind it, whose maximum of negative numbers is another one."""
    nodes = [
        Node("Pad", "pad", ["x", "pads"], ["a"]),
        Node("MaxPool", "pool", ["a"], ["b"], {"kernel_shape": [3, 3], "strides": [2, 2]}),
        Node("Conv", "conv", ["b", "w"], ["c"]),
        Node("Relu", "relu", ["c"], ["y"]),
    ]
    constants = {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]), "w": normal(16, 16, 1, 1)}
    graph = graph_of(nodes, {"x": (1, 16, 9, 9)}, ["y"], constants)
    sample = {"x": -0.5 - np.abs(normal(1, 16, 9, 9))}
    found = observe(graph, [sample]).tensors
    expected = FloatSession(graph, "all").run(sample)
    assert set(found) == {"x", "a", "b", "y"} and found["b"].channel_high.max() == 0.0
    for name in ("a", "b", "y"):
        np.testing.assert_allclose(found[name].channel_high, expected[name].max(axis=(0, 2, 3)), rtol=1e-5)
        np.testing.assert_allclose(found[name].channel_low, expected[name].min(axis=(0, 2, 3)), rtol=1e-5)

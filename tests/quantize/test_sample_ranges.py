"""The samples' own extremes, kept in bounded memory, and the moving average of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.graph.model import Node
from modelbuild.quantize.equalized import scaled
from modelbuild.quantize.number_format import TensorFormat
from modelbuild.quantize.observations import Observations
from modelbuild.quantize.observe import observe
from modelbuild.quantize.ranges import moving_average
from modelbuild.quantize.sample_ranges import MOST, SampleRanges
from tests.quantize.cases import graph_of

INT8 = TensorFormat(8, True, False, "free")
SAMPLES = [{"x": np.array([[low, high]], np.float32)} for low, high in ((-1, 1), (-2, 5), (-0.5, 3))]


def seen(threads: int = 2) -> Observations:
    graph = graph_of([Node("Relu", "relu", ["x"], ["y"])], {"x": (1, 2)}, ["y"], {})
    return observe(graph, SAMPLES, threads)


def test_observations_hold_the_extremes_of_each_sample_in_order(tmp_path: Path) -> None:
    found = seen()
    assert found.tensors["x"].sample_ranges.tolist() == [[-1, 1], [-2, 5], [-0.5, 3]]
    assert found.tensors["y"].sample_ranges.tolist() == [[0, 1], [0, 5], [0, 3]]
    found.save(tmp_path / "seen.npz")
    again = Observations.load(tmp_path / "seen.npz")
    for name in ("x", "y"):
        assert (again.tensors[name].sample_ranges == found.tensors[name].sample_ranges).all()


def test_no_number_of_threads_changes_a_byte(tmp_path: Path) -> None:
    for threads in (1, 2, 4):
        seen(threads).save(tmp_path / f"{threads}.npz")
    one, two, four = ((tmp_path / f"{threads}.npz").read_bytes() for threads in (1, 2, 4))
    assert one == two == four


def test_many_samples_become_the_means_of_neighbours() -> None:
    kept = SampleRanges()
    count = 5 * MOST + 3
    for number in range(count):
        kept.add(np.array([[-number, number]], np.float64))
    (rows,) = kept.found()
    assert len(rows) <= MOST
    assert rows[0].tolist() == [-3.5, 3.5] and rows[1].tolist() == [-11.5, 11.5]  # of eight each
    assert rows[-1].tolist() == [-641.0, 641.0]  # of the last three


@pytest.mark.parametrize(
    ("momentum", "wanted"), [(0.0, (-0.5, 3.0)), (0.5, (-1.0, 3.0)), (0.9, (-1.04, 1.56))]
)
def test_the_average_moves_from_sample_to_sample(momentum: float, wanted: tuple[float, float]) -> None:
    found = moving_average.choose(seen().tensors["x"], INT8, {"momentum": momentum})
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize(("count", "rows"), [(127, 127), (128, 128), (129, 65), (256, 128), (1000, 125)])
def test_means_of_neighbours_count_as_often_as_they_stand_for(count: int, rows: int) -> None:
    """Extremes that shrink from 10 to 1, as those of a sorted list do."""
    kept, average = SampleRanges(), 10.0
    for number in range(count):
        high = 10.0 - 9.0 * number / (count - 1)
        kept.add(np.array([[0.0, high]]))
        average = 0.9 * average + 0.1 * high
    found = replace(seen().tensors["x"], sample_ranges=kept.found()[0], samples=count)
    assert len(found.sample_ranges) == rows and found.samples_of_rows.sum() == count
    assert moving_average.choose(found, INT8, {})[1] == pytest.approx(average, rel=0.01)


def test_rows_that_no_number_of_samples_makes(tmp_path: Path) -> None:
    found = seen()
    doubled = {
        name: replace(tensor, sample_ranges=np.repeat(tensor.sample_ranges, 2, axis=0))
        for name, tensor in found.tensors.items()
    }
    replace(found, tensors=doubled).save(tmp_path / "seen.npz")
    with pytest.raises(ModelbuildError, match="6 rows of 3 samples"):
        Observations.load(tmp_path / "seen.npz")


def test_where_samples_are_not_known_apart_there_is_no_average() -> None:
    equalized = scaled(seen().tensors["x"], np.array([1.0, 2.0]))
    with pytest.raises(ModelbuildError, match="no moving average") as caught:
        moving_average.choose(equalized, INT8, {})
    assert caught.value.exit_code == 2 and "split: false" in caught.value.problems[0].advice

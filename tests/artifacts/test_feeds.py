"""`--input` options -> samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelbuild.arithmetic.fixed_model import QuantizedTensor
from modelbuild.artifacts.feeds import arrays, parse
from modelbuild.artifacts.runner import Port
from modelbuild.errors import ModelbuildError

ONE = (Port("x", (1, 2), "float32"),)
TWO = (Port("left", (1, 2), "float32"), Port("right", (1, 2), "float32"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(3):
        np.save(tmp_path / f"{index}.npy", np.full((1, 2), index, np.float32))
    both = {"left": np.zeros((1, 2), np.float32), "right": np.ones((1, 2), np.float32)}
    np.savez(tmp_path / "both.npz", **both)
    return tmp_path


def values(texts: list[str], ports: tuple[Port, ...], folder: Path) -> list[dict[str, float]]:
    feed = parse(texts, ports, folder)
    return [{name: float(v.flat[0]) for name, v in s.items()} for s in arrays(feed, ports, {}, raw=False)]


def test_files_globs_and_repetition(folder: Path) -> None:
    assert values(["1.npy"], ONE, folder) == [{"x": 1.0}]
    assert values(["[0-9].npy"], ONE, folder) == [{"x": 0.0}, {"x": 1.0}, {"x": 2.0}]
    assert values(["x=2.npy", "x=0.npy"], ONE, folder) == [{"x": 2.0}, {"x": 0.0}]


def test_several_inputs_by_name_or_one_npz(folder: Path) -> None:
    assert values(["left=0.npy", "right=2.npy"], TWO, folder) == [{"left": 0.0, "right": 2.0}]
    assert values(["both.npz"], TWO, folder) == [{"left": 0.0, "right": 1.0}]


@pytest.mark.parametrize(
    ("texts", "ports", "says"),
    [
        (["y=0.npy"], ONE, "no input `y`"),
        (["left=0.npy"], TWO, "nothing is given for the input `right`"),
        (["0.npy"], TWO, "the model has 2 inputs"),
        (["left=0.npy", "left=1.npy", "right=0.npy"], TWO, "different numbers of samples"),
        (["none.npy"], ONE, "none.npy"),
    ],
)
def test_what_cannot_be_fed(texts: list[str], ports: tuple[Port, ...], says: str, folder: Path) -> None:
    with pytest.raises(ModelbuildError, match=says):
        parse(texts, ports, folder)


def test_raw_reads_the_models_own_integers(folder: Path) -> None:
    port = (Port("x", (1, 2), "int8", QuantizedTensor("x", (1, 2), 8, True, 0.5, 0)),)
    np.save(folder / "raw.npy", np.array([[-128, 127]], np.int8))
    (sample,) = arrays(parse(["raw.npy"], port, folder), port, {}, raw=True)
    assert sample["x"].dtype == np.int8 and sample["x"].tolist() == [[-128, 127]]
    with pytest.raises(ModelbuildError):
        list(arrays(parse(["0.npy"], port, folder), port, {}, raw=True))  # float32, not int8

"""`compare`: the table of outputs, and layers with the worst first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild.artifacts.comparing import Comparison
from modelbuild.cli.compare import _text
from tests.cli.conftest import Command


def entry(name: str, snr: float | None, **more: Any) -> dict[str, Any]:
    return {"name": name, "snr_db": snr, "snr_db_mean": snr, "cosine": 0.5, "max_abs": 0.25, **more}


def test_the_worst_layer_is_first_and_equal_ones_last() -> None:
    layers = tuple(entry(name, snr) for name, snr in (("a", 40.0), ("b", None), ("c", -3.0), ("d", 0.0)))
    text = _text(Comparison((entry("y", 25.5),), layers, False, 1))
    table, ranked = text.split("worst first:\n")
    assert table.splitlines()[0].split("  ")[0] == "output"
    assert table.splitlines()[1].split() == ["y", "25.5", "25.5", "0.500000", "0.25"]
    assert [line.split() for line in ranked.splitlines()[1:-1]] == [
        ["c", "-3.0"],
        ["d", "0.0"],
        ["a", "40.0"],
        ["b", "equal"],
    ]
    assert text.splitlines()[-1] == "not equal"


def test_without_layers_there_is_no_list() -> None:
    text = _text(Comparison((entry("y", None, cosine=None, max_abs=0.0),), (), True, 1))
    assert "worst" not in text
    assert text.splitlines()[1].split() == ["y", "equal", "equal", "n/a", "0"]
    assert text.splitlines()[-1] == "equal in every value"


def test_the_forms_of_a_model(small: Path, command: Command) -> None:
    words = ("compare", "small@nef", "--input", "integers", "--layers")
    said = command(small, *words)
    assert said.code == 0, said.err
    data = command(small, *words, "--json").json
    assert data["samples"] == 8 and data["equal"] is False and said.lines[-1] == "not equal"
    table, told = said.out.split("by the error of the layer itself:\n")[1].split("where this is too little, ")
    own = [float(line.split()[-2]) for line in table.splitlines()[1:]]
    nodes = {layer["name"]: layer["node"] for layer in data["layers"]}
    assert all(nodes[line.split()[0]] == line.split()[1] for line in table.splitlines()[1:])
    assert own == sorted(round(layer["own_snr_db"], 1) for layer in data["layers"])
    steps = [line for line in told.splitlines() if line.strip()[0].isdigit()]
    assert [line.split()[1] for line in steps] == ["more", "another", "int16"]
    assert data["advice"][0] == steps[0].strip().removeprefix("1. ")
    exact = command(small, "compare", "small@nef", "--levels", "fixed,hardware", "--input", "data/2.npy")
    assert exact.lines[-1] == "equal in every value"


def test_wrong_levels(small: Path, command: Command) -> None:
    for levels in ("float", "float,fixd", "float,fixed,hardware"):
        said = command(small, "compare", "small@nef", "--levels", levels, "--input", "integers")
        assert said.code == 2 and f"--levels {levels} is not two of float, fixed, hardware" in said.err


def test_no_tail_needs_a_model_that_can_have_one(folder: Path, command: Command) -> None:
    said = command(folder, "compare", "net.onnx", "net.onnx", "--no-tail", "--input", "x.npy")
    assert said.code == 2
    assert said.err.startswith("error: --no-tail goes with MODEL@TARGET")

"""Descriptions whose JSON is well-formed and wrong: other types, missing keys, huge numbers, deep nesting."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from modelbuild import importers
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.formats import hdf5
from modelbuild.formats.hdf5 import Group
from modelbuild.graph.normalise import normalise
from tests.importers import mutations
from tests.importers.keras.test_files import BOTH, WEIGHTS, B, K, nested, three
from tests.importers.keras.test_shapes import MOVES
from tests.importers.keras.writer import (
    Config,
    called,
    functional,
    lambda_layer,
    layer,
    numbers,
    operation,
    source,
)
from tests.importers.refused import message

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
VALUES = (
    None, True, False, 0, -1, 1, 3, 2**20, 2**31, 2**63, 10**30, 10**300, 0.5, 1e300, float("nan"),
    float("inf"), "",
    "x", "same", "causal", "channels_first", "y" * 5000, [], {}, [None], [[]], [0], [-1, -1], [2**20] * 2,
    DEEP,
    {"class_name": "__tensor__", "config": {"value": [[1], 2]}}, {"config": {"value": None}}, ["x", 0, 0],
    {"class_name": "Sequential", "config": {"layers": []}}, {"start": 0, "stop": None, "step": 0},
)  # fmt: skip


def models() -> list[tuple[str, Config]]:
    """(Keras's version, description)."""
    moved = [called(layer(kind, name, **settings), ["x"]) for name, (kind, settings, _) in MOVES.items()]
    layers = [
        lambda_layer("split", "s", ["x", 0, 0, {"num_or_size_splits": 2, "axis": -1}]),
        lambda_layer("concat", "j", [["x", 0, 0, {"axis": 1}], ["x", 0, 0, {"axis": 1}]]),
        lambda_layer(
            "__operators__.getitem", "i", ["s", 0, 1, {"slice_spec": [{"start": 0, "stop": 1, "step": 1}]}]
        ),
        lambda_layer("image.resize", "r", ["x", 0, 0, {"size": [12, 14]}]),
        lambda_layer("reshape", "f", ["x", 0, 0, {"shape": [-1, 8]}]),
        lambda_layer("tile", "t", ["x", 0, 0, {"multiples": [1, 2, 2, 1]}]),
        lambda_layer("pad", "p", ["x", 0, 0, {"paddings": [[0, 0], [1, 1], [1, 1], [0, 0]]}]),
    ]
    operations = [
        operation("Add", "a", "x", 3.0),
        operation("Mean", "m", "x", axis=[1, 2], keepdims=True),
        operation("Repeat", "e", "x", repeats=2, axis=1),
        operation("BroadcastTo", "o", "x", shape=[2, 6, 7, 4]),
        operation("MaxPool", "l", "x", pool_size=2, strides=None, padding="same"),
    ]
    x = source("x", 6, 7, 4)
    return [
        ("2.4.0", BOTH),
        ("1.2.2", BOTH),
        ("3.5.0", three(BOTH["config"]["layers"][1:], [None, 6, 7, 4])),
        ("2.4.0", nested()),
        ("2.9.0", functional([x, *moved], ["x"], [item["name"] for item in moved])),
        ("2.9.0", functional([x, *layers], ["x"], [item["name"] for item in layers])),
        ("3.5.0", functional([x, *operations], ["x"], [item["name"] for item in operations])),
    ]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs):
        yield value, key
        yield from places(item)


def damaged(model: Config, dice: Random) -> Config:
    """`model` with one to three faults."""
    result = copy.deepcopy(model)
    for _ in range(dice.randint(1, 3)):
        container, key = dice.choice(list(places({"": result})))
        match dice.randrange(5):
            case 0:
                container.pop(key)
            case 1 if isinstance(container, list):
                container[key:key] = [container[key]] * dice.choice([1, 3, 300])
            case 2:
                container[key] = copy.deepcopy(dice.choice([pair[0] for pair in places({"": result})]))
            case _:
                container[key] = copy.deepcopy(dice.choice(VALUES))
        if not result:
            break
    return result


def attempt(path: Path) -> int:
    """Loads the model; what comes of it."""
    try:
        normalise(importers.load(path))
    except ModelbuildError as error:
        if error.exit_code == EXIT_FAILED:
            raise
        return mutations.REFUSED
    return mutations.LOADED


def weights() -> Group:
    """The weights of all models, without a file: reading one takes a process."""
    found = {
        "c": WEIGHTS["c"], "b": WEIGHTS["b"], "inner": [K, B, *WEIGHTS["b"]], "d": [numbers(5, 2), numbers(2)]
    }  # fmt: skip
    groups = {
        name: Group(
            {"weight_names": [f"w{index}" for index in range(len(arrays))]},
            arrays={f"w{index}": np.asarray(array) for index, array in enumerate(arrays)},
        )
        for name, arrays in found.items()
    }
    return Group({"layer_names": list(found)}, groups)


def faults(seeds: range, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    stored, known, path = weights(), models(), folder / "m.keras"
    monkeypatch.setattr(hdf5, "read", lambda *_: stored)
    found, ends = list[str](), set[int]()
    for seed in seeds:
        dice = Random(seed)
        version, model = dice.choice(known)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
            parts.writestr("metadata.json", json.dumps({"keras_version": version}))
            parts.writestr("config.json", json.dumps(damaged(model, dice)))
            parts.writestr("model.weights.h5", bytes(2**20))
        code, what = mutations.fate(partial(attempt, path))
        ends.add(code)
        if code == mutations.BUG:
            found.append(f"seed {seed}: {what}")
    if len(seeds) > 100 and mutations.REFUSED not in ends:
        found.append("no damaged description was refused")
    return found


def test_the_models_load_undamaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = weights()
    monkeypatch.setattr(hdf5, "read", lambda *_: stored)
    for version, model in models():
        path = tmp_path / "m.keras"
        with zipfile.ZipFile(path, "w") as parts:
            parts.writestr("metadata.json", json.dumps({"keras_version": version}))
            parts.writestr("config.json", json.dumps(model))
            parts.writestr("model.weights.h5", b"")
        assert attempt(path) == mutations.LOADED


@pytest.mark.parametrize("text", ["[" * 100_000, '{"class_name":' * 900 + "1" + "}" * 900, "1" * 5000])
def test_texts_that_would_overflow_the_stack_are_refused(tmp_path: Path, text: str) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as parts:
        parts.writestr("metadata.json", "{}")
        parts.writestr("config.json", text)
        parts.writestr("model.weights.h5", b"")
    assert "the model's description is" in message(tmp_path / "m.keras")


def test_damaged_descriptions_give_clean_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(range(150), tmp_path, monkeypatch) == []


@pytest.mark.long
def test_thousands_of_damaged_descriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(range(1000, 5000), tmp_path, monkeypatch) == []

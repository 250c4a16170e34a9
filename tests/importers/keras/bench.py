"""Many layers in one model: each against what it must make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelbuild import importers
from tests.importers.keras.judge import difference, run
from tests.importers.keras.writer import Array, Config, called, functional, hdf5, layer, source


class Bench:
    """Collects layers, and runs all of them from one file: reading a file takes a process."""

    def __init__(self, version: str = "2.4.0") -> None:
        self._version = version
        self._layers: list[Config] = []
        self._feeds: list[Array] = []
        self._weights: dict[str, tuple[Array, ...]] = {}
        self._wanted: dict[str, Any] = {}

    def __call__(self, data: Array, kind: str, *weights: Array, **settings: Any) -> str:
        """A layer on `data`; its name."""
        place = next((i for i, feed in enumerate(self._feeds) if feed is data), len(self._feeds))
        if place == len(self._feeds):
            self._feeds.append(data)
        name = f"{kind} {len(self._layers)}"
        self._layers.append(called(layer(kind, name, **settings), [f"x{place}"]))
        self._weights |= {name: weights} if weights else {}
        return name

    def agree(self, name: str, wanted: Any) -> None:
        """Notes what the layer `name` must make."""
        self._wanted[name] = wanted

    def check(self, folder: Path) -> None:
        """Runs them all."""
        inputs = [source(f"x{index}", *feed.shape[1:]) for index, feed in enumerate(self._feeds)]
        names = [item["name"] for item in inputs]
        outputs = list(self._wanted)
        path = hdf5(
            folder / "m.h5",
            functional([*inputs, *self._layers], names, outputs),
            self._weights,
            self._version,
        )
        graph = importers.load(path)
        assert graph.outputs == outputs
        assert len(outputs) == len(self._layers)
        found = run(graph, *self._feeds)
        for name, wanted in self._wanted.items():
            assert (name, difference(found[name], wanted) <= 1e-5) == (name, True)

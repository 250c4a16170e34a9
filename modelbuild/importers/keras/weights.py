"""Where a layer's weights lie in an HDF5 file: by layer names (Keras 1 and 2), or by paths (Keras 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from modelbuild.errors import ModelbuildError
from modelbuild.formats.hdf5 import Group
from modelbuild.graph.model import Array
from modelbuild.importers.keras.config import Model
from modelbuild.importers.keras.variables import Variable, variables

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")


@dataclass
class Weights:
    """The weights in a file. `of` reads those of one layer, in the order in which Keras makes them."""

    read: Callable[[], Group]  # called when the first weights are asked for
    model: Model

    def of(self, path: tuple[str, ...]) -> list[Array] | None:
        """The arrays of the layer at `path`; None where the file has nothing of that name."""
        places = self._found.get(path)
        if places is None:
            return None
        return [group.array(name) for group, name in places]

    @cached_property
    def backend(self) -> str:
        """The library that Keras ran on when it wrote the file, where it says so."""
        found = self._file.texts.get("backend") or self._root.texts.get("backend")
        return found if isinstance(found, str) else ""

    @cached_property
    def _file(self) -> Group:
        return self.read()

    @property
    def _root(self) -> Group:
        return self._file.group("model_weights") or self._file

    @cached_property
    def _found(self) -> dict[tuple[str, ...], list[tuple[Group, str]]]:
        return _Places(self._root, self.model).found


@dataclass
class _Places:
    """Path of a layer -> where its weights lie."""

    root: Group
    model: Model
    found: dict[tuple[str, ...], list[tuple[Group, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.root.list_of("layer_names") is not None:
            self._find_by_names(self.root)
        else:
            self._find_by_paths(self.root, self.model, ())

    def _find_by_names(self, root: Group) -> None:
        for layer in self.model.layers:
            group = root.group(layer.name)
            if group is None:
                continue
            names = group.list_of("weight_names") or []
            places = [(group, name) for name in names]
            if layer.model is None:
                self.found[(layer.name,)] = places
            else:
                self._share_out(layer.model, (layer.name,), places)

    def _share_out(self, model: Model, path: tuple[str, ...], places: Sequence[tuple[Group, str]]) -> None:
        """The weights of a nested model stand in one list: those that are trained, then the others."""
        slots = list(_slots(model, path, True))
        ordered = [slot for slot in slots if slot[1].trained] + [
            slot for slot in slots if not slot[1].trained
        ]
        if len(ordered) != len(places):
            raise ModelbuildError(
                f"the weights of the model `{model.name}` cannot be told apart",
                why=f"its layers have {len(ordered)}, the file holds {len(places)}",
                advice="save the model with Keras 3 as .keras",
            )
        shared = {id(slot): place for slot, place in zip(ordered, places, strict=True)}
        for slot in slots:
            self.found.setdefault(slot[0], []).append(shared[id(slot)])

    def _find_by_paths(self, group: Group, model: Model, path: tuple[str, ...]) -> None:
        container = next((c for c in (group.group(n) for n in CONTAINERS) if c is not None), None)
        if container is None:
            return
        entries = _entries(container)
        counts: dict[str, int] = {}
        for layer in (layer for layer in model.layers if not layer.function):
            base = _snake(layer.kind)
            counts[base] = counts.get(base, -1) + 1
            entry = entries.get(layer.name) or f"{base}_{counts[base]}".removesuffix("_0")
            found = container.group(entry)
            if found is None:
                continue
            inner = (*path, layer.name)
            if layer.model is not None:
                self._find_by_paths(found, layer.model, inner)
                continue
            values = found.group("vars")
            if values is None or not values.arrays:
                values = found.group("layer/vars") or values  # of a wrapper, such as TimeDistributed
            if values is not None:
                self.found[inner] = [(values, name) for name in sorted(values.arrays, key=_number)]


def _entries(container: Group) -> Mapping[str, str]:
    """Layer name -> its entry, where the file tells the names of layers."""
    entries: dict[str, str] = {}
    for entry, group in container.groups.items():
        values = group.group("vars")
        name = None if values is None else values.texts.get("name")
        if isinstance(name, str):
            entries[name] = entry
    return entries


def _slots(model: Model, path: tuple[str, ...], trained: bool) -> list[tuple[tuple[str, ...], Variable]]:
    """(path of the layer, variable) of every layer of `model`, nested ones included."""
    slots: list[tuple[tuple[str, ...], Variable]] = []
    for layer in model.layers:
        inner = (*path, layer.name)
        if layer.model is not None:
            slots += _slots(layer.model, inner, trained)
        else:
            live = trained and layer.config.get("trainable", True) is not False
            slots += [(inner, Variable(v.name, v.trained and live)) for v in variables(layer)]
    return slots


def _number(name: str) -> tuple[int, str]:
    return (int(name), name) if name.isdecimal() and len(name) < 9 else (10**9, name)


def _snake(kind: str) -> str:
    """Keras's own snake case (keras, naming.to_snake_case)."""
    name = re.sub(r"\W+", "", kind)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()

"""The effective settings of a model on a target: six layers merged, each value with its origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import Any

from modelbuild.artifacts.user_function import TIMEOUT_SECONDS
from modelbuild.chips.recipe import Recipe
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest import options, overrides
from modelbuild.manifest.beside_a_record import names_record, without_effect
from modelbuild.manifest.canonical import canonical
from modelbuild.manifest.explain import validate
from modelbuild.manifest.manifest import Manifest
from modelbuild.manifest.merge import Leaf, Path, Tree, layer, origins, values
from modelbuild.manifest.problems import Problems, nearest
from modelbuild.manifest.tree import Mapping, Position
from modelbuild.manifest.vendors.translate import Layer, Note, translated

BUILT_IN: AbstractMapping[str, Any] = {
    "edit": [],
    "optimize": {"skip": [], "only": None},
    "quantize": {"range": {"method": "output_error"}},
    "compile": {},
    "calibration": None,
    "checks": {"ignore": []},
    "evaluation": None,
    "verify": {"hardware": "first", "timeout_seconds": TIMEOUT_SECONDS},
}


@dataclass(frozen=True)
class Settings:
    """Settings in their one canonical form (JSON types), and where each leaf came from: `models.yaml:12:7`,
    `recipe kl720`, `--set ...` or `built in`. `problems` is empty in what `effective` returns.

    `values` has the keys edit, optimize {skip, only}, quantize {activations, weights,
    range {method[, percentile]}[, record]}, compile (what differs from the defaults), accept {bound: number
    or {output: number}}, toolchain_options, calibration and evaluation ({set, count} or None; count None is
    all), verify {hardware, timeout_seconds} and checks {ignore: [{code, node, reason}]}."""

    model: str
    target: str
    values: AbstractMapping[str, Any]
    origins: AbstractMapping[Path, str]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()  # vendors' names whose users should know something

    @property
    def record(self) -> str | None:
        """The quantization record to start from, relative to the manifest."""
        found = self.values["quantize"].get("record")
        return None if found is None else str(found)

    @property
    def scheme(self) -> str | None:
        """The QuantScheme.json to take ranges from, relative to the manifest."""
        found = self.values["quantize"].get("scheme")
        return None if found is None else str(found)

    def origin(self, path: Path) -> str:
        """Where the value at `path`, or the first below it, came from."""
        below = (origin for leaf, origin in self.origins.items() if leaf[: len(path)] == path)
        return next(below, "built in")


def effective(manifest: Manifest, model: str, target: str) -> Settings:
    """The settings of `model` on `target`. Lowest to highest: built in, what the chip has (the first of
    its number formats, packed weights), the manifest's `defaults`, the recipe's, the target, the model, the
    model's own `targets`, and `--set`. Raises what `examine` finds wrong with them."""
    for section, name, known in (
        ("model", model, manifest.spec.models),
        ("target", target, manifest.spec.targets),
    ):
        if name not in known:
            raise ModelbuildError(f"unknown {section} `{name}`", advice=nearest(name, known, f"{section}s"))
    settings = manifest.examined.get((model, target)) or examine(manifest, model, target)
    if settings.problems:
        raise ModelbuildError.of(settings.problems)
    return settings


def examine(manifest: Manifest, model: str | None, target: str) -> Settings:
    """As `effective`, with what is wrong in `problems`. Without a model: what models there start from."""
    return Examiner(manifest).examine(model, target)


class Examiner:
    """Examines many models of one manifest; each layer of settings that they share is made once."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._targets: dict[str, Layer] = {}
        self._models: dict[str, Layer] = {}
        self._overrides = {
            override.text: translated(layer(override.values, _constant(override.origin)))
            for override in manifest.overrides
        }

    def examine(self, model: str | None, target: str) -> Settings:
        """The settings, with what is wrong in `problems`. Overrides are for models: `--set
        calibration.count=16` counts samples of a set that the model names."""
        recipe = self._manifest.recipes[target]
        merged = self._of_target(target, recipe)
        for found in [*self._of_model(model, target), *self._of_this_run(model, target)]:
            merged = merged.under(found)
        toolchain = self._manifest.spec.targets[target].toolchain or recipe.toolchain
        if model is None:  # whose set a count is of is for models to say
            merged = merged.under(Layer({key: Leaf(None, "") for key in ("calibration", "evaluation")}))
        tree, problems = canonical(merged.tree, recipe, toolchain)
        quantize = tree["quantize"]
        if model is not None and isinstance(quantize, dict) and names_record(quantize):
            problems += without_effect(self.layers(model, target), recipe)
        told = (*merged.problems, *problems)
        return Settings(model or "", target, values(tree), origins(tree), told, merged.notes)

    def layers(self, model: str, target: str) -> list[Tree]:
        """What each layer sets by itself, the lowest first."""
        recipe = self._manifest.recipes[target]
        own = [*self._of_model(model, target), *self._of_this_run(model, target)]
        return [one.tree for one in (*self._below_models(target, recipe), *own)]

    def _of_this_run(self, model: str | None, target: str) -> list[Layer]:
        laid = () if model is None else self._manifest.laid_on(model, target)
        return [self._overrides[override.text] for override in laid]

    def of_target(self, target: str) -> Tree:
        """What the target's own entry sets."""
        return _written(self._manifest, self._manifest.spec.targets[target], ("targets", target)).tree

    def of_model(self, model: str, target: str) -> list[Tree]:
        """What the model sets, and what it sets for the target alone."""
        return [one.tree for one in self._of_model(model, target)]

    def _of_target(self, target: str, recipe: Recipe) -> Layer:
        """What every model starts from on the target."""
        if target not in self._targets:
            merged = Layer({})
            for found in self._below_models(target, recipe):
                merged = merged.under(found)
            self._targets[target] = merged
        return self._targets[target]

    def _below_models(self, target: str, recipe: Recipe) -> Iterator[Layer]:
        manifest = self._manifest
        yield Layer(layer(BUILT_IN, _constant("built in")))
        yield Layer(layer(_of_recipe(recipe), _constant(f"recipe {recipe.chip}")))
        yield _written(manifest, manifest.spec.defaults, ("defaults",))
        yield translated(layer(manifest.recipe_settings[target], _constant(f"recipe {recipe.chip}")))
        yield _written(manifest, manifest.spec.targets[target], ("targets", target))

    def _of_model(self, model: str | None, target: str) -> Iterator[Layer]:
        if model is None:
            return
        entry = self._manifest.spec.models[model]
        if model not in self._models:
            self._models[model] = _written(self._manifest, entry, ("models", model))
        yield self._models[model]
        if target in entry.targets:
            yield _written(self._manifest, entry.targets[target], ("models", model, "targets", target))


def _of_recipe(recipe: Recipe) -> dict[str, Any]:
    """The first of its number formats, and whether its vendor packs weights."""
    has, packs = recipe.number_format, recipe.container.weight_compress
    formats = {"activations": [has.activations[0]], "weights": [has.weights[0]]}
    return {"quantize": formats, **({"compile": {"weight_compress": True}} if packs else {})}


def recipe_settings(recipe: Recipe) -> dict[str, Any]:
    """The recipe's `defaults`, read by the manifest's schema."""
    at = Position(f"recipe {recipe.chip}, defaults")
    problems = Problems()
    node = overrides.from_json(recipe.defaults, at)
    assert isinstance(node, Mapping)
    found = validate(options.Settings, node, problems).value
    problems.raise_any()
    assert found is not None
    return options.written(found)


def _written(manifest: Manifest, settings: options.Settings, prefix: Path) -> Layer:
    return translated(layer(options.written(settings), lambda path: manifest.position((*prefix, *path))))


def _constant(origin: str) -> Callable[[Path], str]:
    return lambda path: origin

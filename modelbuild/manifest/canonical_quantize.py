"""Merged `quantize:` settings -> their one canonical form, and what a chip cannot do of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelbuild.chips.recipe import NumberFormat, Recipe
from modelbuild.errors import ModelbuildError, Problem
from modelbuild.manifest.able import another_chip, joined
from modelbuild.manifest.beside_a_record import beside_a_record, names_record
from modelbuild.manifest.canonical_channels import problems_of_channels
from modelbuild.manifest.canonical_range import canonical_range
from modelbuild.manifest.merge import Leaf, Tree, leaves, values
from modelbuild.manifest.quantize_options import NONE
from modelbuild.quantize.mixed_settings import ALL, AUTO, BUDGET, CHOSEN, DEFAULT_FLOPS_RATIO
from modelbuild.quantize.settings import DEFAULT_METHOD, READERS, THREADS, Settings
from modelbuild.stages import backends

WIDE = "int16"
FLOATS = ("float32", "bfloat16")
ENDS = ("inputs", "outputs", "cpu_nodes")
_OWN = frozenset(  # read here, not below
    {"activations", "weights", "range", "record", "mode", "threads", "scheme", "export_scheme"}
)


_FILES = ("record", "scheme")  # that say how to quantize


def canonical_quantize(quantize: Tree, recipe: Recipe) -> tuple[Tree, list[Problem]]:
    """Choices made, short forms written out, defaults dropped but for formats and range. Beside a record
    nothing is chosen: what is said for other models is dropped."""
    quantizes = backends.of_arithmetic(recipe.number_format.arithmetic).has_record
    if not quantizes:
        refused = [_of_floats(key, quantize[key], recipe) for key in _FILES if _names(quantize, key)]
        if refused:
            return {}, refused
    if names_record(quantize):
        beside = {key: item for key, item in quantize.items() if key in beside_a_record(recipe)}
        ports = _Quantize({key: beside.pop(key) for key in ENDS if key in beside}, recipe)
        kept = {key: item for key, item in beside.items() if values_of(item) != NONE}
        return kept | ports.of_ports(), ports.problems
    work = _Quantize(dict(quantize), recipe)
    chosen = work.canonical()
    if not quantizes:  # the rest is meant for other chips
        usual: Tree = {"method": Leaf(DEFAULT_METHOD, "built in")}
        chosen = {key: chosen[key] for key in ("activations", "weights")} | {"range": usual}
    return chosen, work.problems


def _names(quantize: Tree, key: str) -> bool:
    return key in quantize and values_of(quantize[key]) not in (None, NONE)


def _of_floats(key: str, item: Tree | Leaf, recipe: Recipe) -> Problem:
    leaf = item if isinstance(item, Leaf) else _first(item)
    return Problem(
        f"`{key}` has no effect on {recipe.chip}",
        "" if leaf is None else leaf.origin,
        "it computes with floats: nothing is quantized",
        "remove it, or write it at another target",
    )


class _Quantize:
    def __init__(self, given: Tree, recipe: Recipe) -> None:
        self._given, self._recipe, self._has = given, recipe, recipe.number_format
        self.problems: list[Problem] = []

    def canonical(self) -> Tree:
        mode = self._leaf("mode")
        if mode is not None and mode.value == NONE:
            self._stay_in_float(mode)
            mode = None
        chosen: Tree = {
            "activations": self._format("activations", self._has.activations, mode),
            "weights": self._format("weights", self._has.weights, mode),
        }
        self._check_both_wide(chosen)
        if mode is not None:
            self._check_mode(mode, chosen)
            chosen["mode"] = mode
        self._check_companions(mode)
        for key in sorted(self._given.keys() - _OWN):
            self._other(key, chosen)
        wide = mode is not None or _has_wide({key: values_of(item) for key, item in chosen.items()})
        given = self._given.get("range")
        chosen["range"], problems = canonical_range(given if isinstance(given, dict) else {}, wide)
        self.problems += problems
        self.problems += problems_of_channels(chosen, values_of(chosen["range"])["method"])
        threads = self._leaf("threads")
        if threads is not None and threads.value != THREADS:
            chosen["threads"] = threads
        for key in ("scheme", "export_scheme"):
            leaf = self._leaf(key)
            if leaf is not None and leaf.value != NONE:
                chosen[key] = leaf
        strict = self._leaf("strict")
        if strict is not None and strict.value and "scheme" not in chosen:
            self._problem(
                f"{strict.spelling or '`strict`'} has no meaning without a scheme",
                strict,
                "",
                "write `scheme: FILE`, a QuantScheme.json, beside it, or remove it",
            )
        return chosen

    def of_ports(self) -> Tree:
        """The formats of inputs and outputs alone, where they are none of activations."""
        chosen: Tree = {"activations": Leaf(self._has.activations[0], "")}
        for key in sorted(self._given):
            self._other(key, chosen)
        return {key: item for key, item in chosen.items() if key in self._given}

    def _leaf(self, key: str) -> Leaf | None:
        found = self._given.get(key)
        return found if isinstance(found, Leaf) else None

    def _problem(self, what: str, leaf: Leaf, why: str = "", advice: str = "") -> None:
        self.problems.append(Problem(what, leaf.origin, why, advice))

    def _stay_in_float(self, mode: Leaf) -> None:
        formats = [*self._has.activations, *self._has.weights]
        if "float32" not in self._has.activations or "float32" not in self._has.weights:
            self._problem(
                f"`quantize: none` is not possible on {self._recipe.chip}",
                mode,
                f"it runs no floats; it has {', '.join(dict.fromkeys(formats))}",
                joined("remove it", another_chip(self._recipe, lambda has: "float32" in has.activations)),
            )
        else:
            for key in ("activations", "weights"):
                self._given[key] = Leaf(["float32"], mode.origin)

    def _format(self, what: str, has: Sequence[str], mode: Leaf | None) -> Leaf:
        """The first of the choices that the chip has; where nobody chose, a mode does."""
        leaf = self._leaf(what)
        assert leaf is not None
        chip = self._recipe.chip
        if mode is not None and leaf.origin == f"recipe {chip}" and leaf.value == [has[0]]:
            return Leaf(CHOSEN, mode.origin, mode.spelling)
        names = self._has.weight_names if what == "weights" else {}
        choices = [names.get(choice, choice) for choice in leaf.value]
        possible = [choice for choice in choices if choice in has or (choice == CHOSEN and len(has) > 1)]
        said = f"{leaf.spelling}: " if leaf.spelling else ""
        if not possible and CHOSEN in choices and mode is not None:
            return Leaf(has[0], leaf.origin, leaf.spelling)  # the mode is refused, once for both sides
        if not possible:
            asked = " or ".join(leaf.value)
            self._problem(
                f"{said}{asked} {what} are not possible on {chip}",
                leaf,
                f"it has {', '.join(has)}",
                joined(f"write `{what}: {has[0]}`", self._other_chip(what, asked=leaf.value)),
            )
        elif possible[0] == "bfloat16":
            self._problem(
                f"{said}bfloat16 {what} are not built yet",
                leaf,
                "fixed-point models hold integers: docs/arithmetic.md defines no operator of floats",
                f"choose one of {', '.join(name for name in has if name not in FLOATS)}",
            )
        elif possible[0] == CHOSEN and mode is None:
            self._problem(
                f"{said}mixed {what} need a `mode`",
                leaf,
                "it says how the bits of each layer are chosen",
                "write `mode: auto` beside it",
            )
        return Leaf(possible[0] if possible else has[0], leaf.origin, leaf.spelling)

    def _other_chip(self, what: str, asked: Sequence[str]) -> str:
        return another_chip(self._recipe, lambda has: bool(set(asked) & set(getattr(has, what))))

    def _check_both_wide(self, chosen: Tree) -> None:
        """nncase: its KPU takes 16 bits on one side alone; a model with both runs elsewhere."""
        leaf, other = chosen["weights"], chosen["activations"]
        assert isinstance(leaf, Leaf) and isinstance(other, Leaf)
        spelt = leaf.spelling.startswith("`w_quant_type") and other.spelling.startswith("`quant_type")
        if spelt and leaf.value == other.value == WIDE:
            self._problem(
                f"{leaf.spelling} is not possible with {other.spelling}",
                leaf,
                "nncase has int16 for one of the two",
                "make one of them int8 or uint8",
            )

    def _check_mode(self, mode: Leaf, chosen: Tree) -> None:
        named, chip = mode.spelling or f"`mode: {mode.value}`", self._recipe.chip
        if not _is_wide(self._has):
            has = ", ".join(dict.fromkeys([*self._has.activations, *self._has.weights]))
            advice = joined("remove it", another_chip(self._recipe, _is_wide))
            self._problem(f"{named} is not possible on {chip}", mode, f"it has {has}", advice)
            return
        formats = {key: values_of(chosen[key]) for key in ("activations", "weights")}
        if CHOSEN not in formats.values():
            self._problem(
                f"{named} has nothing to choose",
                mode,
                "both `activations` and `weights` are set",
                f"write `{CHOSEN}` for one of them, or leave one out",
            )
        for key, value in formats.items():
            if mode.value == BUDGET and value not in (CHOSEN, WIDE):
                leaf = chosen[key]
                assert isinstance(leaf, Leaf)
                self._problem(
                    f"{leaf.spelling or f'`{key}: {value}`'} is not possible with {named}",
                    leaf,
                    f"the other side of {BUDGET} is {WIDE} or {BUDGET}, too",
                    f"write `{WIDE}`, or leave it out",
                )
        if mode.value == BUDGET:
            self._check_ends(named)

    def _check_ends(self, named: str) -> None:
        """Inputs, outputs and CPU nodes become int16 and cannot be set otherwise (Kneron, mixbw)."""
        for key in ENDS:
            found = self._given.get(key)
            given = found.values() if isinstance(found, dict) else () if found is None else (found,)
            for leaf in given:
                assert isinstance(leaf, Leaf)
                if leaf.value != WIDE:
                    self._problem(
                        f"{leaf.spelling or f'`{key}: {leaf.value}`'} is not possible with {named}",
                        leaf,
                        f"it makes inputs, outputs and CPU nodes {WIDE}",
                        "remove it",
                    )

    def _check_companions(self, mode: Leaf | None) -> None:
        """Keys that one mode alone reads."""
        for key, its in (("flops_ratio", BUDGET), ("max_measurements", AUTO), ("margin_db", AUTO)):
            leaf = self._leaf(key)
            if leaf is not None and (mode is None or mode.value != its):
                named = leaf.spelling or f"`{key}`"
                if not _is_wide(self._has):
                    self._problem(
                        f"{named} has no effect on {self._recipe.chip}",
                        leaf,
                        f"it goes with `mode: {its}`, which chooses bits; the chip has no {WIDE}",
                        "remove it",
                    )
                    continue
                self._problem(
                    f"{named} goes with `mode: {its}`",
                    leaf,
                    "",
                    f"write `mode: {its}` beside it, or remove it",
                )

    def _other(self, key: str, chosen: Tree) -> None:
        """A key that the quantizer reads itself."""
        item = self._given[key]
        leaf = item if isinstance(item, Leaf) else _first(item)
        if leaf is None:
            return
        named = leaf.spelling or f"`{key}`"
        if key not in READERS:
            self._problem(f"{named} is not built yet", leaf, advice="remove it")
            return
        try:
            read = READERS[key](key, values_of(item))
        except ModelbuildError as error:
            found = error.problems[0]
            self._problem(
                f"{leaf.spelling}: {found.what}" if leaf.spelling else found.what, leaf, *found[2:4]
            )
            return
        self._check_formats(key, item)
        self._check_switch(key, leaf, values_of(chosen["activations"]))
        if key in ENDS and isinstance(item, Leaf):
            own = self._formats_of(key)
            usual = WIDE if _is_budget(chosen) else own[0] if own else values_of(chosen["activations"])
            if leaf.value != usual or (key != "cpu_nodes" and self._has_scheme()):
                chosen[key] = item if key == "cpu_nodes" else {ALL: item}
        elif read != self._default(key):
            chosen[key] = item

    def _has_scheme(self) -> bool:
        """Whether a file may say otherwise: then what is as usual has to be said as well."""
        leaf = self._leaf("scheme")
        return leaf is not None and leaf.value != NONE

    def _default(self, key: str) -> Any:
        own: dict[str, Any] = {
            "flops_ratio": DEFAULT_FLOPS_RATIO,
            "per_channel": self._has.per_channel_weights,
            "symmetric": self._has.symmetric_activations,
        }
        return own.get(key, getattr(Settings(), key))

    def _check_switch(self, key: str, leaf: Leaf, activations: str) -> None:
        """A chip without zero points, without signs, or with one scale for all channels, has no choice."""
        fixed = {"symmetric": True, "per_channel": False}.get(key)
        if key == "symmetric" and leaf.value and activations.startswith("u"):
            signed = [name for name in self._has.activations if name.startswith("int")]
            self._problem(
                f"{leaf.spelling or '`symmetric: true`'} is not possible on {self._recipe.chip}"
                + (f" with {activations}" if signed else ""),
                leaf,
                f"its activations are {activations}: without a zero point all below 0 would be cut off",
                f"remove it, or write `activations: {signed[0]}` beside it"
                if signed
                else joined("remove it", another_chip(self._recipe, _has_signed)),
            )
        if fixed is not None and self._default(key) is fixed and leaf.value is not fixed:
            named = leaf.spelling or f"`{key}: {str(leaf.value).lower()}`"
            chip = self._recipe.chip
            what = "activations have no zero point" if fixed else "weights have one scale a tensor"
            self._problem(f"{named} is not possible on {chip}", leaf, f"its {what}", "remove it")

    def _formats_of(self, key: str) -> tuple[str, ...]:
        """What inputs, outputs, or nodes on the CPU may have, where it is not what activations may."""
        return self._has.cpu_nodes if key == "cpu_nodes" else self._has.ports if key in ENDS else ()

    def _check_formats(self, key: str, item: Tree | Leaf) -> None:
        if key not in (*ENDS, "nodes"):
            return
        for path, leaf in leaves(item):
            is_weights = path[-1:] == ("weights",)
            has = self._has.weights if is_weights else self._formats_of(key) or self._has.activations
            if leaf.value not in has:
                named = leaf.spelling or f"`{'.'.join((key, *path))}: {leaf.value}`"
                what = "weights" if is_weights else "activations"
                other = "" if self._formats_of(key) else self._other_chip(what, [leaf.value])
                advice = joined(f"write {has[0]}", other)
                chip = self._recipe.chip
                self._problem(f"{named} is not possible on {chip}", leaf, f"it has {', '.join(has)}", advice)


def _is_wide(has: NumberFormat) -> bool:
    return WIDE in has.activations and WIDE in has.weights


def _has_signed(has: NumberFormat) -> bool:
    return any(name.startswith("int") for name in has.activations)


def values_of(item: Tree | Leaf) -> Any:
    """The value, without places."""
    return item.value if isinstance(item, Leaf) else values(item)


def _first(tree: Tree) -> Leaf | None:
    return next((leaf for _, leaf in leaves(tree)), None)


def _is_budget(chosen: Tree) -> bool:
    mode = chosen.get("mode")
    return isinstance(mode, Leaf) and mode.value == BUDGET


def _has_wide(given: Any) -> bool:
    """Whether any tensor may have 16 bits."""
    return given == WIDE or (isinstance(given, dict) and any(_has_wide(value) for value in given.values()))

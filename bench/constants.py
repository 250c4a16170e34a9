"""The chips' constants that published times are fitted to: which a recipe knows, which it leaves to the fit.

A fact whose source is one of the three below is written by `bench/fit_chips.py --write`; all others stand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.counts import Constants
from modelbuild.chips.load import load_recipe, recipe_files
from modelbuild.chips.recipe import Hardware
from modelbuild.npu.planning import cutting

OWN = "bench/fit_chips.py on the vendor's table"
SHARED = "bench/fit_chips.py on the vendor's table, shared by five chips"
SHARE = "bench/fit_chips.py: macs_per_cycle by the share that five chips have"
FITTED = "fitted"  # how sure a fact is that published times decided, by the fit or by trying
CHIPS = ("kl520", "kl530", "kl630", "kl720", "kl730")

How = Literal["known", "own", "shared"]

# constant -> the facts that hold it
FACTS = {
    "macs": ("macs_per_cycle",),
    "pointwise": ("macs_per_cycle_pointwise",),  # a share of macs
    "depthwise": ("macs_per_cycle_depthwise",),  # a share of macs
    "outputs": ("outputs_per_cycle",),
    "elements": ("elementwise_per_cycle",),
    "bandwidth": ("dram_read_bytes_per_second", "dram_write_bytes_per_second", "weight_bytes_per_second"),
    "overhead": ("layer_overhead_cycles",),
}
SHARES = ("pointwise", "depthwise")
# Where a shared constant is drawn to, weakly: an array that keeps most of its lanes busy in a 1x1 window and
# a quarter of them in a depthwise one, and round numbers of the size that the vendor's reports name.
CENTRES = {
    "pointwise": 0.8,
    "depthwise": 0.25,
    "elements": 8.0,
    "bandwidth": 8e9,
    "overhead": 500.0,
}
BOUND = "read again at the most"  # of a group's own traffic, before its tile grows: no fact of a recipe
NEUTRAL = 1.0  # of facts by which something is rounded up: nothing is
_DIGITS = 4
_LINE = re.compile(r"^(  (?P<fact>\w+): \{value: )[^,]+(, source: [\"']bench/fit_chips\.py.*)$")

Values = Mapping[str, float]  # constant -> its value; shares as shares, bandwidth in bytes a second


@dataclass(frozen=True)
class Chip:
    """A chip's constants as its recipe has them: `values`, and how each is known."""

    name: str
    clock_hz: float
    how: Mapping[str, How]
    values: Values

    @property
    def own(self) -> tuple[str, ...]:
        """What is fitted for this chip alone."""
        return tuple(name for name in FACTS if self.how[name] == "own")

    def per_cycle(self, values: Values) -> Constants:
        """What the chip does in a cycle if its constants are these."""
        macs, bandwidth = values["macs"], values["bandwidth"] / self.clock_hz
        return Constants(
            window=macs,
            pointwise=macs * values["pointwise"],
            depthwise=macs * values["depthwise"],
            outputs=values["outputs"],
            elements=values["elements"],
            read=bandwidth,
            write=bandwidth,
            weights=bandwidth,
            overhead=values["overhead"],
        )


@dataclass(frozen=True)
class Tried:
    """A fact that no source gives and the fit does not find, and the chips whose recipe says so."""

    fact: str
    values: Mapping[str, float]  # chip -> value
    chips: tuple[str, ...]

    @property
    def is_shared(self) -> bool:
        """Whether all chips have one value, and so none has a choice of its own."""
        return len(set(self.values.values())) == 1

    def is_neutral(self, chip: str) -> bool:
        """Whether the chip rounds nothing by it: what was tried was left out."""
        return self.fact.endswith("_at_once") and self.values[chip] == NEUTRAL


def tried() -> list[Tried]:
    """Facts that published times have decided, but for those that the fit writes, and the one rule of the
    default tiling that is a number."""
    of_chips = {name: load_recipe(name).hardware for name in CHIPS}
    written_facts = {fact for facts in FACTS.values() for fact in facts}
    found = []
    for fact in Hardware.model_fields:
        facts = {name: getattr(hardware, fact) for name, hardware in of_chips.items()}
        chips = tuple(name for name, it in facts.items() if it is not None and it.sure == FITTED)
        if chips and fact not in written_facts:
            found.append(Tried(fact, {name: it.value for name, it in facts.items()}, chips))
    return [*found, Tried(BOUND, dict.fromkeys(CHIPS, cutting.AGAIN), CHIPS)]


def chip(name: str) -> Chip:
    """Of a recipe."""
    return of_hardware(name, load_recipe(name).hardware)


def of_hardware(name: str, hardware: Hardware) -> Chip:
    """A chip with these facts. Its three bandwidths are equal, or it is no chip of the fit."""
    values = {constant: getattr(hardware, facts[0]).value for constant, facts in FACTS.items()}
    for share in SHARES:
        values[share] /= values["macs"]
    assert len({getattr(hardware, fact).value for fact in FACTS["bandwidth"]}) == 1, name
    how = {constant: _how(hardware, facts[0]) for constant, facts in FACTS.items()}
    return Chip(name, hardware.clock_hz.value, how, values)


def _how(hardware: Hardware, fact: str) -> How:
    source = getattr(hardware, fact).source
    return "own" if source == OWN else "shared" if source in (SHARED, SHARE) else "known"


def family_macs() -> float:
    """`macs_per_cycle` of the family: where a chip's own is drawn to."""
    return _facts_of(_family_file())["macs_per_cycle"]


def written(text: str, values: Values) -> str:
    """The text of a recipe with the values of the fit, all else in place, comments too."""
    facts = {fact: values[name] for name, names in FACTS.items() if name in values for fact in names}
    for share in SHARES:
        facts[FACTS[share][0]] = values[share] * values["macs"]
    lines = [_line(line, facts) for line in text.split("\n")]
    return "\n".join(lines)


def _line(line: str, facts: Mapping[str, float]) -> str:
    found = _LINE.match(line)
    if found is None or found["fact"] not in facts:
        return line
    return f"{found[1]}{_shown(facts[found['fact']])}{found[3]}"


def _shown(value: float) -> str:
    rounded = float(f"{value:.{_DIGITS - 1}e}")
    return f"{int(rounded):_}" if rounded == int(rounded) else f"{rounded:g}"


def write(shared: Values, of_chips: Mapping[str, Values]) -> list[Path]:
    """Writes the shared constants into the family's recipe, the others into the chips'. What changed."""
    texts = {_family_file(): {**shared, "macs": family_macs()}}
    texts |= {recipe_files(name)[0]: dict(values) for name, values in of_chips.items()}
    changed = []
    for path, values in texts.items():
        before = path.read_text(encoding="utf-8")
        after = written(before, values)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


def _family_file() -> Path:
    """The file that all five chips extend and that has their shared facts."""
    common = set.intersection(*(set(recipe_files(name)) for name in CHIPS))
    return next(path for path in recipe_files(CHIPS[0]) if path in common and "hardware:" in path.read_text())


def _facts_of(path: Path) -> dict[str, float]:
    found = re.findall(r"^  (\w+): \{value: ([\d_.]+),", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {fact: float(value) for fact, value in found}

"""What was chosen by trying and is no constant of the fit, and the fit's rows if a choice were another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import cast

from bench import constants
from bench.compare import say
from bench.constants import CENTRES, CHIPS, FITTED, Chip
from bench.fitting import Problem, Row
from bench.planned import Counting, counts_of
from bench.zoo import loaded, networks, outlined
from modelbuild.arithmetic.fixed_model import FixedModel, FixedOperator
from modelbuild.chips.load import load_recipe
from modelbuild.chips.recipe import Hardware
from modelbuild.npu.emitting.work import ConvolutionTile
from modelbuild.npu.planning import cutting
from modelbuild.npu.planning.plan import Region
from modelbuild.npu.planning.planner import plan
from modelbuild.npu.rates import limits_of, rates
from modelbuild.npu.rewriting import rewritten

_KB = 1024


class OutputsAlone(Counting):
    """Counts a sum or a product of two maps by what it makes, not by what it reads."""

    def _of_two(self, operator: FixedOperator, region: Region) -> int:
        return prod(self._extents(region))


class NothingFused(Counting):
    """Counts functions that the chip does in the array's output stage as work of their own."""

    fuses = False


class StridesSkipNothing(Counting):
    """Counts a strided window as if the array went over the places of stride 1 and dropped some."""

    def _convolutions(self, operator: FixedOperator, region: Region) -> list[ConvolutionTile]:
        tiles = super()._convolutions(operator, region)
        if operator.kind != "conv":
            return tiles
        down, across = cast(tuple[int, int], operator.parameters["strides"])
        return [
            tile
            if tile.kernel_height == tile.kernel_width == 1
            else replace(tile, rows=tile.rows * down, columns=tile.columns * across)
            for tile in tiles
        ]


@dataclass(frozen=True)
class Choice:
    """What is otherwise: `facts`, on chips that were not given theirs by a source; how much of a group's own
    traffic may be read `again` before its tile grows; the rule that counts; a chip and the constant that is
    fitted for it alone, too; deep plans."""

    name: str
    facts: Mapping[str, float] = field(default_factory=dict)
    again: float = cutting.AGAIN
    counting: type[Counting] = Counting
    own: tuple[str, str] | None = None
    deep: bool = False

    def hardware(self, chip: str) -> Hardware:
        """The recipe's, with these facts."""
        found = load_recipe(chip).hardware
        tried = {name: value for name, value in self.facts.items() if getattr(found, name).sure == FITTED}
        facts = {name: getattr(found, name).model_copy(update={"value": v}) for name, v in tried.items()}
        return found.model_copy(update=facts)

    def chip(self, name: str) -> Chip:
        """The constants of this hardware."""
        found = constants.of_hardware(name, self.hardware(name))
        if self.own is None or self.own[0] != name:
            return found
        return replace(found, how={**found.how, self.own[1]: "own"})


TODAY = Choice("as it is")
CHOICES = (
    TODAY,
    Choice("bound 0.4", again=0.4),
    Choice("bound 1.0", again=1.0),
    Choice("tiles of 32 KB", {"tile_bytes": 32 * _KB}),
    Choice("tiles of 128 KB", {"tile_bytes": 128 * _KB}),
    Choice("SRAM of 1 MB", {"sram_bytes": 1024 * _KB}),
    Choice("SRAM of 2 MB", {"sram_bytes": 2048 * _KB}),
    Choice("`pixels_at_once` 16", {"pixels_at_once": 16}),
    Choice("`pixels_at_once` 32", {"pixels_at_once": 32}),
    Choice("`pixels_at_once` 16, SRAM of 1 MB", {"pixels_at_once": 16, "sram_bytes": 1024 * _KB}),
    Choice("channels in 16", {"input_channels_at_once": 16, "output_channels_at_once": 16}),
    Choice("windows not rounded", {"window_columns_at_once": 1}),
    Choice("windows in blocks of 3 x 3", {"window_rows_at_once": 3}),
    Choice("maps kept for two groups", {"keeps_for_groups": 2}),
    Choice("maps kept as long as needed", {"keeps_for_groups": 0}),
    Choice("clock of KL730 500 MHz", {"clock_hz": 500e6}),
    Choice("clock of KL730 2 GHz", {"clock_hz": 2e9}),
    Choice("a sum of two maps costs its output alone", counting=OutputsAlone),
)
# what was refused, and a constant more
MORE = (
    Choice("deep plans", deep=True),
    Choice("functions not fused", counting=NothingFused),
    Choice("strides skip nothing", counting=StridesSkipNothing),
    *(Choice(f"`{name}` of KL630 its own", own=("kl630", name)) for name in CENTRES),
)


@dataclass(frozen=True)
class Published:
    """A network as a chip would run it, and its published time."""

    network: str
    chip: str
    model: FixedModel
    milliseconds: float


def published(zoo: Path) -> list[Published]:
    """Every network on every chip that a time is published for."""
    found = []
    for network in networks(zoo):
        chips = [chip for chip in CHIPS if chip in network.published]
        graph = loaded(network.path) if chips else None
        for chip in chips:
            say(f"{network.name}, {chip}")
            assert graph is not None
            model = rewritten(outlined(graph, load_recipe(chip))[0])
            found.append(Published(network.name, chip, model, network.published[chip]))
    return found


def problem(given: Sequence[Published], choice: Choice = TODAY) -> Problem:
    """What is to be fitted, counted on the plans that `evaluate` would make."""
    hardware = {chip: choice.hardware(chip) for chip in CHIPS}
    with _again(choice.again):
        rows = [_row(each, hardware[each.chip], choice) for each in given]
    return Problem([choice.chip(name) for name in CHIPS], rows, constants.family_macs())


def _row(each: Published, hardware: Hardware, choice: Choice) -> Row:
    made = plan(each.model, limits_of(hardware), deep=choice.deep)
    counts = counts_of(each.model, made, rates(hardware), choice.counting)
    return Row(each.network, each.chip, counts, each.milliseconds)


@contextmanager
def _again(value: float) -> Iterator[None]:
    before, cutting.AGAIN = cutting.AGAIN, value
    try:
        yield
    finally:
        cutting.AGAIN = before

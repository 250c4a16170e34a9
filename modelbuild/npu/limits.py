"""What a chip's memories hold, a model in DRAM and a package in flash, and what would fit instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from modelbuild.chips.load import chip_names, load_recipe
from modelbuild.chips.recipe import Container, Recipe
from modelbuild.errors import EXIT_FAILED, ModelbuildError
from modelbuild.npu.planning.memory import align
from modelbuild.npu.program.header import MAX_DRAM, MAX_SECTION

_STEP = 32  # heights and widths of pictures that are proposed are multiples of this


@dataclass(frozen=True)
class Sizes:
    """Bytes of the regions of a model in the chip's DRAM."""

    input: int
    output: int
    working: int
    command: int
    weights: int
    host: int

    @property
    def maps(self) -> int:
        """Feature maps: what grows with the picture and the batch."""
        return self.input + self.output + self.working

    @property
    def fixed(self) -> int:
        """The program, each part from a multiple of 16 on."""
        return sum(align(size) for size in (self.command, self.weights, self.host))

    @property
    def total(self) -> int:
        """All of it."""
        return self.maps + self.fixed


@dataclass(frozen=True)
class Ways:
    """Bytes that other settings would save; 0 where they save nothing, are set, or the chip has them not."""

    shared_output: int = 0  # dedicated_output_buffer: false
    compressed: int = 0  # weight_compress: true
    int4: int = 0  # weights of 4 bits


@dataclass(frozen=True)
class Room:
    """The bytes of DRAM that one model may take, and what sets them."""

    bytes: int
    of: str

    def holds(self, sizes: Sizes) -> bool:
        """Whether the memory, and a program, take a model of these sizes."""
        return sizes.total <= self.bytes and not _beyond_a_program(sizes)

    def maps(self, sizes: Sizes) -> int:
        """The bytes of feature maps that there can be beside all else."""
        return min(self.bytes - sizes.fixed, MAX_DRAM)


def _beyond_a_program(sizes: Sizes) -> tuple[str, int, int] | None:
    """A part of the model that no program has room for, its bytes, and the most that a program takes."""
    parts = (
        ("feature maps", sizes.maps, MAX_DRAM),
        ("weights", sizes.weights, MAX_SECTION),
        ("instructions", sizes.command, MAX_SECTION),
        ("CPU program", sizes.host, MAX_SECTION),
    )
    return next((part for part in parts if part[1] > part[2]), None)


class OverMemory(ModelbuildError):
    """A model that the chip's DRAM does not hold: what it needs, and the bytes that there are."""

    def __init__(self, what: str, why: str, advice: str, sizes: Sizes, available: int) -> None:
        super().__init__(what, why=why, advice=advice, exit_code=EXIT_FAILED)
        self.sizes = sizes
        self.available = available

    def with_chips(self, rooms: Mapping[str, int]) -> OverMemory:
        """The same, and which of these chips (name -> bytes that a model may take) hold the model."""
        fitting = [name for name, size in sorted(rooms.items()) if size >= self.sizes.total]
        if not fitting or _beyond_a_program(self.sizes):
            return self
        (problem,) = self.problems
        advice = f"{problem.advice}; or another chip: {', '.join(fitting)}"
        return OverMemory(problem.what, problem.why, advice, self.sizes, self.available)


def room(recipe: Recipe) -> Room:
    """What the vendor allows a model, or what the chip has if that is less."""
    most = recipe.container.max_model_bytes
    has = int(recipe.hardware.dram_bytes.value)
    if most is not None and most < has:
        return Room(most, f"a model on {recipe.chip} may take")
    return Room(has, f"{recipe.chip} has")


def check_memory(
    model: str,
    sizes: Sizes,
    recipe: Recipe,
    ways: Callable[[], Ways] = Ways,
    shapes: Sequence[tuple[int, ...]] = (),
) -> None:
    """Raises OverMemory where the model exceeds the chip's memory or a program's. `ways` is asked only then,
    `shapes` are those of the model's inputs."""
    has = room(recipe)
    if has.holds(sizes):
        return
    what, available = f"{model} needs {sizes.total:,} bytes of DRAM; {has.of} {has.bytes:,}", has.bytes
    if sizes.total <= has.bytes:
        part, needed, most = _beyond_a_program(sizes) or ("", 0, 0)
        available = sizes.total - needed + most
        what = (
            f"the {part} of {model} take {needed:,} bytes; a program, whatever the chip has, holds {most:,}"
        )
    proposals = [*_settings(ways(), sizes.total - available), *_smaller(sizes, available, shapes)]
    raise OverMemory(
        what, _regions(sizes), "; or ".join(proposals or ["take a smaller model"]), sizes, available
    )


def _regions(sizes: Sizes) -> str:
    """The regions that take anything, the largest first."""
    named = {
        "working memory": sizes.working,
        "inputs": sizes.input,
        "outputs": sizes.output,
        "weights": sizes.weights,
        "command": sizes.command,
        "CPU program": sizes.host,
    }
    ordered = sorted(named.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {size:,}" for name, size in ordered if size)


def _settings(ways: Ways, over: int) -> list[str]:
    """The smallest set of settings that saves enough; where none does, nothing."""
    offered = [
        ("`compile: {dedicated_output_buffer: false}`", ways.shared_output),
        ("`compile: {weight_compress: true}`", ways.compressed),
        ("`quantize: {weights: int4}`", ways.int4),
    ]
    useful = [item for item in offered if item[1] > 0]
    for count in range(1, len(useful) + 1):
        enough = [chosen for chosen in combinations(useful, count) if sum(size for _, size in chosen) >= over]
        if enough:
            return [
                f"{' and '.join(name for name, _ in chosen)} (saves {sum(size for _, size in chosen):,})"
                for chosen in enough
            ]
    return []


def _smaller(sizes: Sizes, available: int, shapes: Sequence[tuple[int, ...]]) -> list[str]:
    """The largest picture whose feature maps fit: they grow with its height and width alike."""
    left = available - sizes.fixed
    if left <= 0 or not sizes.maps:
        return []
    share = math.sqrt(left / sizes.maps)
    for shape in shapes:
        if len(shape) == 4:
            smaller = [int(extent * share) // _STEP * _STEP for extent in shape[2:]]
            if all(smaller):
                now = " x ".join(map(str, shape[2:]))
                return [f"a picture of about {' x '.join(map(str, smaller))} in place of {now}"]
    return [f"inputs of about {int(share * 100)} % of the height and width"] if share >= 0.01 else []


def other_chips(recipe: Recipe) -> dict[str, int]:
    """The bytes that a model may take on the other chips of the vendor, of the recipes that are installed."""
    others = [load_recipe(name) for name in chip_names() if name != recipe.chip]
    alike = [one for one in others if (one.vendor, one.toolchain) == (recipe.vendor, recipe.toolchain)]
    return {one.chip: room(one).bytes for one in alike}


def check_package(name: str, size: int, models: Mapping[str, int], chip: str, container: Container) -> None:
    """Raises ModelbuildError where the chip's flash does not hold a package of `size` bytes. `models` are the
    bytes of each model's program."""
    limit = container.max_package_bytes
    if limit is None or size <= limit:
        return
    listed = sorted(models.items(), key=lambda item: (-item[1], item[0]))
    raise ModelbuildError(
        f"the package {name} has {size:,} bytes; the flash of {chip} takes {limit:,}",
        why=", ".join(f"{model} {bytes_:,}" for model, bytes_ in listed),
        advice=_without(listed, size - limit),
        exit_code=EXIT_FAILED,
    )


def _without(listed: Sequence[tuple[str, int]], over: int) -> str:
    """Which one model would have to go, else how many of the largest."""
    alone = [model for model, size in listed if size >= over]
    if len(listed) > 1 and alone:
        return f"leave out {' or '.join(alone)}: a package of its own holds it"
    taken, count = 0, 0
    for _, size in listed:
        taken, count = taken + size, count + 1
        if taken >= over:
            break
    if count < len(listed):
        gone = ", ".join(model for model, _ in listed[:count])
        return f"leave out {gone}, or split the package"
    return "write `compile: {weight_compress: true}`, or take a smaller model"

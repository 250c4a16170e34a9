"""The schema of a recipe: one chip as data, each fact with its source and how sure it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

Sureness = Literal["vendor", "measured", "fitted", "inferred", "guess"]  # from most to least sure
Unit = Literal["npu", "fused", "cpu"]


class Strict(BaseModel):
    """Unknown keys and wrong types are errors; values do not change after loading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Fact(Strict):
    """A number about the chip, where it comes from, and how sure it is."""

    value: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    source: Annotated[str, Field(min_length=1)]
    sure: Sureness


class PositiveFact(Fact):
    """A fact that something is divided by."""

    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CountFact(Fact):
    """A fact that is a whole number from 1 on: so many things at once."""

    value: Annotated[float, Field(ge=1, le=65_535, multiple_of=1, allow_inf_nan=False)]


class WholeFact(Fact):
    """A fact that is a whole number from 0 on."""

    value: Annotated[float, Field(ge=0, multiple_of=1, allow_inf_nan=False)]


class ShareFact(Fact):
    """A fact that is a part of something, up to all of it."""

    value: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class EnginesFact(Fact):
    """How many of the four engines (compute, read, write, weights) work at the same time: one or all."""

    value: float

    @model_validator(mode="after")
    def _one_or_all(self) -> Self:
        if self.value not in (1, 4):
            raise PydanticCustomError("one_or_all", "one engine at a time (1), or all at once (4)")
        return self


class InterlockFact(Fact):
    """Bytes of SRAM that engines wait for as one: a power of two from 16 to 65,536."""

    value: float

    @model_validator(mode="after")
    def _power_of_two(self) -> Self:
        if self.value not in [1 << bits for bits in range(4, 17)]:
            raise PydanticCustomError("interlock", "interlock_bytes is a power of two from 16 to 65536")
        return self


class NumberFormat(Strict):
    """How tensors become integers on this chip."""

    arithmetic: str  # "multiplier_shift@1"
    # what the chip has; the first is the default
    activations: tuple[Literal["int8", "uint8", "int16", "float32", "bfloat16"], ...]
    weights: tuple[Literal["int8", "int4", "int16", "float32", "bfloat16"], ...]
    # of inputs and outputs, and of what the CPU leaves, where these are not those of activations
    ports: tuple[Literal["float32", "uint8"], ...] = ()
    cpu_nodes: tuple[Literal["float32"], ...] = ()
    weight_names: dict[str, str] = Field(default_factory=dict)  # what else the chip's users call them
    symmetric_activations: bool
    scale: Literal["free", "power_of_two", "radix"]  # radix: 1 / (float32 in [1, 2) * 2^radix)
    per_channel_weights: bool
    tables_of_16_bits: bool | None = None  # functions and Softmax take int16; left out: if it has int16
    accumulator_bits: int
    sure: Sureness
    source: str

    @model_validator(mode="after")
    def _tables_need_tensors(self) -> Self:
        if self.tables_of_16_bits and "int16" not in self.activations:
            raise PydanticCustomError("no_int16", "tables_of_16_bits needs int16 among the activations")
        return self

    @property
    def has_tables_of_16_bits(self) -> bool:
        """Whether functions and Softmax take int16 as it is."""
        own = self.tables_of_16_bits
        return "int16" in self.activations if own is None else own


class Hardware(Strict):
    """The array, clocks and memories that the chip model computes with (docs/chips.md)."""

    clock_hz: PositiveFact
    macs_per_cycle: PositiveFact  # convolutions with a window wider than one cell
    macs_per_cycle_pointwise: PositiveFact  # 1x1 convolutions, fully connected layers, matrix products
    macs_per_cycle_depthwise: PositiveFact
    wide_macs_factor: ShareFact  # what remains of the three where an operand has 16 bits
    outputs_per_cycle: PositiveFact  # finished sums that leave the array
    elementwise_per_cycle: PositiveFact  # cells a cycle of pooling, addition, tables
    # the array works in whole groups: extents are rounded up to multiples of these
    columns_at_once: CountFact
    pixels_at_once: CountFact
    input_channels_at_once: CountFact
    few_channels_at_once: CountFact  # a map of so many channels or fewer is rounded up to no more than these
    output_channels_at_once: CountFact
    window_rows_at_once: CountFact
    window_columns_at_once: CountFact
    sram_bytes: PositiveFact
    tile_bytes: PositiveFact  # of a map, or of weights, that streams through the SRAM
    keeps_for_groups: WholeFact  # how far the default tiling keeps a map on chip; 0: to its last reader
    interlock_bytes: InterlockFact
    dram_bytes: PositiveFact
    dram_read_bytes_per_second: PositiveFact
    dram_write_bytes_per_second: PositiveFact
    weight_bytes_per_second: PositiveFact
    row_alignment_bytes: CountFact  # a transfer's contiguous runs cost whole multiples of this
    engines_at_once: EnginesFact
    layer_overhead_cycles: Fact  # of each group of layers that is executed together
    power_watts: PositiveFact | None = None  # of the NPU at work; left out: not published
    cpu_hz: PositiveFact
    cpu_operations_per_cycle: PositiveFact
    cpu_copy_bytes_per_second: PositiveFact | None = None  # of maps that no DMA brings to the chip's memory


class Provenance(Strict):
    """Where something that is no measure of the hardware comes from, and how sure it is."""

    source: Annotated[str, Field(min_length=1)]
    sure: Sureness


_WITH_SOURCE = ("dram_base", "max_package_bytes", "max_model_bytes", "weight_compress")


class Container(Strict):
    """What the package of this chip looks like on disk. Four of the fields may be written as facts, {value,
    source, sure}: `facts` then has where they come from."""

    format: Literal["nef", "mpk", "kmodel"]
    platform: str  # "720", "modalix"
    setup: Literal["legacy520", "legacy720", "flatbuffer", "kne", "mpk", "kmodel"]
    edition: str = ""  # of the vendor's toolchain, whose runtime alone loads what is written
    dram_base: int = 0
    program_suffix: str = ""  # ".lm" | ".elf" for mpk
    max_package_bytes: int | None = None
    max_model_bytes: int | None = None  # one model as it lies in DRAM
    max_inputs: int | None = None
    weight_compress: bool = False  # whether the vendor's compiler packs weights where nobody says anything
    facts: dict[str, Provenance] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _apart(cls, given: Any) -> Any:
        """Values, and where they come from."""
        if not isinstance(given, dict):
            return given
        facts = {
            name: given[name]
            for name in _WITH_SOURCE
            if isinstance(given.get(name), dict) and "value" in given[name]
        }
        if not facts:
            return given
        values = {name: fact["value"] for name, fact in facts.items()}
        said = {name: {key: it for key, it in fact.items() if key != "value"} for name, fact in facts.items()}
        return {**given, **values, "facts": {**given.get("facts", {}), **said}}


class OperatorRule(Strict):
    """One operator on one unit. It holds where every condition holds; the first rule that holds wins.
    The conditions and their arguments are those of `chips/conditions.py`."""

    op: str
    unit: Unit
    when: dict[str, Any] = Field(default_factory=dict)
    source: str = ""


class Edition(Strict):
    """The operator table of another edition of the vendor's toolchain."""

    edition: str
    operators: tuple[OperatorRule, ...]


_RATES = ("_hz", "_per_second")


class Recipe(Strict):
    """A chip, with the operator table of one edition; `editions` are the others."""

    recipe: Literal[1]
    chip: str
    vendor: str
    description: str = ""
    toolchain: str = "builtin"
    edition: str = ""
    number_format: NumberFormat
    hardware: Hardware
    container: Container
    passes: tuple[str, ...]  # what `lower` runs, in order
    operators: tuple[OperatorRule, ...]  # in the file a table: unit -> operator -> forms; see docs/chips.md
    clock_scales: tuple[str, ...] = ()  # facts of the hardware that go up and down with `clock_hz`
    editions: tuple[Edition, ...] = ()  # in the file a mapping: edition -> operators
    defaults: dict[str, Any] = Field(default_factory=dict)  # the manifest's settings, lowest precedence
    aliases: Annotated[tuple[str, ...], Field(default=())] = ()

    def with_sram(self, size: int | None) -> Recipe:
        """The chip with no more than so much of the memory beside its array; None: with all of it."""
        fact = self.hardware.sram_bytes
        if size is None or size >= fact.value:
            return self
        less = self.hardware.model_copy(update={"sram_bytes": fact.model_copy(update={"value": float(size)})})
        return self.model_copy(update={"hardware": less})

    @model_validator(mode="after")
    def _scales_rates(self) -> Self:
        for name in self.clock_scales:
            if name == "clock_hz" or getattr(self.hardware, name, None) is None or not name.endswith(_RATES):
                raise PydanticCustomError(
                    "no_rate", "clock_scales: {name} is no rate of the hardware", {"name": name}
                )
        return self

    def settled(self) -> Recipe:
        """The recipe of somebody who has chosen the edition: there are no others to hold nodes against."""
        return self.model_copy(update={"editions": ()})

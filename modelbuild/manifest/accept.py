"""`accept:`: bounds that decide whether a package is shipped."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from modelbuild.manifest.scalars import AS_MAPPING, AS_SCALAR, BY_KIND, Integer, Number, wrong
from modelbuild.manifest.shares import Fraction
from modelbuild.manifest.strict import Strict, refuse
from modelbuild.manifest.tree import Scalar

FUNCTION = "function"  # the key whose bounds stand by functions of the user's
Correlation = Annotated[Number, Field(ge=-1, le=1)]
Distance = Annotated[Number, Field(ge=0)]


def _some(value: object) -> object:
    """A mapping of bounds: an empty one would bound nothing, and nobody would be told."""
    if isinstance(value, dict) and not value:
        raise wrong(
            "one or more bounds", value, "with nothing after it, the key takes away what would be inherited"
        )
    return value


def _by_function(value: object) -> object:
    if isinstance(value, Scalar) and ".py:" in value.text:
        raise wrong("a bound for each function", value, f"write `{FUNCTION}: {{{value.text}: 0.9}}`")
    return value


Some = BeforeValidator(_some)
Bound = Annotated[
    Annotated[Number, AS_SCALAR] | Annotated[dict[str, Number | None], Some, AS_MAPPING], BY_KIND
]
CorrelationBound = Annotated[
    Annotated[Correlation, AS_SCALAR] | Annotated[dict[str, Correlation | None], Some, AS_MAPPING], BY_KIND
]
DistanceBound = Annotated[
    Annotated[Distance, AS_SCALAR] | Annotated[dict[str, Distance | None], Some, AS_MAPPING], BY_KIND
]


class FunctionBounds(Strict):
    """Bounds of what a function of the user's makes of a model's outputs."""

    at_least: Number | None = Field(None, description="at least: its value for the fixed model")
    at_most: Number | None = Field(None, description="at most: its value for the fixed model")
    drop: Number | None = Field(None, description="at most: its value for float less that for fixed")
    rise: Number | None = Field(None, description="at most: its value for fixed less that for float")

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if not self.model_fields_set:
            raise refuse("a function without a bound", "write `at_least`, `at_most`, `drop` or `rise`")
        return self


FunctionBound = Annotated[Annotated[Number, AS_SCALAR] | Annotated[FunctionBounds, AS_MAPPING], BY_KIND]


class Accept(Strict):
    """Bounds that the gate holds the measurements against; a package whose gate fails is not in dist/."""

    @classmethod
    def advice_of_key(cls, key: str) -> str:
        """A function stands one level deeper."""
        return f"write `{FUNCTION}: {{{key}: 0.9}}`" if ".py:" in key else ""

    snr_db: Bound | None = Field(
        None,
        description="at least, in dB, pooled over the evaluation samples; for all outputs or one each",
    )
    snr_db_mean: Bound | None = Field(None, description="at least, in dB, mean over the evaluation samples")
    cosine: CorrelationBound | None = Field(
        None, description="at least: cosine similarity of float and fixed outputs"
    )
    max_abs: DistanceBound | None = Field(
        None, description="at most: largest absolute difference of float and fixed outputs"
    )
    top1: Fraction | None = Field(
        None, description="at least: share of labelled samples right in the fixed model"
    )
    top5: Fraction | None = Field(
        None, description="at least: share of labelled samples with the label in the first 5"
    )
    top1_drop: Fraction | None = Field(
        None, description="at most: top-1 of the float model less that of the fixed"
    )
    top5_drop: Fraction | None = Field(
        None, description="at most: top-5 of the float model less that of the fixed"
    )
    map: Fraction | None = Field(
        None, description="at least: mean average precision of the fixed model, overlaps .50:.05:.95"
    )
    map50: Fraction | None = Field(
        None, description="at least: mean average precision of the fixed model, overlap .50"
    )
    map_drop: Fraction | None = Field(
        None, description="at most: `map` of the float model less that of the fixed"
    )
    map50_drop: Fraction | None = Field(
        None, description="at most: `map50` of the float model less that of the fixed"
    )
    function: Annotated[dict[str, FunctionBound | None], Some, BeforeValidator(_by_function)] | None = Field(
        None,
        description="FILE.py:FUNCTION, called with all outputs and labels, to a number that its value is at "
        "least, or to {at_least, at_most, drop, rise}",
    )
    cpu_nodes: Annotated[Integer, Field(ge=0)] | None = Field(
        None, description="at most: nodes that run on the CPU"
    )
    fps: Annotated[Number, Field(gt=0)] | None = Field(
        None, description="at least: estimated frames a second"
    )

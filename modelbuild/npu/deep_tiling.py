"""What became of `tiling: deep`: whether the plan is taken, and why it is not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from modelbuild.graph.check import Finding

CODE = "MB115"
Reason = Literal["", "does_not_fit", "exceeds_dram", "no_better"]
DOES_NOT_FIT: Reason = "does_not_fit"
EXCEEDS_DRAM: Reason = "exceeds_dram"
NO_BETTER: Reason = "no_better"


@dataclass(frozen=True)
class DeepTiling:
    """Of deep tiling that was wanted. `reason` is "" where it is `taken`. `needed` and `available` are bytes
    of SRAM where it `does_not_fit`, of DRAM where it `exceeds_dram`; where it is `no_better`, `cycles` and
    `moved` are its cycles and the bytes that it moves."""

    taken: bool
    reason: Reason = ""
    message: str = ""
    needed: int | None = None
    available: int | None = None
    cycles: int | None = None
    moved: int | None = None

    def to_json(self) -> dict[str, object]:
        """`deep` of compile.json."""
        return asdict(self)

    def findings(self) -> tuple[Finding, ...]:
        """Why it is not taken: a note where nothing is lost by it."""
        if self.taken:
            return ()
        severity: Literal["note", "warning"] = "note" if self.reason == NO_BETTER else "warning"
        return (Finding(CODE, severity, self.message, _ADVICE[self.reason]),)


_ADVICE = {
    DOES_NOT_FIT: "take a smaller picture, or be content with the default tiling",
    EXCEEDS_DRAM: "take a smaller picture or batch, or be content with the default tiling",
    NO_BETTER: "",
}


def does_not_fit(what: str, needed: int, available: int) -> DeepTiling:
    """`what`: whose smallest step needs so many bytes of SRAM."""
    message = (
        f"deep tiling is not taken: the smallest step of {what} needs {needed:,} bytes of SRAM, there are "
        f"{available:,}"
    )
    return DeepTiling(False, DOES_NOT_FIT, message, needed, available)


def exceeds_dram(needed: int, available: int, whose: str) -> DeepTiling:
    """`whose`: what sets the bytes that there are."""
    message = f"deep tiling is not taken: it needs {needed:,} bytes of DRAM; {whose} {available:,}"
    return DeepTiling(False, EXCEEDS_DRAM, message, needed, available)


def no_better(deep: tuple[int, int], default: tuple[int, int]) -> DeepTiling:
    """Cycles and bytes moved of both."""
    if deep == default:
        message = f"deep tiling changes nothing: {default[0]:,} cycles, as by default"
    else:
        message = (
            f"deep tiling is not taken: it takes {deep[0]:,} cycles and moves {deep[1]:,} bytes, the default "
            f"{default[0]:,} and {default[1]:,}"
        )
    return DeepTiling(False, NO_BETTER, message, cycles=deep[0], moved=deep[1])

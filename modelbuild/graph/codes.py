"""The codes of findings: docs/checks.md has a section for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Code:
    """What a finding of this code says, and how grave it is at most. Errors cannot be ignored: without what
    they ask for nothing can be built."""

    title: str
    severity: Severity

    @property
    def can_be_ignored(self) -> bool:
        """Whether `checks: {ignore: ...}` takes it."""
        return self.severity != "error"


CODES: dict[str, Code] = {
    "MB001": Code("the id of a model is reserved", "warning"),
    "MB002": Code("an id that is not used", "warning"),
    "MB003": Code("there are no packages", "warning"),
    "MB004": Code("a model or a target that no package asks for", "warning"),
    "MB005": Code("samples both calibrate and evaluate a model", "warning"),
    "MB006": Code("files of a sample set that are not staged", "warning"),
    "MB007": Code("a source that was never fetched", "warning"),
    "MB008": Code("an entry of `checks.ignore` that matches nothing", "warning"),
    "MB100": Code("the model cannot be read", "error"),
    "MB101": Code("no unit of the chip runs the operator", "error"),
    "MB102": Code("the operator is known, but not in this form", "error"),
    "MB103": Code("the operator runs on the CPU, since the NPU does not have it", "warning"),
    "MB104": Code("the node runs on the CPU, since it breaks a rule of the NPU", "warning"),
    "MB105": Code("the chip runs it, but the arithmetic does not define it", "error"),
    "MB106": Code("the model has more inputs than the package format holds", "error"),
    "MB107": Code("the parameters alone exceed the memory of the chip", "error"),
    "MB108": Code("an output is a constant", "error"),
    "MB109": Code("the NPU runs the node by one edition of the toolchain only", "warning"),
    "MB110": Code("nothing compiles for the chip yet", "warning"),
}

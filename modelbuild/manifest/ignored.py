"""`checks: {ignore: [...]}`: findings that a manifest does not want to hear of."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from modelbuild.errors import did_you_mean
from modelbuild.graph.codes import CODES
from modelbuild.manifest.scalars import AS_MAPPING, AS_SCALAR, BY_KIND, AsTuple, Text
from modelbuild.manifest.strict import Strict, refuse

UNMATCHED = "MB008"  # the code of an entry that matches nothing


def _ignorable(code: str) -> str:
    known = CODES.get(code)
    if known is None:
        near = did_you_mean(code, [name for name, one in CODES.items() if not one.stops])
        raise refuse(f"there is no finding `{code}`", f"{near} docs/checks.md lists them".lstrip())
    if code == UNMATCHED:
        raise refuse(
            f"`{code}` cannot be ignored: it says of an entry that it has no effect",
            "remove the entry that matches nothing",
        )
    if known.stops:
        raise refuse(
            f"`{code}` cannot be ignored: {known.title}, and nothing can be built before that is mended",
            f"do what docs/checks.md says under {code}",
        )
    return code


Code = Annotated[Text, AfterValidator(_ignorable)]


class Ignored(Strict):
    """Findings of one code, of all nodes or of some."""

    code: Code = Field(description="the code of the findings: MB103")
    node: Text | None = Field(None, description="a pattern that the node's name matches: stem*")
    reason: Text | None = Field(None, description="why they may be ignored; kept in JSON and SARIF")


class Checks(Strict):
    """What `modelbuild check` is told."""

    ignore: (
        Annotated[
            tuple[Annotated[Annotated[Code, AS_SCALAR] | Annotated[Ignored, AS_MAPPING], BY_KIND], ...],
            AsTuple,
        ]
        | None
    ) = Field(None, description="findings not to report: codes, or {code, node, reason}")


def canonical(entries: list[Any]) -> list[dict[str, Any]]:
    """Each entry as {code, node, reason}."""
    empty = dict.fromkeys(("code", "node", "reason"))
    return [{**empty, **({"code": entry} if isinstance(entry, str) else entry)} for entry in entries]


def of_defaults(defaults: Any) -> list[dict[str, Any]]:
    """The entries of the manifest's `defaults` (a `Settings`): those that hold for the manifest itself."""
    checks = defaults.checks
    entries = checks.model_dump(mode="json")["ignore"] if checks is not None else None
    return canonical(entries or [])

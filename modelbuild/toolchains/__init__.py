"""One module a toolchain; adding one is adding a module and a line here."""

from __future__ import annotations

from types import ModuleType

from modelbuild.errors import ModelbuildError
from modelbuild.toolchains import builtin

TOOLCHAINS: dict[str, ModuleType] = {"builtin": builtin}


def named(name: str) -> ModuleType:
    """The toolchain of that name (`builtin`, or `nncase@1.9`: the version follows the @)."""
    known = name.split("@")[0]
    if known not in TOOLCHAINS:
        raise ModelbuildError(
            f"there is no toolchain `{name}` in this version of modelbuild",
            advice=f"use one of: {', '.join(sorted(TOOLCHAINS))}",
        )
    return TOOLCHAINS[known]

"""How a build is to be done: what people say on the command line, beside what is to be built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from modelbuild.errors import ModelbuildError


class BuildOptions(NamedTuple):  # no dataclass, as in modelbuild.errors
    """`jobs` None is one a processor; `memory` in bytes, None is most of what is free; `until` is a stage.

    `offline` fetches nothing, `locked` builds from `modelbuild.lock`, and `remeasure` measures again what it
    holds the measurements of.
    """

    jobs: int | None = None
    memory: int | None = None
    until: str | None = None
    keep_going: bool = False
    dry_run: bool = False
    retry: bool = False
    offline: bool = False
    locked: bool = False
    remeasure: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> BuildOptions:
        """Those that are among the options of a command line, on which `memory` is text: 4G. Raises
        ModelbuildError for those that make no sense."""
        chosen = {name: given[name] for name in cls._fields if name in given}
        if chosen.get("jobs") is not None and chosen["jobs"] < 1:
            raise ModelbuildError(f"-j {chosen['jobs']} cannot build anything", advice="give 1 or more")
        if chosen.get("memory") is not None:
            from modelbuild.build.memory import parse_bytes

            chosen["memory"] = parse_bytes(chosen["memory"])
        return cls(**chosen)


DEFAULT = BuildOptions()
EVALUATE = "evaluate"  # the stage that predicts

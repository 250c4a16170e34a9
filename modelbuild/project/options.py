"""How a build is to be done: what people say on the command line, beside what is to be built."""

from __future__ import annotations

from typing import NamedTuple


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


DEFAULT = BuildOptions()

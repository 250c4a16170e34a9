"""The runs of one build with their times, workers and memory: what `--trace` and `--profile` are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from modelbuild.build.result import Event


class Run(NamedTuple):
    """One action that ran. `state` is run, failed or interrupted; times are in seconds of the build."""

    action: str
    started: float
    worker: int
    ended: float = 0.0
    state: str = "interrupted"
    peak_bytes: int | None = None
    key: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started

    @property
    def stage(self) -> str:
        """`observe` of `face@cam:observe`."""
        return self.action.rsplit(":", 1)[-1]


@dataclass
class Ledger:
    """An observer that keeps the runs in the order in which they ended, and how the others were settled."""

    runs: list[Run] = field(default_factory=list)
    settled: dict[str, int] = field(default_factory=dict)
    first: float | None = None  # when the first action started
    last: float = 0.0  # when the last action ended
    _open: dict[str, Run] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        """Takes note of an event."""
        if event.kind == "started":
            self.first = event.seconds if self.first is None else self.first
            self._open[event.action] = Run(event.action, event.seconds, event.worker or 0)
        elif event.kind == "finished":
            self.last = event.seconds
            self.settled[event.state or ""] = self.settled.get(event.state or "", 0) + 1
            run = self._open.pop(event.action, None)
            if run is not None:
                worker = run.worker if event.worker is None else event.worker
                self.runs.append(
                    run._replace(
                        ended=event.seconds,
                        worker=worker,
                        state=event.state or "",
                        peak_bytes=event.peak_bytes,
                        key=event.key,
                    )
                )

    def close(self, now: float) -> None:
        """What runs still was interrupted."""
        self.runs += [run._replace(ended=max(now, run.started)) for run in self._open.values()]
        self._open.clear()

    @property
    def counts(self) -> Mapping[str, int]:
        """State -> how many actions, those interrupted too."""
        interrupted = sum(run.state == "interrupted" for run in self.runs)
        return {**self.settled, **({"interrupted": interrupted} if interrupted else {})}

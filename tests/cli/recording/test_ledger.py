"""The runs of a build, from its events."""

from __future__ import annotations

from modelbuild.build.result import Event
from modelbuild.cli.recording.ledger import Ledger, Run


def test_what_ran_and_what_was_interrupted() -> None:
    ledger = Ledger()
    ledger(Event("finished", "known", "cached", seconds=0.5))
    ledger(Event("started", "a@x:lower", seconds=1.0, worker=0))
    ledger(Event("started", "b@x:lower", seconds=1.5, worker=1))
    ledger(Event("finished", "a@x:lower", "run", seconds=3.0, worker=0, peak_bytes=99, key="k"))
    ledger.close(4.0)
    assert ledger.runs == [
        Run("a@x:lower", 1.0, 0, 3.0, "run", 99, "k"),
        Run("b@x:lower", 1.5, 1, 4.0, "interrupted"),
    ]
    assert [(run.seconds, run.stage) for run in ledger.runs] == [(2.0, "lower"), (2.5, "lower")]
    assert ledger.counts == {"cached": 1, "run": 1, "interrupted": 1}
    assert (ledger.first, ledger.last) == (1.0, 3.0)

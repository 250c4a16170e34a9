"""Each operation on the disk fails once: nothing wrong, nothing half, a message; the next build is right."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

import pytest
from fault_scenario import PHASES
from fault_trials import KINDS, Trials, opened
from faults import Fault, Injector

STRIDE = 67  # of the short form; prime, so that each run over the kinds meets other operations


@pytest.fixture(scope="module", params=[True, False], ids=["exchanges names", "renames only"])
def trials(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    with opened(tmp_path_factory.mktemp("faults"), request.param) as found:
        yield found


def test_some_operations_fail(trials: Trials) -> None:
    kinds, tried, wrong = cycle(KINDS), 0, []
    phases = trials.stages if trials.exchange else ["edit"]  # no other replaces a product
    for phase in phases:
        for role, count in trials.stages[phase].counts.items():
            for at in range(1, count + 1, STRIDE):
                wrong += trials.wrong(phase, role, next(kinds), at)
                tried += 1
    assert not wrong, "\n".join(wrong)
    assert tried > 5


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ["builder", "worker"])
@pytest.mark.parametrize("phase", PHASES)
def test_every_operation_fails(trials: Trials, phase: str, role: str, kind: str) -> None:
    count = trials.stages[phase].counts[role]
    wrong = [text for at in range(1, count + 1) for text in trials.wrong(phase, role, kind, at)]
    assert not wrong, "\n".join(wrong)


def test_the_scenario_does_what_it_is_there_for(trials: Trials) -> None:
    first, edit = trials.stages["first"], trials.stages["edit"]
    assert first.answer["states"] == {**dict.fromkeys("abcds", "run"), "f": "failed", "report": "run"}
    assert edit.answer["states"]["b"] == "failed" and edit.answer["states"]["s"] == "cached"
    assert first.new["dist/q"] == edit.new["dist/.stale/q"] is not None
    assert first.new["dist/p"] != edit.new["dist/p"]
    assert not any(trials.stages["clean"].new.values())
    kinds = {line.split()[0] for stage in trials.stages.values() for line in stage.answer["seen"]}
    expected = {
        "open",
        "read",
        "write",
        "fsync",
        "rename",
        "mkdir",
        "unlink",
        "rmdir",
        "chmod",
        "stat",
        "listdir",
    }
    assert kinds == expected
    assert first.counts["worker"] > 50


def test_without_its_flush_a_file_is_lost_with_the_power(tmp_path: Path) -> None:
    """The injector itself: it must be able to see a forgotten fsync."""
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    child = os.fork()
    if child == 0:
        Injector(Fault(str(tmp_path), at=7, kind="power")).install()
        for path in (kept, lost):  # open, write, fsync of `kept`; open, write of `lost`
            with path.open("wb", buffering=0) as stream:
                stream.write(b"12345678")
                if path == kept:
                    os.fsync(stream.fileno())
        (tmp_path / "third").mkdir()
        lost.stat()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77
    assert (kept.read_bytes(), lost.read_bytes()) == (b"12345678", b"1234")

"""Counts and the time left, from events alone."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.build.result import Event
from modelbuild.cli.progress.tally import Tally

NAMES = ("a@x:observe", "b@x:observe", "a@x:compile", "b@x:compile")


def tally(earlier: Mapping[str, float], *events: Event) -> Tally:
    made = Tally(lambda: earlier, lambda: NAMES)
    for event in events:
        made(event)
    return made


def started(name: str, seconds: float = 0.0, worker: int = 0, done: int = 0) -> Event:
    return Event("started", name, total=len(NAMES), seconds=seconds, worker=worker, done=done)


def finished(name: str, seconds: float, done: int, state: str = "run") -> Event:
    return Event("finished", name, state, done=done, total=len(NAMES), seconds=seconds)  # type: ignore[arg-type]


EARLIER = {"a@x:observe": 10.0, "b@x:observe": 10.0, "a@x:compile": 2.0, "b@x:compile": 4.0}


def test_what_is_known_of_every_action_adds_up() -> None:
    assert tally(EARLIER, started(NAMES[0])).left(4.0) == 6 + 10 + 2 + 4
    two = tally(EARLIER, started(NAMES[0]), started(NAMES[1], worker=1))
    assert two.left(4.0) == (6 + 6 + 2 + 4) / 2


def test_the_longest_run_bounds_it() -> None:
    found = tally(
        {**EARLIER, NAMES[0]: 100.0},
        started(NAMES[0]),
        started(NAMES[1], worker=1),
        finished(NAMES[1], 1.0, 1),
        finished(NAMES[2], 1.0, 2),
        finished(NAMES[3], 1.0, 3),
    )
    assert found.left(10.0) == 90.0


def test_an_action_that_tells_how_far_it_is_is_believed() -> None:
    far = Event("progress", NAMES[0], total=4, seconds=20.0, step=16, steps=64, what="sample")
    assert tally(EARLIER, started(NAMES[0]), far).left(20.0) == 60 + 10 + 2 + 4


def test_a_stage_without_history_is_judged_by_its_others() -> None:
    found = tally({"other@x:compile": 3.0}, started(NAMES[0]), finished(NAMES[0], 8.0, 1))
    assert found.left(8.0) == 8 + 3 + 3


def test_nothing_is_said_where_something_is_unknown() -> None:
    assert tally({}, started(NAMES[0])).left(1.0) is None
    assert tally({"other@x:observe": 1.0}, started(NAMES[0])).left(1.0) is None
    assert Tally(lambda: EARLIER, lambda: NAMES).left(0.0) is None
    of_a_part = Tally(lambda: EARLIER, lambda: NAMES)
    of_a_part(Event("started", NAMES[0], total=2))  # names that are not this build's
    assert of_a_part.left(0.0) is None


def test_counts() -> None:
    found = tally(
        EARLIER,
        finished(NAMES[0], 0.0, 1, "cached"),
        started(NAMES[1], done=1),
        finished(NAMES[1], 2.5, 2),
        finished(NAMES[2], 2.5, 3, "failed"),
        finished(NAMES[3], 2.5, 4, "skipped"),
    )
    assert found.states == {"cached": 1, "run": 1, "failed": 1, "skipped": 1}
    assert (found.done, found.total, found.running, found.took) == (4, 4, {}, {NAMES[1]: 2.5})


@given(st.lists(st.tuples(st.sampled_from(NAMES), st.floats(0, 100)), max_size=12))
def test_the_time_left_is_never_negative(events: list[tuple[str, float]]) -> None:
    made = tally(EARLIER)
    done: dict[str, None] = {}
    now = 0.0
    for name, later in events:
        now += later
        if name in made.running:
            done[name] = None
            made(finished(name, now, len(done)))
        elif name not in done:
            made(started(name, now, done=len(done)))
        left = made.left(now)
        assert left is None or left >= 0

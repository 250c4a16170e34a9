"""`--profile`: the slowest actions, the stages, and the longest chain."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from modelbuild.cli.recording.ledger import Run
from modelbuild.cli.recording.profile import critical_path, profile, text

READS = {"c": ["a", "b"], "a": [], "b": ["a"], "d": ["a"]}


def test_the_longest_chain() -> None:
    assert critical_path({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}, READS) == [
        ("a", 1.0),
        ("b", 2.0),
        ("c", 3.0),
    ]
    assert critical_path({"a": 1.0, "d": 9.0}, READS) == [("a", 1.0), ("d", 9.0)]
    assert critical_path({"a": 1.0, "c": 3.0}, READS) == [("a", 1.0), ("c", 3.0)]  # b was cached
    assert critical_path({}, READS) == [] == critical_path({"a": 1.0}, {})


def test_a_chain_longer_than_pythons_stack() -> None:
    reads = {str(index): [str(index - 1)] if index else [] for index in range(5000)}
    assert len(critical_path(dict.fromkeys(reads, 1.0), dict(reversed(reads.items())))) == 5000


@given(
    st.lists(
        st.tuples(st.integers(0, 100), st.lists(st.integers(0, 20), max_size=4)), min_size=1, max_size=12
    )
)
def test_no_chain_is_longer(nodes: list[tuple[int, list[int]]]) -> None:
    """Against every chain there is; a node reads only nodes before it."""
    reads = {str(i): sorted({str(j % i) for j in found}) if i else [] for i, (_, found) in enumerate(nodes)}
    took = {str(index): float(seconds) for index, (seconds, _) in enumerate(nodes)}
    best = {}
    for name in reads:
        best[name] = took[name] + max((best[source] for source in reads[name]), default=0.0)
    path = critical_path(took, reads)
    assert sum(seconds for _, seconds in path) == max(best.values())
    assert all(before in reads[after] for (before, _), (after, _) in pairwise(path))


RUNS = [
    Run("a@x:lower", 1.0, 0, 2.0, "run", 1024),
    Run("a@x:observe", 2.0, 1, 5.0, "run", 3 * 1024**2),
    Run("b@x:lower", 2.0, 0, 2.5, "failed"),
]


def test_the_object() -> None:
    found = profile(RUNS, 6.0, {"a@x:lower": [], "a@x:observe": ["a@x:lower"], "b@x:lower": []})
    assert (found["seconds"], found["busy_seconds"], found["critical_seconds"]) == (6.0, 4.5, 4.0)
    assert [item["action"] for item in found["actions"]] == ["a@x:observe", "a@x:lower", "b@x:lower"]
    assert found["actions"][0] == {
        "action": "a@x:observe",
        "state": "run",
        "seconds": 3.0,
        "share": 0.6667,
        "peak_bytes": 3 * 1024**2,
    }
    assert found["stages"][1] == {
        "stage": "lower",
        "count": 2,
        "seconds": 1.5,
        "share": 0.3333,
        "peak_bytes": 1024,
    }
    assert [item["action"] for item in found["critical_path"]] == ["a@x:lower", "a@x:observe"]


def test_the_tables() -> None:
    lines = text(profile(RUNS, 6.0, {"a@x:lower": [], "a@x:observe": ["a@x:lower"]})).split("\n")
    assert lines[0].split() == ["seconds", "share", "peak", "memory", "slowest", "actions"]
    assert lines[1].split() == ["3.000", "66.7", "%", "3.0", "MiB", "a@x:observe"]
    assert lines[3].split() == ["0.500", "11.1", "%", "not", "known", "b@x:lower"]
    assert lines[-3:] == [
        "longest chain: 4.000 s of 6.000 s",
        "  1.000 s  a@x:lower",
        "  3.000 s  a@x:observe",
    ]
    assert text(profile([], 1.0, {})) == "profile: nothing ran"


def test_a_thousand_runs_are_twenty_lines() -> None:
    runs = [Run(f"m{index}@x:lower", 0.0, 0, 1.0, "run") for index in range(1000)]
    lines = text(profile(runs, 6.0, {})).split("\n")
    assert len(lines) == 1 + 20 + 1 + 1 + 2 and "and 980 more, all of them in --json" in lines

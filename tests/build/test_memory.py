"""Amounts of memory, what the machine and its containers leave, and builds that keep within a bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_harness import Project, action
from hypothesis import given
from hypothesis import strategies as st

from modelbuild.build import memory
from modelbuild.build.action import FileInput, Resources
from modelbuild.build.queue import PATIENCE, Queue, Waiting
from modelbuild.build.result import Event
from modelbuild.build.room import Room, memory_of
from modelbuild.build.verdict import MustRun
from modelbuild.errors import ModelbuildError

MIB = 2**20


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("4G", 4 * 2**30),
        ("4g", 4 * 2**30),
        ("4GiB", 4 * 2**30),
        ("4 GB", 4 * 2**30),
        ("1.5g", 3 * 2**29),
        ("512M", 512 * MIB),
        (" 64k ", 65536),
        ("1T", 2**40),
        ("1000000", 1_000_000),
        ("10b", 10),
    ],
)
def test_amounts_are_read_as_people_write_them(text: str, number: int) -> None:
    assert memory.parse_bytes(text) == number


@pytest.mark.parametrize(
    "text", ["", "G", "-1G", "0", "0G", "4 X", "4GG", "1e9", "1,5G", "4G 2M", "0x10", "٤G"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ModelbuildError) as refused:
        memory.parse_bytes(text)
    assert refused.value.exit_code == 2 and "such as 4G" in str(refused.value)


@given(st.text(max_size=40))
def test_any_text_is_an_amount_or_an_error(text: str) -> None:
    try:
        assert memory.parse_bytes(text) > 0
    except ModelbuildError as error:
        assert error.exit_code == 2


def test_amounts_are_told_as_people_read_them() -> None:
    assert [memory.readable(n) for n in (2048, 3 * MIB, 3 * 2**29)] == ["2 KiB", "3.0 MiB", "1.5 GiB"]


def group(root: Path, folder: str, limit: tuple[str, str], usage: tuple[str, int], stat: str) -> None:
    at = root / "sys/fs/cgroup" / folder
    at.mkdir(parents=True, exist_ok=True)
    (at / limit[0]).write_text(limit[1] + "\n")
    (at / usage[0]).write_text(f"{usage[1]}\n")
    (at / "memory.stat").write_text(stat)


def cgroup(root: Path, text: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(text)


def test_a_container_of_version_2_leaves_its_limit_less_what_cannot_be_reclaimed(tmp_path: Path) -> None:
    cgroup(tmp_path, "0::/a/b\n")
    group(tmp_path, "a", ("memory.max", "1000"), ("memory.current", 400), "anon 1\ninactive_file 100\n")
    group(tmp_path, "a/b", ("memory.max", "max"), ("memory.current", 400), "inactive_file 100\n")
    assert memory._left_in_group(tmp_path) == 700


def test_a_container_of_version_1_counts_too_and_the_least_decides(tmp_path: Path) -> None:
    cgroup(tmp_path, "5:cpu:/x\n4:memory:/host/path\n0::/\n")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(tmp_path, "memory", (names[0], "5000"), (names[1], 5500), "total_inactive_file 1000\n")
    group(tmp_path, "memory/host", (names[0], "9000"), (names[1], 100), "total_inactive_file 0\n")
    assert memory._left_in_group(tmp_path) == 500


def test_no_group_and_no_limit_leave_everything(tmp_path: Path) -> None:
    assert memory._left_in_group(tmp_path) is None
    cgroup(tmp_path, "0::/\n")
    assert memory._left_in_group(tmp_path) is None


def test_a_build_takes_a_share_of_what_is_available() -> None:
    available = memory._available()
    usable = memory.usable()
    assert available is not None and usable is not None
    assert 0 < usable <= available


def test_the_need_of_an_action_grows_with_its_inputs(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "gone")]
    for path in files[:2]:
        path.write_bytes(b"x" * 1000)
    inputs = dict(zip("abc", files, strict=True))
    assert memory_of(Resources(memory=10), inputs) == 10
    assert memory_of(Resources(memory=10, memory_per_input_byte=2.5), inputs) == 5010
    counted = Resources(memory=10, memory_per_input_byte=2.5, counted=("a", "none"))
    assert memory_of(counted, inputs) == 2510


def test_one_action_may_always_run_and_others_beside_it_only_within_the_bounds() -> None:
    room = Room(threads=4, memory=100)
    assert room.fits(threads=9, memory=1000), "alone"
    room.take("a", 1, 60)
    assert room.fits(3, 40) and not room.fits(1, 41) and not room.fits(4, 1)
    room.take("b", 3, 40)
    assert not room.fits(1, 0)
    room.give_back("a")
    assert room.fits(1, 60)
    assert Room(threads=2, memory=None).fits(2, 10**15)


def waiting(position: int, needed: int) -> Waiting:
    return Waiting(position, action(str(position)), MustRun("", [], {}, "new"), needed)


def test_small_actions_pass_a_large_one_a_while_and_then_wait_for_it() -> None:
    """The large one never fits while small ones run: without patience's end it would be last."""
    queue = Queue()
    queue.add(waiting(0, 100))
    started = []
    for position in range(1, 40):
        queue.add(waiting(position, 10))
        found = queue.take(lambda one: one.memory <= 50)
        if found is not None:
            started.append(found.position)
    assert started == list(range(1, PATIENCE + 1))
    first = queue.take(lambda one: True)
    assert first is not None and first.position == 0, "its turn has come"


def test_the_order_of_the_plan_decides_between_those_that_fit() -> None:
    queue = Queue()
    for position in (3, 1, 2):
        queue.add(waiting(position, 1))
    found = [queue.take(lambda one: True) for _ in range(4)]
    assert [one.position if one else None for one in found] == [1, 2, 3, None]


def test_a_build_keeps_within_its_memory_and_starves_nobody(project: Project) -> None:
    project.write("a.txt", "x" * 1000)
    needs = {f"a{index:02}": 30 + index for index in range(12)} | {"large": 500, "b": 60, "c": 60}
    actions = [
        action(name, "upper", inputs={"x": "a.txt"}, resources=Resources(1, needed * MIB))
        for name, needed in needs.items()
    ]
    running: dict[str, int] = {}
    most = 0

    def tell(event: Event) -> None:
        nonlocal most
        if event.kind == "started":
            running[event.action] = needs[event.action]
            most = max(most, sum(running.values()) if len(running) > 1 else 0)
        elif event.kind == "finished":
            del running[event.action]

    result = project.build(actions, jobs=4, memory=120 * MIB, observer=tell)
    assert result.counts["run"] == len(needs)
    assert 60 < most <= 120


def test_threads_are_bounded_by_jobs(project: Project) -> None:
    actions = [action(f"a{index}", resources=Resources(threads=2)) for index in range(6)]
    running: set[str] = set()
    most = 0

    def tell(event: Event) -> None:
        nonlocal most
        (running.add if event.kind == "started" else running.discard)(event.action)
        most = max(most, len(running))

    assert project.build(actions, jobs=3, observer=tell).ok
    assert most == 1


def test_the_need_counts_the_files_that_an_action_reads(project: Project) -> None:
    project.write("big.txt", "x" * 100_000)
    needs = Resources(memory=0, memory_per_input_byte=10.0)
    actions = [action(f"a{i}", inputs={"x": "big.txt"}, resources=needs) for i in range(4)]
    assert isinstance(actions[0].inputs["x"], FileInput)
    running: set[str] = set()
    most = 0

    def tell(event: Event) -> None:
        nonlocal most
        (running.add if event.kind == "started" else running.discard)(event.action)
        most = max(most, len(running))

    assert project.build(actions, jobs=4, memory=1_999_999, observer=tell).ok
    assert most == 1


def test_an_action_that_is_killed_names_the_memory_it_took_and_declared(project: Project) -> None:
    eater = action(
        "eater",
        function="stages_of_processes:eat",
        parameters={"bytes": 150 * MIB, "killed": True},
        resources=Resources(memory=40 * MIB),
    )
    text = str(project.failure(project.build([eater]), "eater"))
    assert "the process that ran eater was killed by SIGKILL" in text
    assert "40.0 MiB were declared" in text
    taken = float(text.split("it had taken ")[1].split(" MiB")[0])
    assert 150 <= taken < 400
    assert "--memory" in text


def test_the_peak_of_each_action_is_its_own(project: Project) -> None:
    """One worker runs both; the second must not inherit the first's."""
    actions = [
        action("large", function="stages_of_processes:eat", parameters={"bytes": 200 * MIB}),
        action("small", function="stages_of_processes:eat", parameters={"bytes": MIB}),
    ]
    events: list[Event] = []
    project.build(actions, jobs=1, observer=events.append)
    peaks = {one.action: one.peak_bytes for one in events if one.kind == "finished"}
    large, small = peaks["large"], peaks["small"]
    assert large is not None and small is not None
    assert 200 * MIB < large < 400 * MIB and 0 < small < 100 * MIB


def test_a_worker_that_keeps_much_memory_is_replaced(project: Project) -> None:
    actions = [
        action(name, function="stages_of_processes:hoard", parameters={"bytes": size * MIB})
        for name, size in (("much", 600), ("little", 1), ("again", 1))
    ]
    result = project.build(actions, jobs=1)
    much, little, again = (project.text(result, name) for name in ("much", "little", "again"))
    assert much != little and little == again

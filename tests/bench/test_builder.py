"""The bench on graphs of a few tasks: what it measures is what it says. Figures are for quiet machines."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from bench import builder, compare, hook, layers, manifests, overhead, peers, table, tools
from bench.measure import Command, Run, interleaved, middle, run
from modelbuild.manifest.load import load
from modelbuild.manifest.plan import plan


@pytest.mark.parametrize("count", [1, 9, 10, 37, 100])
def test_the_graph_has_ten_layers_of_three_inputs(count: int) -> None:
    tasks = layers.layered(count)
    assert len({task.output for task in tasks}) == count
    depth: dict[str, int] = {}
    for task in tasks:  # inputs come first
        assert len(set(task.inputs)) in (2, 3)
        depth[task.output] = 1 + max(depth[path] if path.startswith("out/") else 0 for path in task.inputs)
    assert max(depth.values()) == min(count, 10)
    assert layers.edited(tasks) in tasks[-1].inputs
    assert sum(layers.edited(tasks) in task.inputs for task in tasks) == 1


def test_the_projects_plan_so_many_actions_and_no_two_models_are_one(tmp_path: Path) -> None:
    models = manifests.models_for(230)
    manifests.write(tmp_path, models)
    planned = plan(load(tmp_path / "models.yaml"))
    asked = [action for action in planned.actions if not action.name.endswith(":check_samples")]
    assert 220 <= len(asked) <= 240
    files = [(tmp_path / manifests.model_path(index)).read_bytes() for index in range(models)]
    assert len(set(files)) == models


def test_peak_and_time_are_those_of_the_process(tmp_path: Path) -> None:
    words = (sys.executable, "-S", "-c", "import time; held = bytearray(64 << 20); time.sleep(0.2)")
    done = run(Command(words, tmp_path, {}))
    assert done.peak_mb > 64
    assert done.seconds >= 0.2
    assert run(Command(("true",), tmp_path, {})).peak_mb < 64  # and not those of who started it


def test_a_command_that_fails_ends_the_bench(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        run(Command((sys.executable, "-c", "raise SystemExit(3)"), tmp_path, {}))


def test_commands_take_turns_and_warm_up() -> None:
    order: list[str] = []

    def command(name: str, number: int) -> Run:
        order.append(f"{name}{number}")
        return Run(number, 1.0)

    found = interleaved(
        {"a": lambda number: command("a", number), "b": lambda number: command("b", number)}, {"a": 3, "b": 1}
    )
    assert order == ["a0", "b0", "a1", "b1", "a2", "a3"]
    assert [done.seconds for done in found["a"]] == [1, 2, 3]
    assert middle(found["a"]).seconds == 2


def test_work_is_the_time_in_which_anything_ran(tmp_path: Path) -> None:
    assert overhead.covered([(0, 1), (0.5, 2), (3, 4), (3.2, 3.4)]) == 3


def test_our_builder_runs_one_task_for_an_edit_and_none_for_a_touch(tmp_path: Path) -> None:
    tool = tools.alone(layers.layered(20), tmp_path / "alone")
    assert tool.rerun() == 20
    assert tool.rerun() == 0
    tool.touch(0)
    assert tool.rerun() == 0
    tool.edit(1)
    assert tool.rerun() == 1


@pytest.mark.parametrize("name", ["ninja", "make", "doit", "dvc"])
def test_a_peer_that_is_there_builds_the_graph(tmp_path: Path, name: str) -> None:
    peer = peers.peers(tmp_path / "none", jobs=1).get(name)
    if peer is None:
        pytest.skip(f"{name} is not on this machine; `python -m bench.builder` installs it")
    tool = tools.peer_tool(peer, layers.layered(20), tmp_path / "graph")
    assert tool.rerun() == 20
    assert tool.rerun() == 0
    tool.edit(1)
    assert tool.rerun() == 1


def test_the_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--actions", "10", "--runs", "1", "--no-peers", "--no-real", "--output", str(tmp_path / "t.md")]
    assert builder.main(words) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "t.md").read_text(encoding="utf-8") == text
    lines = text.splitlines()
    row = next(line for line in lines if line.startswith(f"| {tools.ALONE} |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert len(cells) == len(compare.HEAD)
    assert [cells[index] for index in (1, 5, 7)] == ["10", "1", "0"]
    assert any("cores for the bench" in line for line in lines)
    assert any("CPython" in line or "PyPy" in line for line in lines)


def test_figures_have_three_digits() -> None:
    assert [table.milliseconds(seconds) for seconds in (1.2345, 0.0123, 0.00123)] == ["1234", "12.3", "1.23"]
    assert table.ratio(3.0, 2.0) == "1.5"
    assert table.ratio(3.0, None) == ""


@pytest.mark.long
def test_real_models_in_a_git_hook_and_one_of_them_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not on this machine")
    lines = hook.hook(20, tmp_path / "hook", runs=1)
    assert len(lines) == 2 + 3
    lines = overhead.edit_one(3, tmp_path / "edit", runs=1)
    assert "one of 3 models" in lines[0] and "(14 actions run)" in lines[2]
    assert len(lines) == 2 + 5 + 2
    lines = overhead.whole(2, tmp_path / "whole")
    assert "25 actions" in lines[0]

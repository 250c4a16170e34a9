"""`why`: the field that changed, old and new, of an action or of all that a name has."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cli.conftest import Command, edit


def test_of_a_package_every_action_of_its_own(small: Path, command: Command) -> None:
    said = command(small, "why", "all-nef")
    assert said.code == 0
    named = [line for line in said.lines if not line.startswith(("last time", "next time"))]
    assert sorted(named) == [
        "all-nef/small:verify_hardware",
        "all-nef:gate",
        "all-nef:package",
        "all-nef:report",
    ]
    alike = ["last time it ran: it had never been built", "next time: inputs unchanged: up to date"]
    assert said.lines[-2:] == alike and len(said.lines) == 6  # said once of all four


def test_a_setting_with_its_old_and_new_value(copied: Path, command: Command) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 4}")
    change = "parameters.accept.small.snr_db changed from 5.0 to 4.0"
    assert command(copied, "why", "all-nef:gate").lines == [
        "all-nef:gate",
        "last time it ran: it had never been built",
        f"next time: {change}",
    ]
    assert command(copied, "build", "-q").code == 0
    assert command(copied, "why", "all-nef:gate").lines == [
        "all-nef:gate",
        f"last time it ran: {change}",
        "next time: inputs unchanged: up to date",
    ]


def test_a_file_by_its_path(copied: Path, command: Command) -> None:
    np.save(copied / "data/3.npy", np.ones((1, 3, 8, 8), np.float32))
    said = command(copied, "why", "small@nef:observe")
    assert "next time: file data/3.npy changed from " in said.out
    data = command(copied, "why", "small@nef:observe", "--json").json
    (explained,) = data["explanations"]
    assert explained["action"] == "small@nef:observe"
    assert explained["next"]["verdict"] == "changed"
    (change,) = explained["next"]["changes"]
    assert change["source"] == "file data/3.npy" and change["old"] != change["new"]


def test_what_waits_names_the_root(copied: Path, command: Command) -> None:
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {range: {method: minmax}}}")
    said = command(copied, "why", "small@nef:compile")
    assert "next time: depends on small@nef:quantize, which must run first: " in said.out
    assert "minmax" in said.out


def test_fewer_samples_are_told_by_those_that_are_left_out(copied: Path, command: Command) -> None:
    edit(copied, "calibration: integers", "calibration: {set: integers, count: 7}")
    first, *lines = command(copied, "why", "small@nef:observe", "--next").lines[1:]
    assert first == "next time: changed:" and lines[0] == "  parameters.samples changed from 8 to 7"
    assert len(lines) == 2 and " was removed: it was " in lines[1] and lines[1].startswith("  file data/")


def test_what_was_told_above_is_not_told_again(copied: Path, command: Command) -> None:
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {range: {method: minmax}}}")
    said = command(copied, "why", "small@nef", "--next")
    assert said.out.count("minmax") == 1
    waits = "next time: depends on small@nef:quantize, which must run first (above)"
    assert said.lines[said.lines.index("small@nef:compile") + 1] == waits


def test_a_name_that_is_none(small: Path, command: Command) -> None:
    said = command(small, "why", "small@nef:quantise")
    assert said.code == 2 and "small@nef:quantize" in said.err and said.out == ""


def test_the_last_run_or_the_next_alone(copied: Path, command: Command) -> None:
    edit(copied, "accept: {snr_db: 5}", "accept: {snr_db: 4}")
    assert command(copied, "why", "all-nef:gate", "--last").lines == [
        "all-nef:gate",
        "last time it ran: it had never been built",
    ]
    assert command(copied, "why", "all-nef:gate", "--next").lines == [
        "all-nef:gate",
        "next time: parameters.accept.small.snr_db changed from 5.0 to 4.0",
    ]
    assert command(copied, "why", "all-nef:gate", "--next", "--last").code == 2
    assert command(copied, "clean").code == 0
    assert command(copied, "why", "all-nef:gate", "--last").lines[1] == "last time it has never run"


def test_a_record_in_place_of_samples_is_told_by_what_it_replaced(copied: Path, command: Command) -> None:
    record = copied / "dist/all-nef/small.quant.txt"
    (copied / "small.quant.txt").write_bytes(record.read_bytes())
    edit(copied, "nef: {chip: kl720}", "nef: {chip: kl720, quantize: {record: small.quant.txt}}")
    said = command(copied, "why", "small@nef:quantize", "--next")
    assert "small.quant.txt was added" in said.out
    assert "settings.weights was removed" in said.out and "settings was added" not in said.out

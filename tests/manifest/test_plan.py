"""The manifest as actions: what is shared, what a change touches, and that no path enters a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelbuild.build.action import Action, FileInput, OutputOf
from modelbuild.manifest.load import load
from modelbuild.manifest.plan import Plan, plan

READ = {"check_samples", "check_calibration", "observe", "verify_fixed"}
PREPROCESSED = {*READ, "normalise", "apply", "verify_hardware", "report"}
TEXT = """\
modelbuild: 1
samples: {pictures: {files: "s/*.npy"}}
defaults: {calibration: pictures}
models:
  one: {source: one.onnx}
  two: {source: two.onnx}
targets: {cam: {chip: kl720}, eye: {chip: modalix}}
packages:
  both: {target: cam, models: {one: {id: 32769}, two: {id: 32770}}}
  eyes: {target: eye, models: [one]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.onnx", "two.onnx", "three.fixed.onnx"):
        (tmp_path / name).write_bytes(b"any")
    (tmp_path / "s").mkdir()
    for index in range(3):
        (tmp_path / f"s/{index}.npy").write_bytes(b"any")
    return tmp_path


def planned(folder: Path, text: str = TEXT) -> Plan:
    (folder / "models.yaml").write_text(text, encoding="utf-8")
    return plan(load(folder / "models.yaml"))


def by_name(found: Plan) -> dict[str, Action]:
    return {action.name: action for action in found.actions}


def test_the_first_stages_are_shared_by_targets(folder: Path) -> None:
    names = planned(folder).names()
    assert {"one:import_source", "one:normalise", "one@cam:lower", "one@eye:lower"} <= names
    assert "two@eye:lower" not in names
    assert {"both:package", "both/one:verify_hardware", "both/two:verify_hardware", "eyes:gate"} <= names


def test_targets_with_edits_of_their_own_share_nothing(folder: Path) -> None:
    text = TEXT.replace("{chip: modalix}", "{chip: modalix, edit: [{rename: {a: b}}]}")
    names = planned(folder, text).names()
    assert {"one@cam:import_source", "one@eye:import_source", "two:import_source"} <= names
    assert "one:import_source" not in names


def test_targets_that_leave_out_passes_of_normalising_share_nothing(folder: Path) -> None:
    own = TEXT.replace("{chip: modalix}", "{chip: modalix, optimize: {skip: [fold_pad]}}")
    found = by_name(planned(folder, own))
    assert found["one@eye:normalise"].parameters["skip"] == ["fold_pad"]
    assert "skip" not in found["one@cam:normalise"].parameters and "one:normalise" not in found
    recipes = TEXT.replace("{chip: modalix}", "{chip: modalix, optimize: {skip: [split_to_slice]}}")
    found = by_name(planned(folder, recipes))
    assert "one:normalise" in found and "split_to_slice" not in found["one@eye:lower"].parameters["passes"]


def test_paranoid_is_said_to_both_stages_that_rewrite(folder: Path) -> None:
    text = TEXT.replace("defaults: {", "defaults: {optimize: {paranoid: true}, ")
    found, usual = by_name(planned(folder, text)), by_name(planned(folder))
    for name in ("one:normalise", "one@cam:lower"):
        assert found[name].unkeyed == {"paranoid": True} and usual[name].unkeyed == {}
        assert found[name].parameters == usual[name].parameters  # it decides no result, and enters no key


def test_threads_enter_no_key(folder: Path) -> None:
    text = TEXT.replace("defaults: {", "defaults: {quantize: {threads: 7}, ")
    found, usual = by_name(planned(folder, text)), by_name(planned(folder))
    assert (
        found["one@cam:observe"].unkeyed["threads"] == 7 and usual["one@cam:observe"].unkeyed["threads"] == 2
    )
    for name, action in usual.items():
        assert found[name].parameters == action.parameters


def test_what_targets_share_is_watched_where_one_of_them_wants_it(folder: Path) -> None:
    own = TEXT.replace("{chip: modalix}", "{chip: modalix, optimize: {paranoid: true}}")
    found = by_name(planned(folder, own))
    assert found["one:normalise"].unkeyed == {"paranoid": True} and "one@eye:normalise" not in found


def test_samples_are_inputs_by_position_and_never_by_path(folder: Path) -> None:
    action = by_name(planned(folder))["one@cam:observe"]
    roles = {role: source for role, source in action.inputs.items() if role.startswith("sample/")}
    assert roles == {f"sample/{i:06d}/": FileInput(f"s/{i}.npy") for i in range(3)}
    assert "s/" not in repr(dict(action.parameters))
    assert action.parameters["samples"] == 3


@pytest.mark.parametrize(
    ("old", "new", "touched"),
    [
        ("kl720}", "kl720, quantize: {range: {method: minmax}}}", {"quantize"}),
        ("kl720}", "kl720, accept: {snr_db: 9}}", {"gate", "report"}),
        ("kl720}", "kl720, verify: {hardware: all}}", {"verify_hardware"}),
        ("one.onnx}", "one.onnx, inputs: {x: {preprocess: {mean: 1}}}}", PREPROCESSED),
        ("id: 32769", "id: 5", {"package", "report"}),
        ("s/*.npy", "s/[01].npy", READ),
    ],
)
def test_a_setting_changes_the_actions_that_depend_on_it(
    folder: Path, old: str, new: str, touched: set[str]
) -> None:
    before, after = by_name(planned(folder)), by_name(planned(folder, TEXT.replace(old, new, 1)))
    assert before.keys() == after.keys()
    changed = {name.rsplit(":", 1)[1] for name in before if before[name] != after[name]}
    assert changed == touched


def test_order_comments_and_defaults_change_nothing(folder: Path) -> None:
    reordered = TEXT.replace(
        "targets: {cam: {chip: kl720}, eye: {chip: modalix}}",
        "targets: {eye: {chip: modalix},   # a comment\n"
        "  cam: {quantize: {range: {method: output_error}}, chip: kl720}}",
    )
    assert by_name(planned(folder)) == by_name(planned(folder, reordered))


def test_a_fixed_source_is_neither_imported_nor_quantized(folder: Path) -> None:
    text = TEXT.replace("two.onnx", "three.fixed.onnx")
    stages = {name.split(":")[1] for name in planned(folder, text).names() if name.startswith("two@")}
    assert stages == {"import_fixed", "compile"}


def test_a_record_takes_the_place_of_observing(folder: Path) -> None:
    (folder / "r.quant.txt").write_text("any", encoding="utf-8")
    text = TEXT.replace("{source: two.onnx}", "{source: two.onnx, quantize: {record: r.quant.txt}}")
    actions = by_name(planned(folder, text))
    assert "two@cam:observe" not in actions
    assert actions["two@cam:quantize"].inputs["record"] == FileInput("r.quant.txt")


def test_the_report_waits_softly_for_everything(folder: Path) -> None:
    report = by_name(planned(folder))["both:report"]
    assert report.inputs == {}
    assert report.soft_inputs["one/fixed"] == OutputOf("one@cam:verify_fixed", "fixed.json")
    assert {source.action for source in report.soft_inputs.values()} >= {"both:package", "two@cam:observe"}

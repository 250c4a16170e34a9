"""`checks: {ignore: [...]}` at each level, what it cannot do, and entries that nothing answers to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from modelbuild.errors import ModelbuildError
from modelbuild.project.checking import CheckReport, check
from modelbuild.project.project import open_project
from tests.project.small_project import write_manifest, write_samples

TEXT = """\
samples: {some: {files: "data/*.npy"}}
DEFAULTS
models:
  net: {source: net.onnx, calibration: some MODEL}
targets: {old: {chip: kl520, edition: v0.15.5 TARGET}, new: {chip: kl520}}
packages:
  one: {target: old, models: {net: {id: 32768}}}
  two: {target: new, models: {net: {id: 32768}}}
"""
Checked = Callable[..., CheckReport]


@pytest.fixture
def checked(tmp_path: Path) -> Checked:
    """Checks the project with `checks:` written at the given levels."""
    write_samples(tmp_path / "data", 8)
    write_net(tmp_path / "net.onnx")

    def run(*names: str, defaults: str = "", model: str = "", target: str = "") -> CheckReport:
        text = TEXT.replace("DEFAULTS", f"defaults: {{checks: {{ignore: {defaults}}}}}" if defaults else "")
        for mark, ignore in (("MODEL", model), ("TARGET", target)):
            text = text.replace(f" {mark}", f", checks: {{ignore: {ignore}}}" if ignore else "")
        write_manifest(tmp_path, text)
        return check(open_project(tmp_path), names)

    return run


def write_net(path: Path) -> None:
    """A convolution of stride 3, which one edition has, and two sigmoids, which the NPU has not."""
    weight = numpy_helper.from_array(np.full((3, 3, 3, 3), 0.1, np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], name="wide", strides=[3, 3], pads=[1] * 4),
        helper.make_node("Sigmoid", ["a"], ["b"], name="gate_1"),
        helper.make_node("Softplus", ["b"], ["scores"], name="end"),
    ]
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("image", [1, 3, 4, 4]), ("scores", [1, 3, 2, 2]))
    ]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def codes(report: CheckReport) -> list[tuple[str, str]]:
    return [(finding["code"], str(finding.get("target", ""))) for finding in report.findings]


def test_editions_and_what_is_found_without_ignoring(checked: Checked) -> None:
    report = checked()
    assert codes(report) == [
        ("MB102", "old"),
        ("MB103", "old"),
        ("MB103", "old"),
        ("MB109", "new"),
        ("MB103", "new"),
        ("MB103", "new"),
    ]
    (found,) = (finding for finding in report.findings if finding["code"] == "MB109")
    assert "by edition v0.33.1 only; by v0.15.5, stride 3 is not 1 or 2 or 4" in found["message"]


def test_a_code_at_each_level(checked: Checked) -> None:
    assert ("MB103", "new") not in codes(checked(defaults="[MB103]"))
    assert ("MB103", "new") not in codes(checked(model="[MB103]"))
    report = checked(target="[{code: MB103, reason: slow is fine}]")
    assert codes(report) == [("MB102", "old"), ("MB109", "new"), ("MB103", "new"), ("MB103", "new")]
    assert [finding["reason"] for finding in report.ignored] == ["slow is fine", "slow is fine"]
    assert report.ignored[0]["ignored_at"].startswith("models.yaml:6:")
    assert report.exit_code == 1  # errors stay


def test_some_nodes(checked: Checked) -> None:
    report = checked(model='[{code: MB103, node: "gate_*"}]')
    assert [finding["node"] for finding in report.ignored] == ["gate_1", "gate_1"]
    assert [finding["node"] for finding in report.findings if finding["code"] == "MB103"] == ["end", "end"]


def test_an_entry_that_matches_nothing_is_a_warning_at_its_place(checked: Checked) -> None:
    report = checked(defaults="[MB103, {code: MB109, node: tall*}]")
    (warning,) = (finding for finding in report.findings if finding["code"] == "MB008")
    assert warning["message"] == "there is no MB109 of nodes `tall*` to ignore"
    assert (warning["file"], warning["line"], warning["severity"]) == ("models.yaml", 3, "warning")


def test_what_was_not_checked_says_nothing_of_an_entry(checked: Checked) -> None:
    entry = "[{code: MB103, node: nowhere}]"
    assert "MB008" in [code for code, _ in codes(checked(defaults=entry))]
    assert "MB008" not in [code for code, _ in codes(checked("net@new", defaults=entry))]
    assert "MB008" in [code for code, _ in codes(checked("net@old", target=entry))]
    assert "MB008" not in [code for code, _ in codes(checked(defaults="[MB006, MB007]"))]


def test_findings_on_the_manifest_are_for_defaults(checked: Checked) -> None:
    report = checked(defaults="[MB004]")
    assert "MB008" in [code for code, _ in codes(report)]  # every target is asked for
    assert report.ignored == ()


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ("MB102", "`MB102` cannot be ignored: the operator is known, but not in this form"),
        ("{code: MB110}", "`MB110` cannot be ignored: nothing compiles for the chip yet"),
        ("MB008", "`MB008` cannot be ignored: it says of an entry that it has no effect"),
        ("MB999", "there is no finding `MB999`"),
        ("{node: x}", "the key `code` is missing"),
    ],
)
def test_what_stops_a_build_cannot_be_ignored(entry: str, what: str, checked: Checked) -> None:
    with pytest.raises(ModelbuildError) as caught:
        checked(defaults=f"[{entry}]")
    (problem,) = caught.value.problems
    assert what in problem.what and problem.where.startswith("models.yaml:3:")


def test_an_edition_that_is_not_there(tmp_path: Path) -> None:
    write_manifest(tmp_path, "models: {}\ntargets: {cam: {chip: kl720, edition: v0.15}}\n")
    with pytest.raises(ModelbuildError) as caught:
        open_project(tmp_path)
    (problem,) = caught.value.problems
    assert problem.what == "kl720 has no edition `v0.15`" and problem.where == "models.yaml:3:39"
    assert "did you mean `v0.15.5`?" in problem.advice and "v0.33.1" in problem.advice

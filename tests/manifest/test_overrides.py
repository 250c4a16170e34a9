"""`--set KEY=VALUE`."""

from __future__ import annotations

from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.load import load
from modelbuild.manifest.settings import effective

GOOD = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}}
models: {net: {source: net.onnx, calibration: faces, targets: {cam: {quantize: {range: {method: minmax}}}}}}
targets: {cam: {chip: kl720}}
"""


def test_it_wins_over_everything_and_is_its_own_origin(project: Any) -> None:
    manifest = project.load(GOOD, "quantize.range.method=percentile", "quantize.range={percentile: 99}")
    settings = effective(manifest, "net", "cam")
    assert settings.values["quantize"]["range"] == {"method": "percentile", "percentile": 99.0}
    assert settings.origin(("quantize", "range", "method")) == "--set quantize.range.method=percentile"
    assert settings.origin(("quantize", "range", "percentile")) == "--set quantize.range={percentile: 99}"


def test_lists_and_short_forms(project: Any) -> None:
    manifest = project.load(GOOD, "quantize.activations=[int4000, int8]".replace("int4000", "uint8"))
    assert effective(manifest, "net", "cam").values["quantize"]["activations"] == "int8"
    manifest = project.load(GOOD, "accept.snr_db={a.b: 3}", "calibration={set: faces, count: 2}")
    values = effective(manifest, "net", "cam").values
    assert values["accept"] == {"snr_db": {"a.b": 3.0}}
    assert values["calibration"] == {"set": "faces", "count": 2}


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("quantize.range.metod=mse", "unknown key `metod` in `range`"),
        ("chip=kl520", "unknown key `chip`"),
        ("quantize.range.method", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("a..b=3", "expected KEY=VALUE"),
        (
            "quantize.range.method=best",
            "`method`: expected one of output_error, mse, entropy, minmax, moving_average, percentile, "
            "found `best`",
        ),
        ("accept.snr_db=[", "not valid YAML: did not find expected node content"),
        ("evaluation.count=2", "`evaluation` has a count and no set"),
        ("quantize.activations=int16", "int16 activations are not possible on kl520"),
        ("calibration={set: faces, count: 5}", "5 calibration samples asked for, the set `faces` has 4"),
    ],
)
def test_errors_name_the_option(project: Any, option: str, what: str) -> None:
    assert (f"--set {option}", what) in project.errors(GOOD.replace("kl720", "kl520"), option)


TWO = GOOD.replace("targets: {cam: {chip: kl720}}", "targets: {cam: {chip: kl720}, old: {chip: kl520}}")


@pytest.mark.parametrize("selected", ["net@cam", "bell"])
def test_it_acts_on_what_is_selected_and_is_judged_there_alone(project: Any, selected: str) -> None:
    entries = ("bell: {target: cam, models: NET}", "other: {target: old, models: NET}")
    packages = ", ".join(entries).replace("NET", "{net: {id: 40000}}")
    path = project.write("models.yaml", f"{TWO}packages: {{{packages}}}\n")
    manifest = load(path, ["quantize.activations=int16"], selected=[selected])
    assert effective(manifest, "net", "cam").values["quantize"]["activations"] == "int16"
    assert effective(manifest, "net", "old").values["quantize"]["activations"] == "int8"


@pytest.mark.parametrize("selected", [[], ["net"], ["unknown"]])
def test_an_error_of_one_of_several_says_what_it_acts_on(project: Any, selected: list[str]) -> None:
    with pytest.raises(ModelbuildError) as caught:
        load(project.write("models.yaml", TWO), ["quantize.activations=int16"], selected=selected)
    (problem,) = caught.value.problems
    assert problem.what == "int16 activations are not possible on kl520"
    assert "`--set` acts on every model and target that the command names" in problem.advice
    with pytest.raises(ModelbuildError) as caught:
        load(project.write("models.yaml", TWO), ["quantize.activations=int16"], selected=["net@old"])
    assert "--set" not in caught.value.problems[0].advice

"""Effective settings: the order of layers, origins, choices, the canonical form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError
from modelbuild.manifest.settings import effective

Place = Callable[[str, str], str]
BASE = """\
modelbuild: 1
samples: {faces: {files: faces/*.png}, street: {files: street/*.png}}
defaults: {calibration: faces}
models:
  net: {source: net.onnx}
targets:
  cam: {chip: kl720}
"""
LAYERED = """\
modelbuild: 1
samples:
  faces: {files: faces/*.png}
  street: {files: street/*.png}
defaults:
  calibration: {set: faces, count: 2}
  verify: {hardware: none}
  accept: {snr_db: 1, cosine: 0.1, cpu_nodes: 1, fps: 1}
models:
  net:
    source: net.onnx
    accept: {snr_db: 3, cpu_nodes: 3}
    targets:
      cam: {accept: {snr_db: 4}}
targets:
  cam:
    chip: kl720
    calibration: {count: 3, set: street}
    accept: {snr_db: 2, cpu_nodes: 2, fps: 2}
  eye: {chip: modalix}
"""


def test_the_nearest_to_the_model_wins(project: Any) -> None:
    manifest = project.load(LAYERED)
    settings = effective(manifest, "net", "cam")
    assert settings.values["accept"] == {"cosine": 0.1, "cpu_nodes": 3, "fps": 2.0, "snr_db": 4.0}
    assert {key: settings.origin(("accept", key)) for key in settings.values["accept"]} == {
        "cosine": "models.yaml:8:31",
        "cpu_nodes": "models.yaml:12:36",
        "fps": "models.yaml:19:44",
        "snr_db": "models.yaml:14:30",
    }
    assert settings.values["calibration"] == {"set": "street", "count": 3}
    other = effective(manifest, "net", "eye")
    assert other.values["accept"]["snr_db"] == 3.0
    assert other.values["calibration"] == {"set": "faces", "count": 2}


def test_origins_of_what_nobody_wrote(project: Any) -> None:
    settings = effective(project.load(BASE), "net", "cam")
    assert settings.values["quantize"]["activations"] == "int8"
    assert settings.origin(("quantize", "activations")) == "recipe kl720"
    assert settings.origin(("verify", "hardware")) == "built in"
    assert settings.origin(("calibration",)) == "models.yaml:3:25"


def test_the_canonical_form(project: Any) -> None:
    assert effective(project.load(BASE), "net", "cam").values == {
        "accept": {},
        "calibration": {"count": None, "set": "faces"},
        "checks": {"ignore": []},
        "compile": {},
        "edit": [],
        "evaluation": None,
        "optimize": {"only": None, "skip": []},
        "quantize": {"activations": "int8", "range": {"method": "output_error"}, "weights": "int8"},
        "toolchain_options": {},
        "verify": {"hardware": "first", "timeout_seconds": 600.0},
    }


def test_order_comments_and_written_out_defaults_change_nothing(project: Any) -> None:
    plain = effective(project.load(BASE), "net", "cam").values
    text = """\
targets:
  cam:   # a comment
    verify: {hardware: first, timeout_seconds: 600}
    quantize: {range: {method: output_error}, weights: [int8], activations: int8}
    compile: {tiling: default, dedicated_output_buffer: true, weight_compress: false, flatbuffer: true}
    accept: {}
    optimize: {skip: []}
    edit: []
    toolchain_options: {}
    toolchain: builtin
    chip: kl720
models: {net: {evaluation: , calibration: {set: faces}, source: net.onnx}}
samples: {street: {files: street/*.png}, faces: {files: faces/*.png}}
modelbuild: 1
"""
    assert effective(project.load(text), "net", "cam").values == plain


def test_a_list_of_choices_takes_the_first_that_the_chip_has(project: Any) -> None:
    text = BASE.replace("kl720", "kl520").replace(
        "calibration: faces",
        "calibration: faces, quantize: {activations: [int16, int8], weights: [int4, int8]}",
    )
    values = effective(project.load(text), "net", "cam").values
    assert values["quantize"]["activations"] == "int8"
    assert values["quantize"]["weights"] == "int8"


def test_changing_the_method_drops_its_siblings(project: Any) -> None:
    text = BASE.replace(
        "calibration: faces", "calibration: faces, quantize: {range: {method: percentile, percentile: 99.9}}"
    )
    assert effective(project.load(text), "net", "cam").values["quantize"]["range"] == {
        "method": "percentile",
        "percentile": 99.9,
    }
    changed = text.replace("net: {", "net: {quantize: {range: {method: minmax}}, ")
    assert effective(project.load(changed), "net", "cam").values["quantize"]["range"] == {"method": "minmax"}


def test_percentile_has_a_default_and_needs_its_method(project: Any) -> None:
    text = BASE.replace("chip: kl720", "chip: kl720, quantize: {range: {method: percentile}}")
    assert effective(project.load(text), "net", "cam").values["quantize"]["range"]["percentile"] == 99.99
    text = BASE.replace("chip: kl720", "chip: kl720, quantize: {range: {percentile: 99}}")
    assert project.errors(text) == [
        ("models.yaml:7:53", "`percentile` has no meaning for the range method output_error")
    ]


def test_a_bound_or_a_sample_set_can_be_taken_away(project: Any) -> None:
    text = LAYERED.replace("accept: {snr_db: 4}", "accept: {snr_db: , fps: null}")
    assert effective(project.load(text), "net", "cam").values["accept"] == {"cosine": 0.1, "cpu_nodes": 3}
    text = LAYERED.replace("eye: {chip: modalix}", "eye: {chip: modalix, calibration: }")
    assert ("models.yaml:10:3", "the model `net` has no calibration samples") in project.errors(text)


def test_an_empty_section_says_nothing(project: Any) -> None:
    text = BASE + "    quantize:\n    # activations: int8\n"
    text = text.replace("cam: {chip: kl720}\n", "cam:\n    chip: kl720\n")
    assert effective(project.load(text), "net", "cam").values["quantize"]["range"] == {
        "method": "output_error"
    }


def test_passes_are_checked_against_the_recipe(project: Any) -> None:
    manifest = project.load(BASE)
    name = "split_to_slice"
    assert name in manifest.recipes["cam"].passes
    skipping = BASE.replace("chip: kl720", f"chip: kl720, optimize: {{skip: [{name}, {name}]}}")
    settings = effective(project.load(skipping), "net", "cam")
    assert settings.values["optimize"] == {"only": None, "skip": [name]}
    text = BASE.replace("chip: kl720", f"chip: kl720, optimize: {{skip: [{name[:-1]}], only: [{name}]}}")
    errors = project.errors(text)
    assert ("models.yaml:7:39", f"`skip`: kl720 has no pass `{name[:-1]}`") in errors
    assert any(what == "`skip` beside `only`" for _, what in errors)
    limited = BASE.replace("chip: kl720", "chip: kl720, optimize: {skip: [split_global_pool(128)]}")
    with pytest.raises(ModelbuildError, match="did you mean `split_global_pool`"):
        project.load(limited)


def test_passes_of_normalising_can_be_left_out_but_for_those_that_later_stages_rely_on(project: Any) -> None:
    def optimized(written: str) -> str:
        return BASE.replace("chip: kl720", f"chip: kl720, optimize: {{{written}}}")

    values = effective(project.load(optimized("skip: [fold_pad], paranoid: true")), "net", "cam").values
    assert values["optimize"] == {"only": None, "skip": ["fold_pad"], "paranoid": True}
    only = effective(project.load(optimized("only: [split_to_slice, fold_pad]")), "net", "cam").values
    assert only["optimize"] == {"only": ["fold_pad", "split_to_slice"], "skip": []}
    (error,) = project.errors(optimized("skip: [explicit_windows]"))
    assert error == ("models.yaml:7:39", "`skip`: `explicit_windows` cannot be left out")
    with pytest.raises(ModelbuildError) as caught:
        project.load(optimized("skip: [nothing_alike]"))
    assert "explicit_clip" not in caught.value.problems[0].advice


@pytest.mark.parametrize(
    ("settings", "chip", "what"),
    [
        ("quantize: {activations: int16}", "kl520", "int16 activations are not possible on kl520"),
        ("quantize: {activations: mixed}", "kl520", "mixed activations are not possible on kl520"),
        ("quantize: {weights: mixed}", "kl520", "mixed weights are not possible on kl520"),
        ("quantize: {weights: int4}", "kl720", "int4 weights are not possible on kl720"),
        (
            "quantize: {activations: [mixed, int16]}",
            "kl520",
            "mixed or int16 activations are not possible on kl520",
        ),
        ("quantize: {activations: mixed}", "kl720", "mixed activations need a `mode`"),
        ("quantize: {activations: uint8}", "kl720", "uint8 activations are not possible on kl720"),
        ("compile: {flatbuffer: true}", "kl520", "`flatbuffer: true` is not possible on kl520"),
        (
            "toolchain_options: {deep: search}",
            "kl720",
            "`toolchain_options`: the builtin toolchain has no option `deep`",
        ),
    ],
)
def test_what_a_chip_or_the_toolchain_cannot_do(
    project: Any, place: Place, settings: str, chip: str, what: str
) -> None:
    text = BASE.replace("chip: kl720", f"chip: {chip}, {settings}")
    wanted = settings.partition("{")[2].partition(": ")[2].rstrip("}")
    assert project.errors(text) == [(place(text, wanted), what)]


def test_each_place_is_reported_once_for_all_models(project: Any) -> None:
    text = BASE.replace("net: {source: net.onnx}", "net: {source: net.onnx}\n  two: {source: net.onnx}")
    text = text.replace("chip: kl720", "chip: kl520, quantize: {activations: int16}")
    assert len(project.errors(text)) == 1


def test_edits_are_kept_in_order_and_in_full(project: Any) -> None:
    text = BASE.replace(
        "source: net.onnx", "source: net.onnx, edit: [{rename: {b: y, a: x}}, {cut: {outputs: [1.10, yes]}}]"
    )
    assert effective(project.load(text), "net", "cam").values["edit"] == [
        {"rename": {"a": "x", "b": "y"}},
        {"cut": {"inputs": [], "outputs": ["1.10", "yes"]}},
    ]


def test_unknown_names(project: Any) -> None:
    manifest = project.load(BASE)
    with pytest.raises(ModelbuildError, match="unknown model `nett`") as caught:
        effective(manifest, "nett", "cam")
    assert caught.value.problems[0].advice == "did you mean `net`? models: net"
    with pytest.raises(ModelbuildError, match="unknown target `cma`"):
        effective(manifest, "net", "cma")


def test_a_recipe_of_the_project_may_have_defaults(project: Any) -> None:
    project.write(
        "recipes/mine.yaml",
        "extends: kl720\nchip: mine\n"
        "defaults: {quantize: {range: {method: minmax}}, verify: {hardware: all}}\n",
    )
    settings = effective(project.load(BASE.replace("kl720", "./recipes/mine.yaml")), "net", "cam")
    assert settings.values["quantize"]["range"] == {"method": "minmax"}
    assert settings.origin(("verify", "hardware")) == "recipe mine"
    below = BASE.replace("kl720", "./recipes/mine.yaml").replace(
        "defaults: {", "defaults: {verify: {hardware: none}, "
    )
    assert effective(project.load(below), "net", "cam").values["verify"]["hardware"] == "all"
    project.write("recipes/mine.yaml", "extends: kl720\nchip: mine\ndefaults: {quantise: {}}\n")
    assert project.errors(BASE.replace("kl720", "./recipes/mine.yaml")) == [
        ("models.yaml:7:15", "unknown key `quantise`")
    ]


def test_a_count_alone_takes_the_set_from_below(project: Any) -> None:
    text = BASE.replace("source: net.onnx", "source: net.onnx, calibration: {count: 2}")
    settings = effective(project.load(text), "net", "cam")
    assert settings.values["calibration"] == {"count": 2, "set": "faces"}
    assert settings.origin(("calibration", "set")) == "models.yaml:3:25"
    text = LAYERED.replace("source: net.onnx\n", "source: net.onnx\n    calibration: faces\n")
    assert effective(project.load(text), "net", "cam").values["calibration"] == {
        "count": None,
        "set": "faces",
    }
    text = BASE.replace("calibration: faces", "calibration: {count: 2}")
    assert ("models.yaml:3:33", "`calibration` has a count and no set") in project.errors(text)


def test_options_of_the_compiler(project: Any) -> None:
    text = BASE.replace("chip: kl720", "chip: kl720, compile: {batch: 1, sram_bytes: 65536}")
    assert effective(project.load(text), "net", "cam").values["compile"] == {"batch": 1, "sram_bytes": 65536}


def test_number_formats_that_a_chip_has(project: Any) -> None:
    text = BASE.replace("chip: kl720", "chip: kl530, quantize: {activations: [int16, int8], weights: int4}")
    values = effective(project.load(text), "net", "cam").values["quantize"]
    assert (values["activations"], values["weights"]) == ("int16", "int4")

"""Every schema error: its place and its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError

Place = Callable[[str, str], str]
HEAD = "modelbuild: 1\n"
MODEL = HEAD + "samples: {s: {files: faces/*}}\nmodels:\n  net:\n    source: net.onnx\n    calibration: s\n"


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        (HEAD + "model: {}\n", "model:", "unknown key `model`"),
        (MODEL + "    calibraton: s\n", "calibraton", "unknown key `calibraton` in `net`"),
        (MODEL + "    inputs: {x: {shap: [1]}}\n", "shap:", "unknown key `shap` in `x`"),
        (
            MODEL + "    inputs: {x: {preprocess: {colr: rgb}}}\n",
            "colr",
            "unknown key `colr` in `preprocess`",
        ),
        (
            MODEL + "    inputs: {x: {preprocess: {resize: strech}}}\n",
            "strech",
            "`resize`: expected one of stretch, letterbox, crop, found `strech`",
        ),
        (
            MODEL + "    inputs: {x: {preprocess: {mean: [1, two]}}}\n",
            "[1, two",
            "`mean`: expected a number, found `two`",
        ),
        (
            MODEL + "    inputs: {x: {shape: [1, 3.5]}}\n",
            "3.5",
            "item 2 of `shape`: expected a whole number, found `3.5`",
        ),
        (
            MODEL + "    inputs: {x: {shape: [1, 0]}}\n",
            "0]",
            "item 2 of `shape`: expected 1 or more, found `0`",
        ),
        (MODEL + "    inputs: {x: {shape: 3}}\n", "3}}", "`shape`: expected a list, found `3`"),
        (MODEL + "    inputs: [x]\n", "[x]", "`inputs`: expected a mapping, found a list"),
        (MODEL + "    accept: {snr_db: high}\n", "high", "`snr_db`: expected a number, found `high`"),
        (MODEL + '    accept: {snr_db: "30"}\n', '"30"', '`snr_db`: expected a number, found the text "30"'),
        (MODEL + "    accept: {snr_db: {out: .inf}}\n", ".inf", "`out`: expected a number, found `.inf`"),
        (
            MODEL + "    accept: {snr_db: [1]}\n",
            "[1]",
            "`snr_db`: expected a single value or a mapping, found a list",
        ),
        (MODEL + "    accept: {top1_drop: 5}\n", "5}", "`top1_drop`: expected 1 or less, found `5`"),
        (MODEL + "    accept: {cosine: 2}\n", "2}", "`cosine`: expected 1 or less, found `2`"),
        (
            MODEL + "    accept: {cpu_nodes: yes}\n",
            "yes",
            "`cpu_nodes`: expected a whole number, found `yes`",
        ),
        (MODEL + "    accept: {fps: 0}\n", "0}", "`fps`: expected more than 0, found `0`"),
        (
            MODEL + "    quantize: {range: {method: kl}}\n",
            "kl}",
            "`method`: expected one of mse, minmax, percentile, found `kl`",
        ),
        (
            MODEL + "    quantize: {activations: [int8, int9]}\n",
            "int9",
            "item 2 of `activations`: expected one of int8, uint8, int16, mixed, found `int9`",
        ),
        (MODEL + "    quantize: {weights: []}\n", "[]", "`weights`: expected one or more, found a list"),
        (
            MODEL + "    quantize: {range: {percentile: 10}}\n",
            "10}",
            "`percentile`: expected more than 50, found `10`",
        ),
        (
            MODEL + "    verify: {hardware: some}\n",
            "some",
            "`hardware`: expected one of none, first, all, found `some`",
        ),
        (MODEL + "    edit: [{cut: {}}]\n", "cut:", "`cut`: `cut` without `inputs` and `outputs`"),
        (
            MODEL + "    edit: [{cut: {outputs: [a]}, rename: {a: b}}]\n",
            "{cut",
            "item 1 of `edit`: an edit has exactly one of the keys cut, rename, remove, shape, normalize, "
            "swap_channels, layout, insert, tail",
        ),
        (MODEL + "    edit: [{tail: all}]\n", "all", "`tail`: expected one of auto, found `all`"),
        (
            MODEL + "    edit: [{tail: auto}, {rename: {a: b}}]\n",
            "[{tail",
            "`edit`: `tail: auto` is not the last edit",
        ),
        (MODEL + "    edit: [{remove: {}}]\n", "remove", "`remove`: `remove` without `nodes` and `types`"),
        (MODEL + "    edit: [{shape: {}}]\n", "{shape", "item 1 of `edit`: `shape` names nothing"),
        (
            MODEL + "    edit: [{normalize: {input: x}}]\n",
            "normalize",
            "`normalize`: `normalize` without `scale` and `bias`",
        ),
        (MODEL + "    edit: [{insert: {op: Relu}}]\n", "insert", "the key `at` is missing in `insert`"),
        (
            MODEL + "    inputs: {x: {preprocess: {in_model: yes please}}}\n",
            "yes please",
            "`in_model`: expected true or false, found `yes please`",
        ),
        (
            MODEL + "    inputs: {x: {preprocess: {in_model: true, input_range: [1]}}}\n",
            "[1]",
            "`input_range: [1.0]` is no range",
        ),
        (
            MODEL + "    inputs: {x: {preprocess: {in_model: true, input_layout: HWC}}}\n",
            "HWC",
            "`input_layout`: expected one of NCHW, NHWC, found `HWC`",
        ),
        (
            MODEL + "    inputs: {x: {preprocess: {colour: rgb, color: bgr}}}\n",
            "preprocess",
            "`preprocess`: `colour` and `color` are the same key",
        ),
        (
            MODEL + "    inputs: {x: {layout: NCHW, preprocess: {layout: NHWC}}}\n",
            "x: {layout",
            "`x`: `layout: NCHW` here and `layout: NHWC` under preprocess",
        ),
        (HEAD + "models: {net: {}}\n", "net", "the key `source` is missing in `net`"),
        (HEAD + "models: {net: }\n", "net", "`net`: expected a mapping, found nothing"),
        (
            HEAD + "models: {net: {source: }}\n",
            "source",
            "`source`: expected a single value or a mapping, found nothing",
        ),
        (
            HEAD + "models: {net: {source: ''}}\n",
            "''",
            '`source`: expected text that is not empty, found the text ""',
        ),
        (
            HEAD + "models: {net: {source: {path: a.onnx, url: b}}}\n",
            "source",
            "`source`: a source has exactly one of `path` and `url`",
        ),
        (
            HEAD + "models: {net: {source: {url: 'https://a/b.onnx'}}}\n",
            "source",
            "`source`: a source with a `url` needs its `sha256`",
        ),
        (
            HEAD + "models: {net: {source: {path: net.onnx, sha256: 12}}}\n",
            "12}",
            "`sha256`: expected 64 hex digits, found `12`",
        ),
        (HEAD + "models: {a@b: {source: net.onnx}}\n", "a@b", "the name `a@b` cannot be used"),
        (
            HEAD + "samples: {s: {labels: x}}\n",
            "s: {l",
            "`s`: a sample set has exactly one of `files` and `inputs`",
        ),
        (HEAD + "targets: {t: {}}\n", "t: {", "the key `chip` is missing in `t`"),
        (
            HEAD + "packages: {p: {}}\n",
            "p: {",
            "`p`: a package has exactly one of `target` and `targets`",
        ),
        (
            HEAD + "packages: {p: {target: [a, b]}}\n",
            "[a, b]",
            "`target`: a package holds programs of one chip: `target` takes one name",
        ),
        (
            HEAD + "packages: {p: {targets: []}}\n",
            "[]",
            "`targets`: expected one or more, found an empty list",
        ),
        (HEAD + "packages: {p: {target: t, encrypt: {}}}\n", "encrypt", "`encrypt` is not built yet"),
        (HEAD + "packages: {p: {target: t, include: [a]}}\n", "include", "`include` is not built yet"),
        (
            HEAD + "packages: {p: {target: t, models: net}}\n",
            "net}",
            "`models`: expected a mapping or a list, found `net`",
        ),
        (
            HEAD + "packages: {p: {target: t, models: {net: {id: 0x}}}}\n",
            "0x",
            "`id`: expected a whole number, found `0x`",
        ),
        (
            HEAD + "packages: {p: {target: t, models: {net: {id: 0010}}}}\n",
            "0010",
            "`id`: expected a whole number without leading zeros, found `0010`",
        ),
        (
            HEAD + "packages: {p: {target: t, format: zip}}\n",
            "zip",
            "`format`: expected one of nef, mpk, kmodel, found `zip`",
        ),
        (HEAD + "project: {version: 1.10}\n", "project", "the key `name` is missing in `project`"),
        (HEAD + "samples: 5\n", "5", "`samples`: expected a mapping, found `5`"),
    ],
)
def test_schema_errors(project: Any, place: Place, text: str, at: str, what: str) -> None:
    assert (place(text, at), what) in project.errors(text)


def test_version_of_the_format(project: Any) -> None:
    assert project.errors("models: {}\n") == [("models.yaml:1:1", "the key `modelbuild` is missing")]
    assert project.errors("modelbuild: 2\n") == [
        ("models.yaml:1:13", "`modelbuild`: expected one of 1, found `2`")
    ]


def test_advice_names_the_nearest_key(project: Any) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(HEAD + "targets: {cam: {chipp: kl720}}\n")
    advice = {problem.what: problem.advice for problem in caught.value.problems}
    assert advice["unknown key `chipp` in `cam`"].startswith("did you mean `chip`? known keys: ")


def test_planned_keys_say_what_to_do_instead(project: Any) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(MODEL + "packages: {p: {target: cam, encrypt: key}}\n")
    advice = {problem.what: problem.advice for problem in caught.value.problems}
    assert advice["`encrypt` is not built yet"] == "remove it: packages are written in the clear"


def test_flags_and_leading_zeros_say_what_to_write(project: Any) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(MODEL + "    calibration: {set: s, count: 010}\n".replace("calibration", "evaluation"))
    assert caught.value.problems[0].advice == "write 10"


def test_a_wrong_key_hides_nothing_else(project: Any) -> None:
    text = HEAD + (
        "samples: {s: {files: none/*.png, lables: x}}\n"
        "models:\n"
        "  net: {source: missing.onnx, inputs: {x: {shape: [a]}}, quantise: {}}\n"
        "targets: {cam: {chip: kl99, quantize: {activations: int9}}}\n"
    )
    assert project.errors(text) == [
        ("models.yaml:2:34", "unknown key `lables` in `s`"),
        ("models.yaml:4:17", "the model missing.onnx does not exist"),
        ("models.yaml:4:52", "item 1 of `shape`: expected a whole number, found `a`"),
        ("models.yaml:4:58", "unknown key `quantise` in `net`"),
        ("models.yaml:5:23", "unknown chip `kl99`"),
        ("models.yaml:5:53", "`activations`: expected one of int8, uint8, int16, mixed, found `int9`"),
    ]

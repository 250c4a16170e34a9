"""Every schema error: its place and its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelbuild.errors import ModelbuildError, Problem
from tests.manifest.conftest import GOOD

Place = Callable[[str, str], str]
HEAD = "modelbuild: 1\n"
MODEL = HEAD + "samples: {s: {files: faces/*}}\nmodels:\n  net:\n    source: net.onnx\n    calibration: s\n"


# a key of the model or of the manifest, and where in it the error stands; below, its words
OF_A_MODEL = """
calibraton: s | calibraton
    unknown key `calibraton` in `net`
inputs: {x: {shap: [1]}} | shap:
    unknown key `shap` in `x`
inputs: {x: {preprocess: {colr: rgb}}} | colr
    unknown key `colr` in `preprocess`
inputs: {x: {preprocess: {resize: strech}}} | strech
    `resize`: expected one of stretch, letterbox, crop, found `strech`
inputs: {x: {preprocess: {mean: [1, two]}}} | [1, two
    `mean`: expected a number, found `two`
inputs: {x: {shape: [1, 3.5]}} | 3.5
    item 2 of `shape`: expected a whole number, found `3.5`
inputs: {x: {shape: [1, 0]}} | 0]
    item 2 of `shape`: expected 1 or more, found `0`
inputs: {x: {shape: 3}} | 3}}
    `shape`: expected a list, found `3`
inputs: [x] | [x]
    `inputs`: expected a mapping, found a list
accept: {snr_db: high} | high
    `snr_db`: expected a number, found `high`
accept: {snr_db: "30"} | "30"
    `snr_db`: expected a number, found the text "30"
accept: {snr_db: {out: .inf}} | .inf
    `out`: expected a number, found `.inf`
accept: {snr_db: [1]} | [1]
    `snr_db`: expected a single value or a mapping, found a list
accept: {top1_drop: 5} | 5}
    `top1_drop`: expected 1 or less, found `5`
accept: {snr_db: {}} | snr_db
    `snr_db`: expected one or more bounds, found a mapping
accept: {cosine: {}} | cosine
    `cosine`: expected one or more bounds, found a mapping
accept: {function: {}} | function
    `function`: expected one or more bounds, found a mapping
accept: {max_abs: -1} | -1
    `max_abs`: expected 0 or more, found `-1`
accept: {max_abs: {out: -0.5}} | -0.5
    `out`: expected 0 or more, found `-0.5`
quantize: {range: {method: mse, outlier_factor: 0}} | 0}}
    `outlier_factor`: expected more than 0, found `0`
verify: {timeout_seconds: 0} | 0
    `timeout_seconds`: expected more than 0, found `0`
accept: {cosine: 2} | 2}
    `cosine`: expected 1 or less, found `2`
accept: {cpu_nodes: yes} | yes
    `cpu_nodes`: expected a whole number, found `yes`
accept: {fps: 0} | 0}
    `fps`: expected more than 0, found `0`
quantize: {range: {method: kl}} | kl}
    `method`: expected one of output_error, mse, entropy, minmax, moving_average, percentile, found `kl`
quantize: {activations: [int8, int9]} | int9
    item 2 of `activations`: expected one of int8, uint8, int16, float32, bfloat16, mixed, found `int9`
quantize: {weights: []} | []
    `weights`: expected one or more, found a list
quantize: {range: {percentile: 10}} | 10}
    `percentile`: expected more than 50, found `10`
verify: {hardware: some} | some
    `hardware`: expected one of none, first, all, found `some`
edit: [{cut: {}}] | cut:
    `cut`: `cut` without `inputs` and `outputs`
edit: [{cut: {outputs: [a]}, rename: {a: b}}] | {cut
    item 1 of `edit`: an edit has exactly one of the keys cut, rename, remove, shape, normalize,
    swap_channels, layout, insert, tail
edit: [{tail: all}] | all
    `tail`: expected one of auto, found `all`
edit: [{tail: auto}, {rename: {a: b}}] | [{tail
    `edit`: `tail: auto` is not the last edit
edit: [{remove: {}}] | remove
    `remove`: `remove` without `nodes` and `types`
edit: [{shape: {}}] | {shape
    item 1 of `edit`: `shape` names nothing
edit: [{normalize: {input: x}}] | normalize
    `normalize`: `normalize` without `scale` and `bias`
edit: [{insert: {op: Relu}}] | insert
    the key `at` is missing in `insert`
inputs: {x: {preprocess: {in_model: yes please}}} | yes please
    `in_model`: expected true or false, found `yes please`
inputs: {x: {preprocess: {in_model: true, input_range: [1]}}} | [1]
    `input_range: [1.0]` is no range
inputs: {x: {preprocess: {in_model: true, input_layout: HWC}}} | HWC
    `input_layout`: expected one of NCHW, NHWC, found `HWC`
inputs: {x: {preprocess: {swapRB: true}}} | true}}}
    `swapRB: true` goes with `in_model: true`
inputs: {x: {preprocess: {in_model: true, letterbox_value: 114}}} | 114
    `letterbox_value: 114.0` needs `input_range`
inputs: {x: {preprocess: {colour: rgb, color: bgr}}} | preprocess
    `preprocess`: `colour` and `color` are the same key
inputs: {x: {layout: NCHW, preprocess: {layout: NHWC}}} | x: {layout
    `x`: `layout: NCHW` here and `layout: NHWC` under preprocess
"""
OF_THE_MANIFEST = """
model: {} | model:
    unknown key `model`
models: {net: {}} | net
    the key `source` is missing in `net`
models: {net: } | net
    `net`: expected a mapping, found nothing
models: {net: {source: }} | source
    `source`: expected a single value or a mapping, found nothing
models: {net: {source: ''}} | ''
    `source`: expected text that is not empty, found the text ""
models: {net: {source: {path: a.onnx, url: b}}} | source
    `source`: a source has exactly one of `path` and `url`
models: {net: {source: {url: 'https://a/b.onnx'}}} | source
    `source`: a source with a `url` needs its `sha256`
models: {net: {source: {path: net.onnx, sha256: 12}}} | 12}
    `sha256`: expected 64 hex digits, found `12`
models: {a@b: {source: net.onnx}} | a@b
    the name `a@b` cannot be used
samples: {s: {labels: x}} | s: {l
    `s`: a sample set has exactly one of `files` and `inputs`
targets: {t: {}} | t: {
    the key `chip` is missing in `t`
packages: {p: {}} | p: {
    `p`: a package has exactly one of `target` and `targets`
packages: {p: {target: [a, b]}} | [a, b]
    `target`: a package holds programs of one chip: `target` takes one name
packages: {p: {targets: []}} | []
    `targets`: expected one or more, found an empty list
packages: {p: {target: t, encrypt: {}}} | encrypt
    the key `mode` is missing in `encrypt`
packages: {p: {target: t, include: []}} | []
    `include`: expected one or more, found a list
packages: {p: {target: t, models: net}} | net}
    `models`: expected a mapping or a list, found `net`
packages: {p: {target: t, models: {net: {id: 0x}}}} | 0x
    `id`: expected a whole number, found `0x`
packages: {p: {target: t, models: {net: {id: 0010}}}} | 0010
    `id`: expected a whole number without leading zeros, found `0010`
packages: {p: {target: t, format: zip}} | zip
    `format`: expected one of nef, mpk, kmodel, found `zip`
project: {version: 1.10} | project
    the key `name` is missing in `project`
samples: 5 | 5
    `samples`: expected a mapping, found `5`
"""


def cases(before: str, table: str) -> list[tuple[str, str, str]]:
    """(the manifest's text, where, what) of each case of a table."""
    found: list[tuple[str, str, str]] = []
    for line in table.strip().splitlines():
        if line.startswith(" "):
            text, at, what = found.pop()
            found.append((text, at, f"{what} {line.strip()}".lstrip()))
        else:
            written, _, at = line.partition(" | ")
            found.append((f"{before}{written}\n", at, ""))
    return found


@pytest.mark.parametrize(
    ("text", "at", "what"), [*cases(MODEL + "    ", OF_A_MODEL), *cases(HEAD, OF_THE_MANIFEST)]
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


def test_a_mapping_where_a_list_belongs_says_how_one_is_written(project: Any) -> None:
    with pytest.raises(ModelbuildError) as caught:
        project.load(HEAD + "models: {net: {source: net.onnx, inputs: {x: {shape: {a: 1}}}}}\n")
    advice = {problem.what: problem.advice for problem in caught.value.problems}
    assert advice["`shape`: expected a list, found a mapping"] == "begin its lines with `- `, or write [a, b]"


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
        (
            "models.yaml:5:53",
            "`activations`: expected one of int8, uint8, int16, float32, bfloat16, mixed, found `int9`",
        ),
    ]


def test_a_format_alone_is_told_what_to_write(project: Any) -> None:
    (problem,) = problems_of(project, GOOD.replace("chip: kl720", "chip: kl720, quantize: int16"))
    assert problem.what == "`quantize`: expected a mapping or none, found `int16`"
    assert problem.advice == "write `quantize: {activations: int16}`"


@pytest.mark.parametrize(
    ("written", "what", "advice"),
    [
        ("{range: mse}", "`range`: expected a mapping, found `mse`", "write `range: {method: mse}`"),
        ("{range: kld}", "found `kld`", "write `range: {method: entropy}`"),
        ("{range: regular}", "found `regular`", "output_error}`, or another; methods: output_error, mse"),
        ("{range: iterative}", "found `iterative`", "output_error}`, or another; methods: output_error, mse"),
        ("{range: minmaxx}", "found `minmaxx`", "output_error}`, or another; did you mean `minmax`?"),
        ("{range: {methd: mse}}", "unknown key `methd` in `range`", "did you mean `method`?"),
        ("{range: {percentile: 0.999}}", "more than 50", "a share of 0.999 is written in percent: 99.9"),
        ("{percentage: 99.9}", "1 or less", "99.9 percent are written as a share: 0.999"),
        ("{percentage: 1e9}", "1 or less", ""),
        ("{percentage: 2}", "1 or less", ""),  # 0.02 is no percentage, either
        ("{percentile: 99.9}", "1 or less", ""),  # a share that is clipped: 0.999 would be wrong
        ("{range: {percentile: 0.9999999}}", "more than 50", "0.9999999 is written in percent: 99.99999"),
        ("{range: {max_clipped: 1.25}}", "1 or less", "1.25 percent are written as a share: 0.0125"),
        ("{nodes: {conv: int16}}", "expected a mapping, found `int16`", "write `{activations: int16}`"),
        ("{nodes: {conv: {}}}", "a node without a format", "write `activations:` or `weights:`"),
        ("{bias_correction: iterative}", "found `iterative`", "write `sequential`, which is the same"),
        ("{split: true, mode: mix_light}", "not possible with `mode: mix_light`", "remove one of the two"),
        (
            "{split: true, range: {method: moving_average}}",
            "`split: true` is not possible with mov",
            "remove",
        ),
        ("{ranges: {data: [5, 1]}}", "[5.0, 1.0] is not [low, high]", "write [1, 5]"),
        ("{ranges: {data: [1]}}", "is not [low, high]", "write both ends, such as [-1, 1]"),
    ],
)
def test_what_is_meant_by_a_setting_of_quantization(
    project: Any, written: str, what: str, advice: str
) -> None:
    (problem,) = problems_of(project, GOOD.replace("chip: kl720", f"chip: kl720, quantize: {written}"))
    assert what in problem.what and advice in problem.advice and bool(advice) is bool(problem.advice)


def test_what_is_no_share_is_not_told_of_percent(project: Any) -> None:
    written = GOOD.replace("chip: kl720", "chip: kl720, accept: {cosine: 2, top1_drop: 2}")
    cosine, drop = problems_of(project, written)
    assert cosine.what == "`cosine`: expected 1 or less, found `2`" and not cosine.advice
    assert drop.what == "`top1_drop`: expected 1 or less, found `2`"
    assert drop.advice == "2 percent are written as a share: 0.02"


def test_a_function_stands_one_level_deeper(project: Any) -> None:
    written = GOOD.replace("chip: kl720", 'chip: kl720, accept: {"tools/score.py:f1": 0.9}')
    (problem,) = problems_of(project, written)
    assert problem.what == "unknown key `tools/score.py:f1` in `accept`"
    assert problem.advice == "write `function: {tools/score.py:f1: 0.9}`"


def test_a_function_alone_is_told_its_bound(project: Any) -> None:
    written = GOOD.replace("chip: kl720", 'chip: kl720, accept: {function: "tools/score.py:f1"}')
    (problem,) = problems_of(project, written)
    assert "expected a bound for each function" in problem.what
    assert problem.advice == "write `function: {tools/score.py:f1: 0.9}`"


def test_keys_of_ours_are_listed_before_the_vendors(project: Any) -> None:
    (problem,) = problems_of(project, GOOD.replace("chip: kl720", "chip: kl720, quantize: {zzz: 1}"))
    assert problem.advice.startswith("known keys: activations, bias_correction, cpu_nodes")
    assert "weights_range" in problem.advice and "calibrate_method" not in problem.advice


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("compile: {swapRB: true}", "write `preprocess: {in_model: true, swapRB: …}` at the input"),
        ("compile: {preprocess: true}", "write `preprocess: {in_model: true}` at the input"),
    ],
)
def test_an_input_s_preprocessing_stands_at_the_input(project: Any, written: str, advice: str) -> None:
    (problem,) = problems_of(project, GOOD.replace("chip: kl720", f"chip: kl720, {written}"))
    assert "unknown key" in problem.what and problem.advice == advice


def problems_of(project: Any, written: str) -> tuple[Problem, ...]:
    with pytest.raises(ModelbuildError) as caught:
        project.load(written)
    return tuple(caught.value.problems)

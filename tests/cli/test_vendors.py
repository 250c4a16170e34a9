"""The vendors' words: each is answered with ours, and ours exist."""

from __future__ import annotations

import pytest
import yaml

from modelbuild.cli import vendors
from modelbuild.cli.grammar import parser
from modelbuild.cli.main import VERBS, main


@pytest.mark.parametrize(
    ("words", "ours"),
    [
        (["analysis"], "--until quantize"),
        (["ktc.analysis"], "--until quantize"),
        (["ptq"], "--until quantize"),
        (["combine_nef"], "modelbuild nef combine"),
        (["combine-nef"], "modelbuild nef combine"),
        (["kneron_nef_utils"], "`nef extract`"),
        (["batch_compile"], "packages:"),
        (["ncc", "compile"], "modelbuild build"),
        (["ncc"], "modelbuild build"),
        (["CompileOptions"], "targets:"),
        (["kneron_inference"], "modelbuild run"),
        (["quantize"], "--until quantize"),
        (["mpk", "create"], "modelbuild build"),
        (["use_mse_quant_w"], "our own key: weights_range"),
        (["target-accuracy"], "quantize: {target_accuracy: …}"),
        (["split_w_to_act"], "says what does the like"),
        (["palette"], "modelbuild build"),
        (["quant_type"], "on k210 uint8 alone"),
        (["input_mean"], "preprocess: {mean"),
        (["std"], "preprocess: {mean"),
        (["is_fpga"], "no counterpart"),
        (["dump_asm"], "modelbuild build --dump"),
        (["weight_compress"], "compile: {weight_compress: …}"),
        (["hardware-cut-opt"], "our own key: tiling"),
        (["compress"], "our own key: weight_compress"),
    ],
)
def test_a_word_is_answered(words: list[str], ours: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help", *words]) == 0
    captured = capsys.readouterr()
    assert ours in captured.out and captured.err == ""
    assert main([*words, "--help"]) == 0
    assert capsys.readouterr().out == captured.out


def test_a_word_used_as_a_verb_is_an_error_that_says_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analysis", "model.onnx"]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "there is no verb `analysis`" in captured.err
    assert "do:  use `modelbuild build MODEL@TARGET --until quantize`" in captured.err


def test_a_word_of_two_vendors_has_both_answers() -> None:
    assert {meaning.vendor for meaning in vendors.meanings(["compile"])} == {vendors.KTC, vendors.SIMA}


def test_a_word_that_is_nobodys(capsys: pytest.CaptureFixture[str]) -> None:
    assert vendors.meanings(["nonsense"]) == []
    assert main(["--help", "nonsense"]) == 2
    assert "there is no verb `nonsense`" in capsys.readouterr().err


def test_help_for_a_verb_of_ours_is_its_own() -> None:
    with pytest.raises(SystemExit) as left:
        main(["--help", "evaluate"])
    assert left.value.code == 0


PLACES = {"FILE": "x.onnx", "A.onnx": "a.onnx", "B.onnx": "b.onnx", "MODEL@TARGET": "m@t", "CHIP": "kl720"}


@pytest.mark.parametrize("meaning", vendors.MEANINGS, ids=lambda meaning: meaning.word)
def test_every_answer_is_a_command_or_a_setting_that_exists(meaning: vendors.Meaning) -> None:
    first, *words = meaning.ours.split()
    if first == "modelbuild":
        verb, *rest = words
        parser(verb, VERBS).parse_args([PLACES.get(word, word) for word in rest])
    elif not first.startswith("reports/"):
        for setting in meaning.ours.split(" and "):
            assert isinstance(yaml.safe_load(setting), dict)

"""Networks that cannot be read: damaged, malicious, or with layers that are not known."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.importers import mutations
from tests.importers.caffe.test_network import CONV, OLD, SSD, B, K, message
from tests.importers.caffe.writer import caffemodel, field, layer, network, numbers
from tests.importers.mutations import Sample
from tests.importers.refused import matches


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            'layer { name: "x" type: "Python" bottom: "data" top: "x" }',
            "Python `x` is not supported.*program code",
        ),
        ('layer { name: "x" type: "Data" top: "x" }', "Data `x` is not supported.*Input"),
        ('layer { name: "x" type: "SoftmaxWithLoss" bottom: "data" top: "x" }', "deploy.prototxt"),
        ('layer { name: "x" type: "LSTM" bottom: "data" top: "x" }', "remembers"),
        (layer("Convolutoin"), "did you mean `Convolution`"),
        (layer("TanH", "", ["dta"]), "reads the blob `dta`.*did you mean `data`"),
        (layer("TanH") + layer("ReLU"), "the blob `out` is made twice"),
        (
            layer("ReLU", "negativ_slope: 1"),
            r":4:\d+: ReLU `out` has the field `negativ_slope`.*`negative_slope`",
        ),
        (
            layer("Convolution", "num_output: 3 kernelsize: 5"),
            r":4:\d+: Convolution `out` has the field `kernelsize`.*`kernel_size`",
        ),
        (layer("ReLU", "negative_slope: x"), r":4:\d+: `negative_slope` must be a number, not `x`"),
        (layer("ReLU", "negative_slope: 1e999"), "must be a finite number"),
        (layer("ReLU", 'negative_slope: "1"'), "must be a finite number"),
        (layer("Convolution", "num_output: 3 kernel_size: 3.5"), "must be a whole number"),
        (layer("Convolution", "num_output: 3"), "has the kernel_size"),
        (layer("Convolution", "num_output: 3 kernel_size: 0"), "has the kernel_size"),
        (
            layer("Convolution", "num_output: 3 kernel_size: 3"),
            "`out` has no weights in the caffemodel why: it holds no weights at all",
        ),
        (layer("Convolution", "num_output: 3 kernel_size: 3 group: 5"), "5 groups on 4 channels"),
        (layer("Convolution", "num_output: 3 kernel_size: 9 stride: 9"), r"a window of \[9, 9\] on \[6, 8\]"),
        (layer("Pooling", "kernel_size: 9"), "a window of 9 on 6 cells"),
        (layer("Pooling", "kernel_size: 2 pad: 2"), "pads by"),
        (layer("Pooling", "kernel_size: 1 stride: 4"), "last window behind"),
        (layer("Pooling", "pool: STOCHASTIC kernel_size: 2"), "stochastic"),
        (layer("Pooling", "pool: MEAN kernel_size: 2"), "must be one of MAX, AVE"),
        (layer("Pooling", "global_pooling: true stride: 2"), r"has the stride \[2, 2\].*as Caffe asks for 1"),
        (layer("Exp", "shift: 90"), "to the power of 90.0, which no float32 holds"),
        (layer("ArgMax", "top_k: 5"), "keeps more than the largest"),
        (layer("BN"), "has `bn_mode: LEARN` why: .*statistics of each batch"),
        (layer("ROIPooling", "pooled_h: 7"), "where it looks is found in the picture"),
        (layer("Upsample", "", ["data", "data"]), "puts numbers where a pool"),
        (layer("Eltwise", "coeff: 1", ["data", "data"]), "1 coefficients for a SUM of 2"),
        (layer("Concat", "axis: 7"), "has `axis: 7`; its input has 4 axes"),
        (layer("Reshape", "shape { dim: 7 dim: -1 }"), "the number of values differs"),
        (layer("Permute", "order: 0 order: 0"), "has the order"),
        (layer("BatchNorm", "use_global_stats: false"), "statistics of each batch"),
        (layer("TanH", "", ["data", "data"]), "has 2 bottoms, where 1 belong"),
        ('layer { name: "x" bottom: "data" }', "this layer has no `type`"),
        ('layer { type: "TanH" include { phase: TEST } exclude { phase: TEST } }', "not both"),
        ('layers { layer { name: "x" } }', "Caffe before 2014"),
        ("", "this prototxt has no layers"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, body: str, words: str) -> None:
    assert matches(words, message(tmp_path, network(body)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer {\n  name: 'x'\n", r"prototxt:1:7: the `\{` is never closed"),
        ('name: "a\nb"', r"prototxt:1:7: a string is not closed"),
        ("layer }", r"prototxt:1:7: expected `:` or `\{` after `layer`"),
        ("a: [1 2]", "1:7: expected `,` or `]`"),
        ("a: }", "1:4: expected a value, found `}`"),
        ("a:", "1:3: expected a value, found `the end`"),
        ("\n  $", r"2:3: an unexpected character: `\$`"),
        ("a {" * 5000, "nested more than"),
        ("layer: 1 name: 'x'", "1:8: `layer` must be a message in braces, not `1`"),
        ("input: 'data' " + layer("TanH"), "1 inputs need 4 `input_dim`, not 0"),
        ("input: 'data' input_shape { dim: 0 } " + layer("TanH"), r"an input cannot have the shape \[0\]"),
        ("<!DOCTYPE html>", "web page"),
    ],
)
def test_damaged_text_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    assert matches(words, message(tmp_path, text))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (caffemodel({"out": [K, B]})[:-7], "net.caffemodel: the caffemodel is truncated or damaged"),
        (
            caffemodel({"out": [K[:2], B]}),
            r"needs weights of the shape \[3, 4, 3, 3\] why: the caffemodel has \[2",
        ),
        (caffemodel({"otu": [K, B], "z": [B]}), "has those of `otu`, `z` do: did you mean `otu`"),
        (field(100, field(1, "out") + field(7, field(5, bytes(4)) + field(8, bytes(8)))), "two precisions"),
        (field(100, b"") * 200_001, "too many layers and blobs"),
        (field(100, field(7, b"") * 200_001), "too many layers and blobs"),
        (b"\x18\x00" * 2_000_001, "too many fields"),
        (caffemodel({"out": [K]}), "needs 2 blobs of weights; the caffemodel has 1"),
        (caffemodel({"out": [K, B]}) * 2, "the weights of the layer `out` twice"),
        (field(100, field(1, "out") + field(7, field(7, field(1, b"\x09")))), r"shape \[9\] holds 0 numbers"),
        (field(100, field(1, "out") + field(7, field(12, b"xx"))), "half precision"),
        (field(100, field(1, b"\xff")), "a name is not text"),
        (field(2, field(1, b"")), "V0 layers"),
        (b"\x89HDF\r\n\x1a\n", "this is an HDF5 file"),
        (b"\xff" * 20, "a number does not end"),
        (b"\x0f", "unknown wire type 7"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    ],
)
def test_damaged_weights_are_refused(tmp_path: Path, model: bytes, words: str) -> None:
    assert matches(words, message(tmp_path, network(CONV), model))


def samples() -> list[Sample]:
    model = caffemodel({"out": [K, B], "end": [numbers(2, 72)]}, "old", "layers")
    texts = {
        "old": (OLD, model),
        "ssd": (network(SSD.replace("DetectionOutput", "Concat").replace("num_classes: 2", "axis: 1")), b""),
        "pools": (network(CONV + layer("Pooling", "kernel_size: 2 stride: 2 pool: AVE", ["out"], "p")), b""),
    }
    return [
        Sample(
            name,
            {"net.prototxt": text.encode(), "net.caffemodel": weights or caffemodel({"out": [K, B]})},
            {"weights": "net.caffemodel"},
        )
        for name, (text, weights) in texts.items()
    ]


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(samples(), range(100), tmp_path) == []


@pytest.mark.long
def test_a_thousand_damaged_files_are_refused(tmp_path: Path) -> None:
    assert mutations.faults(samples(), range(1000, 2000), tmp_path) == []


def test_fields_of_nothing_cost_no_memory(tmp_path: Path) -> None:
    many = field(
        100, field(1, "out") + field(7, field(7, field(1, b"\xff\xff\xff\x7f" * 8)) + field(5, bytes(12)))
    )
    assert "holds 3 numbers" in message(tmp_path, network(CONV), many)

"""The words of the vendors' toolchains, with ours for each: what `modelbuild --help WORD` answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

KTC, NNCASE, SIMA, OURS = "Kneron's ktc", "nncase", "SiMa's Palette", "docs/quantization.md"


class Meaning(NamedTuple):
    """What a vendor's word is here: `ours` is a command or a manifest key, `text` says what it does."""

    word: str
    vendor: str
    ours: str
    text: str

    def __str__(self) -> str:
        return f"{self.word} ({self.vendor}): `{self.ours}`\n  {self.text}"


_BUILD = "modelbuild build"
_QUANTIZE = "modelbuild build MODEL@TARGET --until quantize"
_COMPILE = "modelbuild build MODEL@TARGET --until compile"
_RUN = "modelbuild run MODEL@TARGET --input FILE"
_COMPARE = "modelbuild compare MODEL@TARGET --input FILE"
_CHECK = "modelbuild check"
_INSPECT = "modelbuild inspect FILE"
_NEF_COMBINE = "modelbuild nef combine A.nef B.nef -o OUT.nef"
_NEF_UTILS = "--info; -c is `modelbuild nef combine`, -X `nef extract`, -G `nef generate`"
_EVALUATE = "modelbuild evaluate FILE --chip CHIP"
_CONVERT = "modelbuild convert FILE -o OUT.onnx"
_SIMPLIFIES = "writes a clean ONNX file that equals its source; builds do it by themselves"
_READS = "the file is read as it is, here or as `source:` of a manifest; no TensorFlow is needed"
_IN_MODEL = "preprocess: {in_model: true, …}"
_HOST = "inputs: {NAME: {preprocess: {mean: …, std: …}}}"
_NORMALISES = ("mean", "std", "input_mean", "input_std")
_RANGE = "quantize: {range: {method: mse}}"

# One row a meaning: word, vendor, ours, text. Words are compared in small letters, `-` and `_` alike.
MEANINGS = tuple(
    Meaning(*row)
    for row in (
        ("ktc", KTC, _BUILD, "the manifest says what ktc's scripts do: models, samples, targets, packages"),
        ("ModelConfig", KTC, "models: {…}", "a model of models.yaml; its id and version stand in a package"),
        ("evaluate", KTC, _EVALUATE, "the IP evaluator: predicted speed, here with the CPU's nodes"),
        ("ip_evaluator", KTC, _EVALUATE, "predicted speed, here with the CPU's nodes"),
        ("opt_and_eval", KTC, _EVALUATE, "simplifies the model and predicts its speed"),
        ("analysis", KTC, _QUANTIZE, "calibrates and quantizes; the record takes the place of the .bie"),
        ("knerex", KTC, _QUANTIZE, "calibrates and quantizes"),
        ("fpAnalyser", KTC, _QUANTIZE, "calibrates and quantizes"),
        ("bie", KTC, _QUANTIZE, "the quantized model: here MODEL.quant.txt and MODEL.fixed.onnx in dist/"),
        ("input_mapping", KTC, "calibration: {set: SET, count: 64}", "the samples that ranges come from"),
        (
            "datapath_range_method",
            KTC,
            _RANGE,
            "how ranges are chosen: `modelbuild schema` lists the methods",
        ),
        ("percentage", KTC, "quantize: {range: {method: percentile}}", "the share of values kept in range"),
        ("mmse", KTC, _RANGE, "the range with the least squared error"),
        ("datapath_bitwidth_mode", KTC, "quantize: {activations: int8}", "bits of the activations"),
        ("weight_bitwidth_mode", KTC, "quantize: {weights: int8}", "bits of the weights"),
        ("compile", KTC, _COMPILE, "makes the program; `modelbuild build` packages and verifies it too"),
        (
            "batch_compile",
            KTC,
            "packages: {PACKAGE: {target: TARGET, models: {…}}}",
            "several models, one NEF",
        ),
        ("combine_nef", KTC, _NEF_COMBINE, "several NEFs as one; models built together are a package's"),
        ("kneron_inference", KTC, _RUN, "runs the float, fixed or hardware form: --level"),
        ("dynasty", KTC, f"{_RUN} --level fixed", "the fixed-point model, exact in every bit"),
        ("csim", KTC, f"{_RUN} --level hardware", "the packaged program in the simulator"),
        ("btm", KTC, _BUILD, "fixed and hardware are compared bit by bit in every build (verify_hardware)"),
        ("onnx2onnx", KTC, _CONVERT, _SIMPLIFIES),
        ("onnx2onnx_flow", KTC, _CONVERT, _SIMPLIFIES),
        ("onnx_optimizer", KTC, _CONVERT, _SIMPLIFIES),
        ("kneronnxopt", KTC, _CONVERT, _SIMPLIFIES),
        ("tflite2onnx", KTC, _CONVERT, _READS),
        ("keras2onnx", KTC, _CONVERT, _READS),
        ("keras2onnx_flow", KTC, _CONVERT, _READS),
        ("caffe2onnx", KTC, f"{_CONVERT} --weights FILE.caffemodel", _READS),
        ("caffe_optimize_flow", KTC, f"{_CONVERT} --weights FILE.caffemodel", _READS),
        ("pytorch2onnx", KTC, _CONVERT, "exported models only; of a .pth it says the lines that export it"),
        ("torch_exported_onnx_flow", KTC, _CONVERT, "exported models need nothing special"),
        ("tensorflow2onnx", KTC, _CONVERT, "of a .pb or SavedModel it says the line that exports it"),
        ("tf2onnx", KTC, _CONVERT, "of a .pb or SavedModel it says the line that exports it"),
        ("editor", KTC, f"{_CONVERT} --cut-outputs A,B", "cuts, removes and renames; `edit:` in a manifest"),
        ("onnx_vs_onnx", KTC, "modelbuild compare A.onnx B.onnx --input FILE", "both on the same inputs"),
        ("delete_nodes", KTC, "edit: [{remove: {nodes: [NAME]}}]", "nodes by name, or `types:`"),
        ("cut_graph_from_nodes", KTC, "edit: [{cut: {outputs: [NAME]}}]", "cuts the graph at tensors"),
        ("pixel_modify", KTC, "inputs: {NAME: {preprocess: {…}}}", "what is done to a picture's values"),
        ("kneron_nef_utils", KTC, _INSPECT, _NEF_UTILS),
        ("nef_utils", KTC, _INSPECT, _NEF_UTILS),
        (
            "model_fx_report",
            KTC,
            "reports/PACKAGE/report.html",
            "every build writes one, also where it fails",
        ),
        ("ncc", NNCASE, _BUILD, "ncc's options stand in models.yaml"),
        ("ncc compile", NNCASE, _BUILD, "imports, quantizes and compiles what the manifest names"),
        ("ncc infer", NNCASE, _RUN, "runs a model on inputs"),
        ("ptq", NNCASE, _QUANTIZE, "quantization after training, from the calibration samples"),
        ("use_ptq", NNCASE, _QUANTIZE, "quantization after training, from the calibration samples"),
        ("PTQTensorOptions", NNCASE, "quantize: {…} and calibration: {…}", "settings of models.yaml"),
        ("calibrate_method", NNCASE, _RANGE, "how ranges are chosen: `modelbuild schema` lists the methods"),
        (
            "kld",
            NNCASE,
            "quantize: {range: {method: entropy}}",
            "how ranges are chosen: `modelbuild schema` lists the methods",
        ),
        ("samples_count", NNCASE, "calibration: {set: SET, count: 64}", "how many samples are looked at"),
        (
            "quant_type",
            NNCASE,
            "quantize: {activations: FORMAT}",
            "one of the chip's, on k210 uint8 alone: leave it out there",
        ),
        ("w_quant_type", NNCASE, "quantize: {weights: int8}", "bits of the weights"),
        ("CompileOptions", NNCASE, "targets: {…} and inputs: {…}", "settings of models.yaml"),
        ("preprocess", NNCASE, _IN_MODEL, "the switch: the model takes raw pictures"),
        (
            "swapRB",
            NNCASE,
            "preprocess: {in_model: true, swapRB: true}",
            "or the two orders of colours",
        ),
        (
            "letterbox_value",
            NNCASE,
            "preprocess: {in_model: true, input_range: [0, 255], letterbox_value: 114}",
            "or `resize: letterbox, fill: 114`, the value of a pixel",
        ),
        ("import_onnx", NNCASE, "source: MODEL.onnx", "a model of models.yaml"),
        ("import_tflite", NNCASE, "source: MODEL.tflite", "a model of models.yaml"),
        ("import_caffe", NNCASE, "source: MODEL.prototxt", "and `weights: MODEL.caffemodel` beside it"),
        ("input_type", NNCASE, _IN_MODEL, "raw uint8 pictures in; the rest is done in the model"),
        ("input_range", NNCASE, _IN_MODEL, "what 0..255 becomes, in the model"),
        ("input_shape", NNCASE, _IN_MODEL, "the raw picture's, which the model resizes"),
        ("input_layout", NNCASE, _IN_MODEL, "the layout of the raw picture, transposed in the model"),
        ("output_layout", NNCASE, _IN_MODEL, "the layout of outputs of four dimensions"),
        *((word, NNCASE, _HOST, "done to pictures before the model, or in it") for word in _NORMALISES),
        ("model_layout", NNCASE, "inputs: {NAME: {layout: NHWC}}", "the layout of the model's own input"),
        ("target", NNCASE, "targets: {NAME: {chip: k210}}", "`modelbuild chips` lists them"),
        (
            "dump_asm",
            NNCASE,
            f"{_BUILD} --dump DIR",
            "the program as text; `modelbuild inspect FILE --disassemble`",
        ),
        ("is_fpga", NNCASE, _COMPILE, "no counterpart: kmodels are for the chip itself"),
        ("benchmark_only", NNCASE, _EVALUATE, "no counterpart: this tells the speed without samples"),
        (
            "kld_m2",
            NNCASE,
            "quantize: {range: {method: entropy}}",
            "the like of it; `modelbuild schema` lists all",
        ),
        ("output_type", NNCASE, "quantize: {outputs: uint8}", "outputs of bytes, on k210"),
        ("output_range", NNCASE, _QUANTIZE, "no counterpart: calibration finds the range of each output"),
        ("gencode", NNCASE, _COMPILE, "writes the program"),
        ("kmodel", NNCASE, _INSPECT, "shows what is in a kmodel, `--disassemble` its code"),
        ("Simulator", NNCASE, f"{_RUN} --level hardware", "the packaged program in the simulator"),
        ("dump_ir", NNCASE, "modelbuild inspect FILE", "shows any model or package file"),
        ("afe", SIMA, _BUILD, "the manifest says what afe's scripts do"),
        ("palette", SIMA, _BUILD, "the manifest says what Palette's scripts do"),
        ("load_model", SIMA, "source: MODEL.onnx", "a model of models.yaml"),
        ("onnx_source", SIMA, "source: MODEL.onnx", "a model of models.yaml"),
        ("quantize", SIMA, _QUANTIZE, "calibrates and quantizes"),
        ("default_quantization", SIMA, "quantize: {…}", "what `modelbuild config MODEL@TARGET` shows"),
        ("calibration_method", SIMA, _RANGE, "how ranges are chosen: `modelbuild schema` lists the methods"),
        ("num_calib_samples", SIMA, "calibration: {set: SET, count: 64}", "how many samples are looked at"),
        ("analyze_quantization_error", SIMA, f"{_COMPARE} --layers", "every tensor, worst first"),
        ("compile", SIMA, _COMPILE, "makes the program; `modelbuild build` packages and verifies it too"),
        ("quantize_compile", SIMA, _BUILD, "quantizes, compiles, packages and verifies"),
        ("batch_size", SIMA, "compile: {batch: 16}", "a setting of the target or the model"),
        ("execute", SIMA, _RUN, "runs the float, fixed or hardware form: --level"),
        ("mpk", SIMA, _BUILD, "a package of a SiMa target is an MPK; `modelbuild inspect` shows one"),
        ("mpk create", SIMA, _BUILD, "a package of a SiMa target is an MPK"),
        ("surgery", SIMA, "edit: [{cut: {…}}]", "edits of the graph stand in the manifest"),
        ("sima-model-to-pipeline", SIMA, _BUILD, "from the model to the MPK; no pipeline is made of it"),
        ("model-to-pipeline", SIMA, _BUILD, "from the model to the MPK; no pipeline is made of it"),
        ("get-fps", SIMA, _EVALUATE, "predicted speed; modelbuild does not measure on a board"),
        ("sensitivity", OURS, f"{_COMPARE} --layers", "layers, worst first; quantize.json has every node's"),
        ("mixed", OURS, "quantize: {mode: auto}", "16 bits where the bounds of `accept` need them"),
        ("mixed precision", OURS, "quantize: {mode: auto}", "16 bits where the bounds of `accept` need them"),
    )
)


def meanings(words: Sequence[str]) -> list[Meaning]:
    """What the words are in the vendors' tongues: of `ncc compile` that of both together, if there is one,
    else that of the first known word. `ktc.analysis` is `analysis`."""
    plain = [_plain(word) for word in words]
    phrases = [" ".join(plain[:2]), *plain] if len(plain) > 1 else plain
    for phrase in phrases:
        found = [meaning for meaning in MEANINGS if _plain(meaning.word) == phrase]
        if found:
            return found
    return _knobs(plain)


def _knobs(words: Sequence[str]) -> list[Meaning]:
    """Options that a manifest takes by their own names, and those of compiling that are called the same."""
    from modelbuild.manifest.vendors import COMPILE_KNOBS, KNOBS

    vendors = {"Kneron": KTC, "nncase": NNCASE, "SiMa": SIMA}
    sections = (("quantize", KNOBS), ("compile", COMPILE_KNOBS))
    same = [
        Meaning(name, KTC, f"compile: {{{name}: …}}", "the same key, of the target or the model")
        for name in _SAME
        if name in words
    ]
    return same + [
        Meaning(
            knob.name,
            vendors[vendor],
            f"{section}: {{{knob.name}: …}}",
            f"the name is taken as it is; our own key: {knob.ours}"
            if knob.examples and knob.ours
            else "`modelbuild check` says what does the like, where it asks for anything",
        )
        for section, of_vendors in sections
        for vendor, knobs in of_vendors.items()
        for knob in knobs
        if knob.name in words
    ]


_SAME = ("dedicated_output_buffer", "flatbuffer", "weight_compress")


def _plain(word: str) -> str:
    return word.rsplit(".", 1)[-1].lower().replace("-", "_")

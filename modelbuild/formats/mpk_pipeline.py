"""The other JSON members of an MPK: the order of the runtime's steps, and a configuration for each.

Known only in part: what is known of a configuration is given by name, and the rest as names of keys.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from modelbuild.formats.checks import Check, checked
from modelbuild.formats.json_text import Json, integer, items, mapping, text

SEQUENCE = "pipeline_sequence.json"
_FIRST = "decoder"  # what the first step reads
_PARAMETERS = "simaai__params"
_SHOWN = 32  # values of a list
_QUANTIZED = ("q_scale", "q_zp", "q_scale_array", "q_zp_array")
_BATCH = ("version", "next_cpu", "batch_size", "batch_sz_model")
_MLA = (
    *_BATCH,
    "in_tensor_sz",
    "out_tensor_sz",
    "model_path",
    "outputs",
    "data_type",
    "output_width",
    "output_height",
    "output_depth",
    "slice_width",
    "slice_height",
    "slice_depth",
)
# What is known of each configuration, by the name of its file without a number before it.
_KNOWN: dict[str, tuple[str, ...]] = {
    "process_mla": _MLA,
    "mla": _MLA,
    "preproc": (*_BATCH, *_QUANTIZED, "output_width", "output_height", "output_dtype", "inputs"),
    "quanttess": (*_BATCH, *_QUANTIZED, "out_dtype"),
    "postproc": (*_BATCH, "dq_scale", "dq_zp", "outputs"),
    "detess_dequant": (*_BATCH, "dq_scale", "dq_zp"),
    "tessellate": _BATCH,
    "detessellate": _BATCH,
    "boxdecoder": (
        *_BATCH,
        "decode_type",
        "num_classes",
        "topk",
        "detection_threshold",
        "nms_iou_threshold",
        "dq_scale",
        "dq_zp",
    ),
}
_FILE = re.compile(r"(?:\d+_)?([a-z_]+)\.json")


@dataclass(frozen=True)
class Step:
    """A step of the runtime's pipeline, or of one of several. `inputs` are the steps that it reads, `decoder`
    for the first."""

    pipeline: int
    sequence: int
    name: str
    plugin: str
    configuration: str
    processor: str
    kernel: str
    inputs: tuple[str, ...]
    executable: str


@dataclass(frozen=True)
class Configuration:
    """A configuration file: values of the keys that are known, and the names of the others."""

    member: str
    step: str
    values: Mapping[str, Json]
    unknown: tuple[str, ...]


def is_configuration(name: str) -> bool:
    """Whether a member of that name is one."""
    match = _FILE.fullmatch(name)
    return match is not None and match[1] in _KNOWN


def decode_sequence(document: Json, name: str) -> tuple[Step, ...]:
    """The steps in order, pipeline by pipeline. Errors: ModelbuildError naming `name` for anything else."""
    found = []
    for number, pipeline in enumerate(items(mapping(document, name).get("pipelines"), name)):
        for value in items(mapping(pipeline, name).get("sequence"), name):
            step = mapping(value, name)
            read = step.get("input")
            inputs = read if isinstance(read, list) else [read]
            found.append(
                Step(
                    number,
                    integer(step.get("sequence_id")),
                    text(step.get("name")),
                    text(step.get("pluginId")),
                    text(step.get("configPath")),
                    text(step.get("processor")),
                    text(step.get("kernel")),
                    tuple(text(item) for item in inputs if text(item)),
                    text(step.get("executable")),
                )
            )
    return tuple(sorted(found, key=lambda step: (step.pipeline, step.sequence)))


def check_sequence(steps: Sequence[Step], members: Collection[str]) -> tuple[Check, ...]:
    """That the steps read earlier ones, have names of their own, and that their files are there."""
    known = {(step.pipeline, _FIRST) for step in steps}
    broken = []
    for step in steps:
        reads = [name for name in step.inputs if (step.pipeline, name) not in known]
        broken += [f"{step.name} reads {name}" for name in reads]
        if (step.pipeline, step.name) in known:
            broken.append(f"two steps are called {step.name}")
        known.add((step.pipeline, step.name))
    named = [name for step in steps for name in (step.configuration, step.executable) if name]
    missing = sorted({name for name in named if name.rpartition("/")[2] not in members})
    return (
        checked("every step of the pipeline reads an earlier one", not broken, "; ".join(broken[:8])),
        checked("every file that the pipeline names is a member", not missing, ", ".join(missing[:8])),
    )


def decode_configuration(document: Json, member: str) -> Configuration:
    """A configuration of a name for which `is_configuration` holds. Errors: ModelbuildError naming it."""
    match = _FILE.fullmatch(member)
    step = match[1] if match else ""
    top = mapping(document, member)
    inside = mapping(top.get(_PARAMETERS) or {}, member)
    merged = {**{key: value for key, value in top.items() if key != _PARAMETERS}, **inside}
    known = _KNOWN.get(step, ())
    values = {key: _short(merged[key]) for key in known if key in merged}
    return Configuration(member, step, values, tuple(key for key in merged if key not in known))


def _short(value: Json) -> Json:
    """The value, of a long list only how long it is."""
    if isinstance(value, list) and len(value) > _SHOWN:
        return f"a list of {len(value)}"
    return value

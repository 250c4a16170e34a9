"""Builds an MPK, the package of SiMa's chips, around a program of modelbuild's own."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, json_text, mla_stats, mpk_configs, tar
from modelbuild.formats.json_text import Json
from modelbuild.formats.mpk_plugin import MpkNode, MpkPlugin, MpkTensor

OWN_TOOLCHAIN = "modelbuild/"
SUFFIXES = (".lm", ".elf")
_NOTE = ".comment"
_QUADS = 4  # number_of_quads_to_user in every published archive of a whole chip


@dataclass(frozen=True)
class MpkSource:
    """One model to package.

    `name` becomes the prefix of the members. `model_path` is reduced to its last part. `layers` are names and
    cycles of the accelerator's layers in order. `input_ranges` and `preprocess` are by input name, as the
    manifest declares them. `host_operators` name what runs in `host`.
    """

    name: str
    model_path: str
    model_checksum: str
    program_suffix: str
    command: bytes
    weight: bytes
    host: bytes
    inputs: tuple[MpkTensor, ...]
    outputs: tuple[MpkTensor, ...]
    layers: tuple[tuple[str, int], ...]
    toolchain_version: str
    desired_batch: int = 1
    actual_batch: int = 1
    host_operators: tuple[str, ...] = ()
    input_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    preprocess: Mapping[str, Json] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """The member that holds the accelerator's program."""
        return f"{self.name}_stage1_mla{self.program_suffix}"

    @property
    def host_member(self) -> str:
        """The member that holds the CPU's program for modelbuild's simulator."""
        return f"{self.name}_host.sim.bin"


def build(source: MpkSource) -> bytes:
    """The bytes of `<name>_mpk.sim.tar.gz`; equal arguments give equal bytes.

    Errors: ModelbuildError for a name that is not a plain one, an unknown suffix, a toolchain version that
    does not start with `modelbuild/`, no inputs or outputs, scales that are not positive, and an achieved
    batch that is not in 1 to the desired.
    """
    _check(source)
    plugins = _plugins(source)
    spans = mla_stats.spans([(f"MLA_0/{name}", cycles) for name, cycles in source.layers])
    members = {
        source.program: _program(source),
        f"{source.name}_stage1_mla_stats.yaml": mla_stats.dump(spans),
        f"{source.name}_mpk.json": json_text.dump(_description(source, plugins)),
        "0_preproc.json": json_text.dump(
            mpk_configs.preproc(source.inputs, source.preprocess, source.actual_batch)
        ),
        "0_process_mla.json": json_text.dump(
            mpk_configs.process_mla(
                source.inputs, source.outputs, source.program, source.desired_batch, source.actual_batch
            )
        ),
        "0_postproc.json": json_text.dump(mpk_configs.postproc(source.outputs, source.actual_batch)),
        "pipeline_sequence.json": json_text.dump(mpk_configs.sequence()),
    }
    if source.host:
        members[source.host_member] = source.host
    return tar.write(members)


def _check(source: MpkSource) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", source.name):
        raise ModelbuildError(f"the model's name {source.name!r} cannot be part of a file name")
    if source.program_suffix not in SUFFIXES:
        raise ModelbuildError(f"the program suffix is {source.program_suffix!r}, not .lm or .elf")
    if not source.toolchain_version.startswith(OWN_TOOLCHAIN):
        raise ModelbuildError(
            f"the toolchain version {source.toolchain_version!r} does not start with {OWN_TOOLCHAIN!r}",
            why="a program of modelbuild's own must not look like one for silicon",
        )
    if not source.inputs or not source.outputs:
        raise ModelbuildError(f"model {source.name!r} has no inputs or no outputs")
    for tensor in (*source.inputs, *source.outputs):
        if not (math.isfinite(tensor.scale) and tensor.scale > 0):
            raise ModelbuildError(f"the scale of tensor {tensor.name!r} is {tensor.scale}, not positive")
    for what, batch in (("desired", source.desired_batch), ("achieved", source.actual_batch)):
        if batch < 1:
            raise ModelbuildError(f"the {what} batch is {batch}, and not at least 1")


def _program(source: MpkSource) -> bytes:
    """The ELF: command, weights under their digest, and the tensors' places as sections without bytes."""
    digest = hashlib.sha256(source.weight).hexdigest()[:32]
    batch = source.actual_batch
    return elf.write(
        [
            elf.NewSection("code.r0.c0", source.command),
            elf.NewSection(f"filter.{digest}", source.weight),
            *(
                elf.NewSection(f"ifm.persistent.{item.name}.b0", None, item.size * batch)
                for item in source.inputs
            ),
            *(
                elf.NewSection(f"ofm.persistent.{item.name}_output.b0", None, item.size * batch)
                for item in source.outputs
            ),
            elf.NewSection(
                _NOTE, f"{source.toolchain_version}: for its simulator, not for silicon\0".encode()
            ),
        ]
    )


def _plugins(source: MpkSource) -> list[MpkPlugin]:
    """The chain: quantize the inputs, MLA, the CPU if it has work, dequantize the outputs, pass through."""
    batch = source.actual_batch
    quantize = [_quantize(index, tensor, batch) for index, tensor in enumerate(source.inputs)]
    fixed = [_fixed_node(f"MLA_0/{tensor.name}", tensor, batch) for tensor in source.outputs]
    chain = [*quantize, _mla(source, quantize, fixed)]
    if source.host:
        after = [_fixed_node(f"A65_0/{tensor.name}", tensor, batch) for tensor in source.outputs]
        chain.append(_host(source, fixed, after))
        fixed = after
    dequantize = [
        _dequantize(index, tensor, node, batch)
        for index, (tensor, node) in enumerate(zip(source.outputs, fixed, strict=True))
    ]
    ends = [node for plugin in dequantize for node in plugin.outputs]
    named = [_float_node(tensor.name, tensor, batch) for tensor in source.outputs]
    chain += [*dequantize, _plugin("PassThrough", "EV74", "pass_through", ends, named, {})]
    return [
        MpkPlugin(
            item.name,
            sequence,
            item.processor,
            item.kernel,
            item.inputs,
            item.outputs,
            source.desired_batch,
            source.actual_batch,
            item.executable,
            item.parameters,
        )
        for sequence, item in enumerate(chain, start=1)
    ]


def _plugin(
    name: str,
    processor: str,
    kernel: str,
    inputs: list[MpkNode],
    outputs: list[MpkNode],
    parameters: dict[str, Json],
    executable: str = "",
) -> MpkPlugin:
    shapes: dict[str, Json] = {
        "input_shapes": [list(node.shape) for node in inputs],
        "output_shapes": [list(node.shape) for node in outputs],
    }
    return MpkPlugin(
        name, 0, processor, kernel, tuple(inputs), tuple(outputs), 0, 0, executable, {**shapes, **parameters}
    )


def _quantize(index: int, tensor: MpkTensor, batch: int) -> MpkPlugin:
    parameters: dict[str, Json] = {
        "channel_params": [[1.0 / tensor.scale, tensor.zero_point]],
        "num_bits": tensor.bits,
        "rounding": "TONEAREST",
        "output_data_type": tensor.scalar,
    }
    name = f"quantize_{index}"
    outputs = [_fixed_node(name, tensor, batch)]
    return _plugin(
        name, "EV74", "quantization_transform", [_float_node(tensor.name, tensor, batch)], outputs, parameters
    )


def _dequantize(index: int, tensor: MpkTensor, node: MpkNode, batch: int) -> MpkPlugin:
    parameters: dict[str, Json] = {"channel_params": [[1.0 / tensor.scale, tensor.zero_point]]}
    name = f"dequantize_{index}"
    outputs = [_float_node(name, tensor, batch)]
    return _plugin(name, "EV74", "dequantization_transform", [node], outputs, parameters)


def _mla(source: MpkSource, quantize: list[MpkPlugin], outputs: list[MpkNode]) -> MpkPlugin:
    parameters: dict[str, Json] = {
        "number_of_quads_to_user": _QUADS,
        "input_types": [_type(tensor) for tensor in source.inputs],
        "output_types": [_type(tensor) for tensor in source.outputs],
    }
    inputs = [node for plugin in quantize for node in plugin.outputs]
    return _plugin("MLA_0", "MLA", "", inputs, outputs, parameters, source.program)


def _host(source: MpkSource, inputs: list[MpkNode], outputs: list[MpkNode]) -> MpkPlugin:
    parameters: dict[str, Json] = {
        "input_names": [node.name for node in inputs],
        "input_types": [_type(tensor) for tensor in source.outputs],
        "output_types": [_type(tensor) for tensor in source.outputs],
        "operators": list(source.host_operators),
    }
    return _plugin("A65_0", "A65", "", inputs, outputs, parameters, source.host_member)


def _type(tensor: MpkTensor) -> dict[str, Json]:
    return {"scalar": tensor.scalar, "shape": list(tensor.shape)}


def _fixed_node(name: str, tensor: MpkTensor, batch: int) -> MpkNode:
    return MpkNode(name, tensor.size * batch, tensor.scalar, tensor.shape)


def _float_node(name: str, tensor: MpkTensor, batch: int) -> MpkNode:
    return MpkNode(name, 4 * tensor.elements * batch, "float32", tensor.shape)


def _description(source: MpkSource, plugins: list[MpkPlugin]) -> dict[str, Json]:
    inputs: list[Json] = []
    for tensor in source.inputs:
        low, high = source.input_ranges.get(tensor.name, (None, None))
        node = _float_node(tensor.name, tensor, source.actual_batch).to_json()
        inputs.append(node if low is None else {**node, "input_range": [low, high]})
    return {
        "name": source.name,
        "model_path": PurePosixPath(PureWindowsPath(source.model_path).name).name,
        "model_checksum": source.model_checksum,
        "model_sdk_version": source.toolchain_version,
        "sequence": 1,
        "input_nodes": inputs,
        "plugins": [plugin.to_json() for plugin in plugins],
    }

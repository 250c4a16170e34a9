"""MPK, the package of SiMa's chips: a flat .tar.gz of a program, its description and its statistics."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, json_text, mla_stats, tar
from modelbuild.formats.json_text import Json, integer, items, mapping, text
from modelbuild.formats.mla_stats import Span
from modelbuild.formats.mpk_build import OWN_TOOLCHAIN, MpkSource, build
from modelbuild.formats.mpk_plugin import (
    MpkNode,
    MpkPlugin,
    MpkTensor,
    broken_edges,
    decode_node,
    decode_plugin,
)

__all__ = ["Mpk", "MpkCheck", "MpkMember", "MpkNode", "MpkPlugin", "MpkSource", "MpkTensor", "build", "read"]

_PROGRAM_SUFFIXES = (".elf", ".lm")
_COMMAND = "code."
_WEIGHT = "filter."


@dataclass(frozen=True)
class MpkMember:
    """A file in the archive."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class MpkCheck:
    """One rule of the vendor's loader or of consistency, and whether the archive keeps it."""

    what: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Mpk:
    """An archive as read.

    `command` and `weight` are the bytes of the program's `code.*` and `filter.*` sections, `host` the CPU's
    program where modelbuild made the archive. `inputs` and `outputs` are the fixed-point tensors that the
    quantization steps describe; `input_nodes` and `output_nodes` the archive's own borders.
    """

    name: str
    model_path: str
    model_checksum: str
    toolchain_version: str
    members: tuple[MpkMember, ...]
    input_nodes: tuple[MpkNode, ...]
    output_nodes: tuple[MpkNode, ...]
    plugins: tuple[MpkPlugin, ...]
    inputs: tuple[MpkTensor, ...]
    outputs: tuple[MpkTensor, ...]
    program: str
    sections: tuple[elf.Section, ...]
    command: bytes
    weight: bytes
    host: bytes
    layers: tuple[Span, ...]
    checks: tuple[MpkCheck, ...]

    @property
    def silicon(self) -> bool:
        """False for modelbuild's own programs."""
        return not self.toolchain_version.startswith(OWN_TOOLCHAIN)

    @property
    def desired_batch(self) -> int:
        """The batch that was asked for; 0 where the archive does not say."""
        return next((plugin.desired_batch for plugin in self.plugins if plugin.processor == "MLA"), 0)

    @property
    def actual_batch(self) -> int:
        """The batch that the compiler achieved; 0 where the archive does not say."""
        return next((plugin.actual_batch for plugin in self.plugins if plugin.processor == "MLA"), 0)

    @property
    def cycles(self) -> int:
        """Cycles of a frame without stalls: one after the last end."""
        return max((span.end_cycle for span in self.layers), default=-1) + 1


def read(data: bytes) -> Mpk:
    """Read an archive.

    Errors: ModelbuildError (exit code 2) for what `tar.members` refuses, for an archive without one
    `*mpk.json`, and for members that are not what their name says. What is merely inconsistent goes into
    `checks`.
    """
    files = {member.name: member.data for member in tar.members(data)}
    described = [name for name in files if name == "mpk.json" or name.endswith("_mpk.json")]
    if len(described) != 1:
        raise ModelbuildError(f"the archive has {len(described)} files named *_mpk.json, not one")
    name = described[0]
    document = mapping(json_text.load(files[name], name), name)
    plugins = tuple(decode_plugin(item, name) for item in items(document.get("plugins"), name))
    input_nodes = tuple(decode_node(item, name) for item in items(document.get("input_nodes"), name))
    program = _program(files, plugins)
    image = elf.read(files[program]) if files.get(program, b"")[:4] == elf.MAGIC else None
    return Mpk(
        name=text(document.get("name")),
        model_path=text(document.get("model_path")),
        model_checksum=_scalar(document.get("model_checksum")),
        toolchain_version=text(document.get("model_sdk_version")),
        members=tuple(_member(key, files[key]) for key in files),
        input_nodes=input_nodes,
        output_nodes=_last(plugins).outputs if plugins else (),
        plugins=plugins,
        inputs=_tensors(plugins, "quantization_transform"),
        outputs=_tensors(plugins, "dequantization_transform"),
        program=program,
        sections=() if image is None else image.sections,
        command=_joined(image, _COMMAND),
        weight=_joined(image, _WEIGHT),
        host=next((files[key] for key in files if key.endswith("_host.sim.bin")), b""),
        layers=_layers(files),
        checks=tuple(_checks(files, program, plugins, input_nodes)),
    )


def _member(name: str, data: bytes) -> MpkMember:
    return MpkMember(name, len(data), hashlib.sha256(data).hexdigest())


def _scalar(value: Json) -> str:
    return value if isinstance(value, str) else str(integer(value)) if isinstance(value, int) else ""


def _last(plugins: tuple[MpkPlugin, ...]) -> MpkPlugin:
    return max(plugins, key=lambda item: item.sequence)


def _program(files: dict[str, bytes], plugins: tuple[MpkPlugin, ...]) -> str:
    """The accelerator's program: what its plugin names, else the only member of that kind, else ""."""
    named = [item.executable for item in plugins if item.processor == "MLA" and item.executable in files]
    found = [name for name in files if name.endswith(_PROGRAM_SUFFIXES)]
    return named[0] if named else found[0] if len(found) == 1 else ""


def _joined(image: elf.Elf | None, prefix: str) -> bytes:
    """The bytes of every section with that prefix, in order; sections may not overlap."""
    if image is None:
        return b""
    found = [section for section in image.sections if section.name.startswith(prefix)]
    if sum(section.size for section in found if section.kind != elf.NOBITS) > len(image.data):
        raise ModelbuildError(f"the program's sections {prefix}* overlap", where="ELF")
    return b"".join(image.content(section) for section in found)


def _tensors(plugins: tuple[MpkPlugin, ...], kernel: str) -> tuple[MpkTensor, ...]:
    """The fixed-point tensors beside the steps of that kernel, named as the archive's border names them."""
    found = [plugin for plugin in plugins if plugin.kernel == kernel and plugin.channels]
    entering = kernel == "quantization_transform"
    named = _names_after(plugins)
    made = {node.name: node for plugin in plugins for node in plugin.outputs}
    tensors = []
    for plugin in found:
        fixed, border = (plugin.outputs, plugin.inputs) if entering else (plugin.inputs, plugin.outputs)
        if len(fixed) != 1 or len(border) != 1:
            continue
        factor, zero_point = plugin.channels[0]
        node = made.get(fixed[0].name, fixed[0])
        shape = node.shape or plugin.shape(entering)
        name = border[0].name if entering else named.get(border[0].name, border[0].name)
        dtype = node.dtype or text(plugin.parameters.get("output_data_type")) or "int8"
        bits = 16 if dtype.endswith("16") else 8
        scale = 1.0 / factor if factor else 0.0
        tensors.append(MpkTensor(name, shape, bits, not dtype.startswith("u"), scale, zero_point))
    return tuple(tensors)


def _names_after(plugins: tuple[MpkPlugin, ...]) -> dict[str, str]:
    """What a final pass-through calls each of its inputs."""
    passing = [plugin for plugin in plugins if plugin.kernel == "pass_through"]
    return {
        before.name: after.name
        for plugin in passing
        for before, after in zip(plugin.inputs, plugin.outputs, strict=False)
    }


def _layers(files: dict[str, bytes]) -> tuple[Span, ...]:
    names = [name for name in files if name.endswith("_mla_stats.yaml")]
    return mla_stats.load(files[names[0]], names[0]) if names else ()


def _checks(
    files: dict[str, bytes], program: str, plugins: tuple[MpkPlugin, ...], inputs: tuple[MpkNode, ...]
) -> list[MpkCheck]:
    programs = [name for name in files if name.endswith(_PROGRAM_SUFFIXES)]
    shared = [name for name in files if name.endswith(".so")]
    missing = [
        item.executable for item in plugins if item.executable.endswith((*_PROGRAM_SUFFIXES, ".so", ".bin"))
    ]
    missing = [name for name in missing if name not in files]
    broken = broken_edges(inputs, plugins)
    order = [plugin.sequence for plugin in plugins]
    return [
        MpkCheck("one accelerator program", len(programs) == 1, ", ".join(programs)),
        MpkCheck("no part runs from a shared object", not shared, ", ".join(shared)),
        MpkCheck("the program is an ELF", files.get(program, b"")[:4] == elf.MAGIC, program),
        MpkCheck("every executable is a member", not missing, ", ".join(missing)),
        MpkCheck("every edge has a producer", not broken, "; ".join(broken[:8])),
        MpkCheck("plugins are numbered from 1", sorted(order) == list(range(1, len(order) + 1))),
    ]

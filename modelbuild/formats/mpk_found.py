"""An MPK as it was found: members, steps, program, statistics, and what is right and wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelbuild.errors import ModelbuildError
from modelbuild.formats import elf, mla_stats, mpk_program, tar
from modelbuild.formats.checks import Check
from modelbuild.formats.json_text import text
from modelbuild.formats.mla_stats import Span
from modelbuild.formats.mpk_build import OWN_TOOLCHAIN
from modelbuild.formats.mpk_pipeline import Configuration, Step
from modelbuild.formats.mpk_plugin import MpkNode, MpkPlugin, MpkTensor
from modelbuild.formats.mpk_program import ProgramSummary


@dataclass(frozen=True)
class MpkMember:
    """A file in the archive."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Health:
    """What the vendor's own tools never tell: a compiler may end well and leave a package in pieces.

    Healthy is one program, nothing in shared objects, no step on the Arm cores."""

    elf: int
    lm: int
    so: int
    steps: Mapping[str, int]  # by processor

    @property
    def why(self) -> tuple[str, ...]:
        """What is not as it should be."""
        arm = self.steps.get("A65", 0)
        found = [f"{self.elf + self.lm} programs (.elf, .lm), not 1"] * (self.elf + self.lm != 1)
        found += [f"{self.so} shared objects: parts of the graph run on the Arm cores"] * (self.so > 0)
        found += [f"steps on the Arm cores (A65): {arm}"] * (arm > 0)
        return tuple(found)


@dataclass(frozen=True)
class Mpk:
    """An archive as found. `files` are the members that may be unpacked, by their last name.

    `inputs` and `outputs` are the fixed-point tensors that the quantization steps describe; `input_nodes` and
    `output_nodes` the archive's own borders. `safety` are the rules of the vendor's loader, `checks` those of
    consistency. `unknown` are (place, value) of fields of the description that nobody documents. `problems`
    are the errors that `read` raises.
    """

    archive: tar.Tar
    files: Mapping[str, bytes]
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
    image: elf.Elf | None
    host: bytes
    layers: tuple[Span, ...]
    pipeline: tuple[Step, ...]
    configurations: tuple[Configuration, ...]
    unknown: tuple[tuple[str, str], ...]
    safety: tuple[Check, ...]
    checks: tuple[Check, ...]
    problems: tuple[ModelbuildError, ...]

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
        return mla_stats.summarize(self.layers).cycles

    @property
    def sections(self) -> tuple[elf.Section, ...]:
        """Of the program; none where it is no ELF."""
        return () if self.image is None else self.image.sections

    @property
    def summary(self) -> ProgramSummary:
        """Bytes of the program's sections by what they are."""
        return mpk_program.summarize(self.image)

    @property
    def command(self) -> bytes:
        """The bytes of the program's `code.*` sections."""
        return mpk_program.joined(self.image, mpk_program.CODE)

    @property
    def weight(self) -> bytes:
        """The bytes of the program's `filter.*` sections."""
        return mpk_program.joined(self.image, mpk_program.WEIGHTS)

    @property
    def precision(self) -> str:
        """What the first step makes of the input: "int8", "bfloat16"; empty where it does not tell."""
        first = min(self.plugins, key=lambda item: item.sequence, default=None)
        if first is None:
            return ""
        told = first.parameters.get("output_data_type") or first.parameters.get("out_dtype")
        return text(told) or ("int8" if first.kernel == "quantization_transform" else "")

    @property
    def generation(self) -> str:
        """Which toolchains leave such members: "1.1", "1.6", "2.x"; empty where they do not tell."""
        numbered = {item.member[0].isdigit() for item in self.configurations}
        if numbered:
            return "2.x" if True in numbered else "1.6"
        return "1.1" if any(name.endswith(".lm") for name in self.files) else ""

    @property
    def health(self) -> Health:
        """Programs, shared objects, and steps by processor."""
        steps: dict[str, int] = {}
        for plugin in self.plugins:
            steps[plugin.processor] = steps.get(plugin.processor, 0) + 1
        ends = [name.rpartition(".")[2] for name in self.files]
        return Health(ends.count("elf"), ends.count("lm"), ends.count("so"), steps)

"""Reads an MPK member after member: what cannot be read is a check that fails, and the rest is shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

from modelbuild.errors import ModelbuildError
from modelbuild.formats import (
    elf,
    json_text,
    mla_stats,
    mpk_checks,
    mpk_fields,
    mpk_pipeline,
    mpk_program,
    tar,
)
from modelbuild.formats.checks import Check, checked
from modelbuild.formats.json_text import Json, integer, items, mapping, text
from modelbuild.formats.mla_stats import Span
from modelbuild.formats.mpk_found import Mpk, MpkMember
from modelbuild.formats.mpk_pipeline import Configuration, Step
from modelbuild.formats.mpk_plugin import (
    MpkNode,
    MpkPlugin,
    check_edges,
    check_plugins,
    decode_node,
    decode_plugin,
    quantized_tensors,
)

PROGRAM_SUFFIXES = (".elf", ".lm")
MAX_JSON = 32 << 20  # bytes of all JSON members, as the vendor's loader has it
_MAX_READ = 8 << 20  # bytes of JSON that are read
_JSON_RULES = (json_text.TWICE, json_text.DEPTH, json_text.SIZE)
_DESCRIPTION, _STEPS = "the description is read", "the steps are read"
_Read = TypeVar("_Read")
_Steps = tuple[tuple[MpkPlugin, ...], tuple[MpkNode, ...]]  # and the nodes at the top
_NO_STEPS: _Steps = ((), ())


class Survey:
    """Reads one member after the other, and keeps what goes wrong."""

    def __init__(self, archive: tar.Tar) -> None:
        self.archive = archive
        self.files: dict[str, bytes] = {}
        self.problems: list[ModelbuildError] = []
        self.checks: list[Check] = []
        self._json: dict[str, list[str]] = {rule: [] for rule in _JSON_RULES}
        self._left = _MAX_READ
        twice = []
        for member in archive.members:
            last = member.name.rpartition("/")[2]
            twice += [last] * (last in self.files)
            self.files[last] = member.data
        self._names = {*self.files, *(member.name for member in archive.members)}
        self._collision = checked(
            "no two members that the loader unpacks to one place", not twice, ", ".join(twice[:8])
        )

    def result(self) -> Mpk:
        """Everything."""
        document, name = self._description()
        plugins, inputs = self._attempt(_STEPS, lambda: _steps(document, name), _NO_STEPS)
        program = _program(self.files, self._names, plugins)
        image = self._attempt("the program's sections are read", lambda: _image(self.files, program), None)
        no_layers: tuple[Span, ...] = ()
        layers = self._attempt("the statistics are read", lambda: _layers(self.files), no_layers)
        self._consistency(document, program, plugins, inputs)
        self.checks.append(mpk_checks.check_cycles(layers))
        pipeline, configurations = self._pipeline()
        return Mpk(
            archive=self.archive,
            files=self.files,
            name=text(document.get("name")),
            model_path=text(document.get("model_path")),
            model_checksum=_scalar(document.get("model_checksum")),
            toolchain_version=text(document.get("model_sdk_version")),
            members=tuple(
                MpkMember(entry.path, len(entry.data), entry.sha256)
                for entry in self.archive.entries
                if entry.path
            ),
            input_nodes=inputs,
            output_nodes=max(plugins, key=lambda item: item.sequence).outputs if plugins else (),
            plugins=plugins,
            inputs=quantized_tensors(plugins, "quantization_transform"),
            outputs=quantized_tensors(plugins, "dequantization_transform"),
            program=program,
            image=image,
            host=next((self.files[key] for key in self.files if key.endswith("_host.sim.bin")), b""),
            layers=layers,
            pipeline=pipeline,
            configurations=configurations,
            unknown=mpk_fields.unknown_fields(document),
            safety=(*self.archive.checks, self._collision, *self._json_checks()),
            checks=tuple(self.checks),
            problems=tuple(self.problems),
        )

    def _attempt(
        self, what: str, action: Callable[[], _Read], otherwise: _Read, needed: bool = True
    ) -> _Read:
        """What the action gives; where it fails, that is a check, and a problem of what is `needed`."""
        try:
            return action()
        except ModelbuildError as error:
            problem = error.problems[0]
            where = f"{problem.where}: " if problem.where else ""
            self.checks.append(Check(what, False, f"{where}{problem.what}; {problem.why}".rstrip("; ")))
            self.problems += [error] * needed
            return otherwise

    def _description(self) -> tuple[dict[str, Json], str]:
        found = [name for name in self.files if name == "mpk.json" or name.endswith("_mpk.json")]

        def load() -> dict[str, Json]:
            if len(found) != 1:
                raise ModelbuildError(f"the archive has {len(found)} files named *_mpk.json, not one")
            return mapping(self._load(found[0]), found[0])

        return self._attempt(_DESCRIPTION, load, {}), found[0] if found else ""

    def _pipeline(self) -> tuple[tuple[Step, ...], tuple[Configuration, ...]]:
        steps: tuple[Step, ...] = ()
        if mpk_pipeline.SEQUENCE in self.files:
            name = mpk_pipeline.SEQUENCE
            steps = self._attempt(
                "the pipeline is read",
                lambda: mpk_pipeline.decode_sequence(self._load(name), name),
                (),
                needed=False,
            )
            self.checks += mpk_pipeline.check_sequence(steps, self.files)
        found: list[Configuration] = []
        for name in filter(mpk_pipeline.is_configuration, self.files):
            if len(self.files[name]) <= self._left:
                found += self._configuration(name)
        return steps, tuple(found)

    def _configuration(self, name: str) -> list[Configuration]:
        def load() -> list[Configuration]:
            return [mpk_pipeline.decode_configuration(self._load(name), name)]

        return self._attempt("the configurations are read", load, [], needed=False)

    def _load(self, name: str) -> Json:
        self._left -= len(self.files[name])
        try:
            return json_text.load(self.files[name], name)
        except json_text.BadJson as error:
            if error.rule in self._json:
                self._json[error.rule].append(f"{name}: {error.why}")
            raise

    def _json_checks(self) -> list[Check]:
        total = sum(len(data) for name, data in self.files.items() if name.endswith(".json"))
        checks = [checked(rule, not why, "; ".join(why[:8])) for rule, why in self._json.items()]
        what = f"JSON of at most {MAX_JSON >> 20} MiB in all"
        return [*checks, checked(what, total <= MAX_JSON, f"it has {total} bytes")]

    def _consistency(
        self,
        document: dict[str, Json],
        program: str,
        plugins: tuple[MpkPlugin, ...],
        inputs: tuple[MpkNode, ...],
    ) -> None:
        programs = [name for name in self.files if name.endswith(PROGRAM_SUFFIXES)]
        shared = [name for name in self.files if name.endswith(".so")]
        is_read = all(item.ok for item in self.checks if item.what in (_DESCRIPTION, _STEPS))
        is_elf = self.files.get(program, b"")[:4] == elf.MAGIC
        self.checks += [
            checked("one accelerator program", len(programs) == 1, _few(programs) or "there is none"),
            checked("no part runs from a shared object", not shared, _few(shared)),
            checked("the program is an ELF", is_elf, program or "there is none"),
            *mpk_checks.check_executables(plugins, self._names),
            *mpk_checks.check_description(document, plugins, is_read),
            *check_edges(inputs, plugins),
            *check_plugins(plugins),
        ]


def _steps(document: dict[str, Json], name: str) -> _Steps:
    plugins = tuple(
        decode_plugin(item, name, number)
        for number, item in enumerate(items(document.get("plugins"), name), start=1)
    )
    return plugins, tuple(decode_node(item, name) for item in items(document.get("input_nodes"), name))


def _scalar(value: Json) -> str:
    return value if isinstance(value, str) else str(integer(value)) if isinstance(value, int) else ""


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _program(files: Mapping[str, bytes], names: Collection[str], plugins: tuple[MpkPlugin, ...]) -> str:
    """The accelerator's program: what its plugin names, else the only member of that kind, else ""."""
    run = [item.executable for item in plugins if item.processor == "MLA" and item.executable in names]
    named = [last for name in run if (last := name.rpartition("/")[2]) in files]
    found = [name for name in files if name.endswith(PROGRAM_SUFFIXES)]
    return named[0] if named else found[0] if len(found) == 1 else ""


def _image(files: Mapping[str, bytes], program: str) -> elf.Elf | None:
    image = elf.read(files[program]) if files.get(program, b"")[:4] == elf.MAGIC else None
    for what in (mpk_program.CODE, mpk_program.WEIGHTS):
        mpk_program.check_apart(image, what)
    return image


def _layers(files: Mapping[str, bytes]) -> tuple[Span, ...]:
    names = [name for name in files if name.endswith("_mla_stats.yaml")]
    return mla_stats.load(files[names[0]], names[0]) if names else ()

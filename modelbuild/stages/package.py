"""Stage `package`: the programs of all models in the vendor's container, read back as they will be found."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.formats.nef_generations import FLATBUFFER, chosen
from modelbuild.formats.source_date import source_date
from modelbuild.stages import sealing
from modelbuild.stages.request import PackageRequest, Source, post_name

if TYPE_CHECKING:
    from modelbuild.artifacts.packing import Described
    from modelbuild.graph.after_chip import AfterChip

VERSION = "9"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=64 << 20, memory_per_input_byte=4.0)
PARTS = ("command", "weights", "host")
TIMED = ("mpk",)  # formats whose members have times
INCLUDED = "include/"  # role prefix of NEFs whose models go into the package as they are


def inputs(request: PackageRequest) -> dict[str, Source]:
    """The compiled parts of each model: role `compiled/<model>/<part>`; and the source's identity; and the
    files that are included."""
    found: dict[str, Source] = {
        f"{INCLUDED}{index:04d}": FileInput(path) for index, path in enumerate(request.include)
    }
    for packaged in request.models:
        model = packaged.request
        for part in PARTS:
            found[f"compiled/{model.model}/{part}"] = model.output("compile", f"{part}.bin")
        found[f"compiled/{model.model}/plan"] = model.output("compile", "compile.json")
        found[f"compiled/{model.model}/fixed"] = model.fixed()
        found |= {f"post/{model.model}": source for source in model.after_chip().values()}
        if model.labels is not None:
            found[f"labels/{model.model}"] = FileInput(model.labels)
    return found


def parameters(request: PackageRequest) -> dict[str, Any]:
    """Container facts of the recipe; ids, versions and base names of the sources; the time of members, as
    `SOURCE_DATE_EPOCH` has it, in containers with times."""
    time = source_date(os.environ) if request.recipe["container"]["format"] in TIMED else 0
    return {
        **({"time": time} if time else {}),
        "name": request.package,
        "target": request.target,
        "chip": request.recipe["chip"],
        "container": {**request.recipe["container"], "setup": _setup(request)},
        "silicon": request.silicon,
        "models": [
            {
                "name": packaged.request.model,
                "id": packaged.id,
                "version": packaged.version,
                "source": Path(packaged.request.source).name,
            }
            for packaged in request.models
        ],
        **({"include": [Path(path).name for path in request.include]} if request.include else {}),
        **sealing.parameters(request),
    }


def unkeyed(request: PackageRequest) -> dict[str, Any]:
    """Where the keys of an encrypted package are."""
    return sealing.unkeyed(request)


def secrets(request: PackageRequest) -> tuple[str, ...]:
    """The variables that the keys of an encrypted package are in."""
    return sealing.variables(request)


def _setup(request: PackageRequest) -> str:
    """The generation of the setup: the recipe's, or the one that the models ask for."""
    asked = [(packaged.request.settings.get("compile") or {}).get(FLATBUFFER) for packaged in request.models]
    container = request.recipe["container"]
    wanted = next((one for one in asked if one is not None), None)
    return chosen(container["platform"], container["setup"], wanted)


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `files/…`, `programs/<model>.<part>.bin`, `models/<model>.json`, `package.json`, and
    `models/<model>_post.onnx` where a part runs after the chip. Of an encrypted package the programs are
    encrypted, too, in `programs/<model>.enc`, unless it is to leave them as they are."""
    from dataclasses import replace

    from modelbuild.artifacts.firmware import describe
    from modelbuild.artifacts.packing import FORMATS
    from modelbuild.chips.recipe import Container
    from modelbuild.npu.limits import check_package
    from modelbuild.stages.files import read_after_chip, validated, write_json

    container = validated(Container, parameters["container"])
    format_ = FORMATS[container.format]
    time = parameters.get("time", 0)
    packed = [_packed(inputs, model, time) for model in parameters["models"]]
    files: dict[str, bytes] = format_.pack(packed, container)
    files, included = _with_included(files, inputs, parameters.get("include", ()))
    sizes = {one.program.name: one.program.size for one in packed}
    seal = _Seal.of(parameters, container.format)
    files = {f"{name}{seal.suffix}": seal.close(data) for name, data in files.items()}
    check_package(parameters["name"], sum(map(len, files.values())), sizes, parameters["chip"], container)
    for folder in ("files", "programs", "models"):
        (out / folder).mkdir()
    for name, data in files.items():
        (out / "files" / name).write_bytes(data)
    others = {model["id"] for one in included for model in one["models"]}
    found = {
        program.name: program
        for name, data in files.items()
        for program in format_.unpack(seal.open(data), name.removesuffix(seal.suffix))
        if program.id is None or program.id not in others
    }
    for model in parameters["models"]:
        program = found[model["name"]]
        for name, data in seal.programs(program).items():
            (out / "programs" / name).write_bytes(data)
        after = read_after_chip(inputs.get(f"post/{program.name}"))
        source = next(one for one in packed if one.program.name == program.name)
        described = format_.describe(replace(source, program=program))
        if seal.suffix:
            described = described.without_inside()
        labels = _labels(inputs.get(f"labels/{program.name}"), described, after)
        told = describe(program, described, model["version"], labels, parameters["silicon"], source.batch)
        if after is not None and after.own:
            file = post_name(program.name)
            (out / "models" / file).write_bytes(inputs[f"post/{program.name}"].read_bytes())
            told["post"] = {"file": file, "inputs": list(after.inputs), "outputs": list(after.outputs)}
        write_json(out / "models" / f"{program.name}.json", told)
    summary = _summary(parameters, container.format, files) | seal.told()
    if included:
        summary["included"] = included
    beside = {path.name: path.read_bytes() for path in sorted((out / "models").glob("*.onnx"))}
    if beside:
        summary["after_chip"] = _listed(beside)
    write_json(out / "package.json", summary)


class _Seal:
    """What encrypts a package; of one that is not encrypted, what leaves it as it is."""

    suffix = ""

    @staticmethod
    def of(parameters: Mapping[str, Any], format_: str) -> _Seal:
        """The one that the parameters ask for."""
        return _KeyedSeal(parameters, format_) if "encrypt" in parameters else _Seal()

    def close(self, data: bytes) -> bytes:
        """A file of the package as it is shipped."""
        return data

    def open(self, data: bytes) -> bytes:
        """The inverse of `close`."""
        return data

    def programs(self, program: Any) -> dict[str, bytes]:
        """The files that the simulator's stage reads."""
        return {f"{program.name}.{part}.bin": getattr(program, part) for part in PARTS}

    def told(self) -> dict[str, Any]:
        """What package.json says of it."""
        return {}


class _KeyedSeal(_Seal):
    def __init__(self, parameters: Mapping[str, Any], format_: str) -> None:
        from modelbuild.formats import sealed

        self.suffix = sealed.SUFFIX
        self._told = parameters["encrypt"]
        self._format = format_
        self._secrets = sealing.secrets(parameters)

    def close(self, data: bytes) -> bytes:
        return self._sealed(data, self._format)

    def open(self, data: bytes) -> bytes:
        from modelbuild.formats import sealed

        return sealed.open_sealed(data, self._secrets)

    def programs(self, program: Any) -> dict[str, bytes]:
        if self._told["cache_plaintext"]:
            return super().programs(program)
        parts = sealing.bundled([getattr(program, part) for part in PARTS])
        return {f"{program.name}{self.suffix}": self._sealed(parts, sealing.PROGRAM)}

    def told(self) -> dict[str, Any]:
        return {"encrypted": {"mode": self._told["mode"]}}

    def _sealed(self, data: bytes, format_: str) -> bytes:
        from modelbuild.formats import sealed

        return sealed.seal(data, self._secrets, format_)


def _with_included(
    files: Mapping[str, bytes], inputs: Mapping[str, Path], names: Sequence[str]
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """The package's one file with the models of the included ones, and what these are."""
    if not names:
        return dict(files), []
    import hashlib

    from modelbuild.formats import nef, nef_combine

    ((own, data),) = files.items()
    contents = [inputs[f"{INCLUDED}{index:04d}"].read_bytes() for index in range(len(names))]
    read = [nef.read(content) for content in contents]
    made = nef_combine.combine([nef.read(data), *read], [own, *names])
    told = [
        {
            "path": name,
            "sha256": hashlib.sha256(content).hexdigest(),
            "verified": False,
            "models": [
                {
                    "id": model.id,
                    "name": model.name,
                    "version": None if model.version is None else f"{model.version:04x}",
                }
                for model in one.models
            ],
        }
        for name, content, one in zip(names, contents, read, strict=True)
    ]
    return {own: nef.write(made)}, told


def _labels(path: Path | None, described: Described, after: AfterChip | None) -> list[str] | None:
    from modelbuild.stages.files import class_names

    if path is None:
        return None
    shapes = {tensor.name: None if tensor.whole else tensor.shape for tensor in described.outputs}
    first = next(iter(shapes))
    if after is not None:
        first = after.outputs[0]
        shapes |= {name: after.shape(name) for name in after.own}
    return class_names(path, first, shapes[first])


def _packed(inputs: Mapping[str, Path], model: Mapping[str, Any], time: int) -> Any:
    import hashlib

    from modelbuild.artifacts.packing import PackedProgram, Program
    from modelbuild.stages.files import read_json

    def part(name: str) -> Path:
        return inputs[f"compiled/{model['name']}/{name}"]

    plan = read_json(part("plan"))
    command, weights, host = (part(name).read_bytes() for name in PARTS)
    return PackedProgram(
        Program(model["name"], command, weights, host, model["id"]),
        version=model["version"],
        plan=plan,
        source=model["source"],
        source_digest=hashlib.sha256(part("fixed").read_bytes()).hexdigest(),
        time=time,
    )


def _summary(parameters: Mapping[str, Any], format_: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "name": parameters["name"],
        "target": parameters["target"],
        "chip": parameters["chip"],
        "format": format_,
        "silicon": parameters["silicon"],
        "models": parameters["models"],
        "files": _listed(files),
    }


def _listed(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    import hashlib

    return [
        {"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in sorted(files.items())
    ]

"""Stage `package`: the programs of all models in the vendor's container, read back as they will be found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild.build.action import FileInput, Resources
from modelbuild.formats.nef_generations import FLATBUFFER, chosen
from modelbuild.stages.request import PackageRequest, Source, post_name

if TYPE_CHECKING:
    from modelbuild.graph.after_chip import AfterChip

VERSION = "6"
LIBRARIES = ("numpy", "onnx")
RESOURCES = Resources(memory=64 << 20, memory_per_input_byte=4.0)
PARTS = ("command", "weights", "host")


def inputs(request: PackageRequest) -> dict[str, Source]:
    """The compiled parts of each model: role `compiled/<model>/<part>`; and the source's identity."""
    found: dict[str, Source] = {}
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
    """Container facts of the recipe; ids, versions and base names of the sources."""
    return {
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
    }


def _setup(request: PackageRequest) -> str:
    """The generation of the setup: the recipe's, or the one that the models ask for."""
    asked = [(packaged.request.settings.get("compile") or {}).get(FLATBUFFER) for packaged in request.models]
    container = request.recipe["container"]
    wanted = next((one for one in asked if one is not None), None)
    return chosen(container["platform"], container["setup"], wanted)


def run(inputs: Mapping[str, Path], parameters: Mapping[str, Any], out: Path) -> None:
    """Leaves `files/…`, `programs/<model>.<part>.bin`, `models/<model>.json`, `package.json`, and
    `models/<model>_post.onnx` where a part runs after the chip."""
    from modelbuild.artifacts.firmware import describe
    from modelbuild.artifacts.packing import FORMATS
    from modelbuild.chips.recipe import Container
    from modelbuild.npu.limits import check_package
    from modelbuild.stages.files import read_after_chip, validated, write_json

    container = validated(Container, parameters["container"])
    format_ = FORMATS[container.format]
    packed = [_packed(inputs, model) for model in parameters["models"]]
    files: dict[str, bytes] = format_.pack(packed, container)
    sizes = {one.program.name: one.program.size for one in packed}
    check_package(parameters["name"], sum(map(len, files.values())), sizes, parameters["chip"], container)
    for folder in ("files", "programs", "models"):
        (out / folder).mkdir()
    for name, data in files.items():
        (out / "files" / name).write_bytes(data)
    found = {program.name: program for data in files.values() for program in format_.unpack(data)}
    for model in parameters["models"]:
        program = found[model["name"]]
        for part in PARTS:
            (out / "programs" / f"{program.name}.{part}.bin").write_bytes(getattr(program, part))
        after = read_after_chip(inputs.get(f"post/{program.name}"))
        labels = _labels(inputs, program, after)
        batch = next(one.batch for one in packed if one.program.name == program.name)
        told = describe(program, model["version"], labels, parameters["silicon"], batch)
        if after is not None and after.own:
            file = post_name(program.name)
            (out / "models" / file).write_bytes(inputs[f"post/{program.name}"].read_bytes())
            told["post"] = {"file": file, "inputs": list(after.inputs), "outputs": list(after.outputs)}
        write_json(out / "models" / f"{program.name}.json", told)
    summary = _summary(parameters, container.format, files)
    beside = {path.name: path.read_bytes() for path in sorted((out / "models").glob("*.onnx"))}
    if beside:
        summary["after_chip"] = _listed(beside)
    write_json(out / "package.json", summary)


def _labels(inputs: Mapping[str, Path], program: Any, after: AfterChip | None) -> list[str] | None:
    from modelbuild.npu.program import interface
    from modelbuild.stages.files import class_names

    path = inputs.get(f"labels/{program.name}")
    if path is None:
        return None
    shapes = {place.name: place.shape for place in interface(program.command).outputs}
    first = next(iter(shapes))
    if after is not None:
        first = after.outputs[0]
        shapes |= {name: after.shape(name) for name in after.own}
    return class_names(path, first, shapes[first])


def _packed(inputs: Mapping[str, Path], model: Mapping[str, Any]) -> Any:
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

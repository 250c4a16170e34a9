"""What of a build goes to `dist/` and `reports/`: known of a package without its manifest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from modelbuild.build.build import Builder
from modelbuild.build.remember import Product
from modelbuild.project.build_report import BuiltPackage
from modelbuild.project.finding_places import ModelPlaces
from modelbuild.project.layout import DIST, REPORTS, STALE

if TYPE_CHECKING:  # a build of what changed knows its packages from the last one
    from modelbuild.manifest.manifest import Manifest
    from modelbuild.stages.request import PackageRequest

FROM_QUANTIZE = ("quant.txt", "QuantScheme.json")  # what goes to `dist/`, as MODEL.quant.txt, if it is there
PASSED = frozenset({"run", "cached"})  # states of a gate
Outputs = Mapping[str, Mapping[str, str]]  # action -> output -> digest


class ShippedModel(NamedTuple):
    """A model in a package: its fixed-point form, the action that quantized it, if one did, what the file of
    its part behind the chip is called, if it has one, and where the manifest speaks of it."""

    name: str
    fixed_action: str
    fixed_output: str
    quantized: str
    post: str
    places: ModelPlaces


class Shipment(NamedTuple):
    """A package: the actions that judge, describe and make it, whether its files are encrypted, and its
    models."""

    package: str
    target: str
    silicon: bool
    gate: str
    report: str
    made: str
    encrypted: bool
    models: tuple[ShippedModel, ...]

    @classmethod
    def of(cls, package: PackageRequest, manifest: Manifest) -> Shipment:
        """The shipment of a package of the manifest as planned."""
        from modelbuild.stages.request import post_name

        models = []
        for packaged in package.models:
            model = packaged.request
            fixed = model.fixed()
            quantized = model.action("quantize") if model.has_record and not model.is_fixed else ""
            post = post_name(model.model)
            places = ModelPlaces.of(manifest, model.model, package.target)
            models.append(ShippedModel(model.model, fixed.action, fixed.name, quantized, post, places))
        gate, report, made = (package.action(stage) for stage in ("gate", "report", "package"))
        name, target, encrypted = package.package, package.target, package.keys is not None
        return cls(name, target, package.silicon, gate, report, made, encrypted, tuple(models))

    def to_plain(self) -> tuple[Any, ...]:
        """The same as plain tuples."""
        return (*self[:-1], tuple((*model[:-1], tuple(model.places)) for model in self.models))

    @classmethod
    def from_plain(cls, plain: tuple[Any, ...]) -> Shipment:
        """The inverse of `to_plain`."""
        *first, models = plain
        shipped = tuple(ShippedModel._make((*model[:-1], ModelPlaces(*model[-1]))) for model in models)
        return cls._make((*first, shipped))

    def products(self, outputs: Outputs) -> tuple[Product, Product]:
        """The folders in `dist/` and `reports/` of a package whose gate passed."""
        dist = Product(f"{DIST}/{self.package}", self.files(outputs))
        return dist, Product(f"{REPORTS}/{self.package}", outputs[self.report])

    def files(self, outputs: Outputs) -> dict[str, str]:
        """The files of `dist/<package>/`: name -> digest."""
        made = outputs[self.made]
        files = {
            name.removeprefix("files/"): digest for name, digest in made.items() if name.startswith("files/")
        }
        for model in self.models:
            if (after := made.get(f"models/{model.post}")) is not None:
                files[model.post] = after
            files[f"{model.name}.json"] = made[f"models/{model.name}.json"]
            if self.encrypted:
                continue  # the others hold the weights, or tell of them
            files[f"{model.name}.fixed.onnx"] = outputs[model.fixed_action][model.fixed_output]
            if model.quantized:
                left = outputs[model.quantized]
                files |= {f"{model.name}.{name}": left[name] for name in FROM_QUANTIZE if name in left}
        return files


def publish(
    builder: Builder,
    root: Path,
    shipment: Shipment,
    states: Mapping[str, str],
    outputs: Outputs,
    is_at_fault: Callable[[], bool],
) -> BuiltPackage:
    """Puts a package whose gate passed into `dist/`, and its report into `reports/`. A product whose build
    `is_at_fault` is put aside: it is no longer what the manifest says."""
    told = publish_report(builder, root, shipment, outputs)
    gate = states[shipment.gate]
    name, target, silicon = shipment.package, shipment.target, shipment.silicon
    if gate in PASSED:
        return publish_passed(builder, root, shipment, outputs)._replace(**told)
    if is_at_fault():
        builder.withdraw(Path(DIST) / name, Path(STALE) / name)
    verdict = "failed" if gate == "failed" else "not reached"
    return BuiltPackage(name, target, verdict, (), None, False, silicon)._replace(**told)


def publish_passed(builder: Builder, root: Path, shipment: Shipment, outputs: Outputs) -> BuiltPackage:
    """Puts a package whose gate passed into `dist/`, and nothing into `reports/`."""
    name, target, silicon = shipment.package, shipment.target, shipment.silicon
    folder = Path(DIST) / name
    files = shipment.files(outputs)
    changed = builder.publish(files, folder)
    listed = tuple(
        {
            "path": f"{folder.as_posix()}/{file}",
            "size": (root / folder / file).stat().st_size,
            "sha256": digest,
        }
        for file, digest in sorted(files.items())
    )
    return BuiltPackage(name, target, "passed", listed, None, changed, silicon)


def publish_report(builder: Builder, root: Path, shipment: Shipment, outputs: Outputs) -> dict[str, Any]:
    """Puts the report of a package, if there is one, into `reports/`. What `BuiltPackage` has of it: where it
    is, the bounds, what samples and measurements tell, the batches that were achieved, what is included."""
    if shipment.report not in outputs:
        return {}
    from modelbuild.graph.codes import CODES

    folder = Path(REPORTS) / shipment.package
    builder.publish(outputs[shipment.report], folder)
    found = json.loads((root / folder / "report.json").read_bytes())
    places = {model.name: model.places for model in shipment.models}
    findings = tuple(
        {
            **finding,
            **places[model["name"]].of_finding(finding["code"]),
            "model": model["name"],
            "target": shipment.target,
        }
        for model in found["models"]
        for finding in model["findings"] or ()
        if CODES[finding["code"]].told
    )
    return {
        "report": f"{folder.as_posix()}/report.html",
        "checks": tuple(found["checks"]),
        "findings": findings,
        "batches": tuple(
            {"model": model["name"], **model["batch"]} for model in found["models"] if model.get("batch")
        ),
        "included": tuple(found["package"]["included"]),
    }

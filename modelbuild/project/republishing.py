"""The packages that a change concerns: known before anything is built, put in place once all is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from modelbuild.build import publish as _  # noqa: F401 - which the builder else imports when all waits for it
from modelbuild.build.build import Builder
from modelbuild.build.plan import plan
from modelbuild.build.remember import Product
from modelbuild.build.result import BuildResult
from modelbuild.build.resume import Resumption
from modelbuild.project.build_report import BuildReport, BuiltPackage
from modelbuild.project.settled import report_of
from modelbuild.project.shipping import Outputs, Shipment, publish


class Concerned:
    """What of a remembered build's packages a resumption concerns."""

    def __init__(self, found: Resumption) -> None:
        self._found = found
        self._before = report_of(found.snapshot.told, found.snapshot.actions)
        self._shipments = [Shipment.from_plain(plain) for plain in found.told_of_plan]
        built = {action.name for action in found.actions}
        self._touched = [
            index
            for index, one in enumerate(self._shipments)
            if not built.isdisjoint((one.gate, *_read_by(one)))
            or not found.products.isdisjoint((2 * index, 2 * index + 1))
        ]
        read = {name for index in self._touched for name in _read_by(self._shipments[index])}
        self._outputs = {
            name: {output: blob.digest for output, blob in result.outputs.items()}
            for name, result in found.results(read - built).items()
        }

    def publish(self, builder: Builder, root: Path, result: BuildResult) -> BuildReport:
        """The report, after putting in place the packages that are concerned, and taking the others over."""
        states = {**self._before.states, **result.states}
        packages: list[BuiltPackage] = list(self._before.packages)
        for index in self._touched:
            shipment = self._shipments[index]
            is_at_fault = partial(_failed, self._found, result, shipment)
            packages[index] = publish(builder, root, shipment, states, self._all(result), is_at_fault)
        return BuildReport(tuple(packages), states, result.failures, self._before.warnings)

    def products(self, result: BuildResult) -> dict[int, Product]:
        """The published folders by their index in the snapshot, after a build that succeeded."""
        return {
            2 * index + side: product
            for index in self._touched
            for side, product in enumerate(self._shipments[index].products(self._all(result)))
        }

    def _all(self, result: BuildResult) -> Outputs:
        return {**self._outputs, **result.outputs}


def _read_by(shipment: Shipment) -> Iterator[str]:
    """The actions whose outputs are shipped."""
    yield from (shipment.report, shipment.made)
    for model in shipment.models:
        yield from filter(None, (model.fixed_action, model.quantized))


def _failed(found: Resumption, result: BuildResult, shipment: Shipment) -> bool:
    """Whether the gate or anything that it needs failed; else the build stopped for another's sake."""
    built = {action.name for action in found.actions}
    if shipment.gate not in built:
        return False
    given = {name for action in found.actions for name in action.dependencies()} - built
    return any(result.states[name] == "failed" for name in plan(found.actions, [shipment.gate], given).order)

"""The packages that a change concerns: known before anything is built, put in place once all is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from modelbuild.build.build import Builder
from modelbuild.build.plan import plan
from modelbuild.build.publish import preload
from modelbuild.build.remember import Product
from modelbuild.build.result import BuildResult, Outcome
from modelbuild.build.resume import Resumption
from modelbuild.build.store import Blob
from modelbuild.errors import ModelbuildError
from modelbuild.project.build_report import BuildReport, BuiltPackage
from modelbuild.project.settled import report_of
from modelbuild.project.shipping import (
    PASSED,
    Outputs,
    Shipment,
    publish,
    publish_passed,
    publish_report,
)


class Concerned:
    """What of a remembered build's packages a resumption concerns."""

    def __init__(self, builder: Builder, root: Path, found: Resumption) -> None:
        preload()  # now, when there is time: else it is when all waits for it
        self._builder = builder
        self._root = root
        self._found = found
        self._passed: dict[int, BuiltPackage] = {}  # what is in `dist/` already
        self._before = report_of(found.snapshot.told, found.snapshot.actions)
        self._shipments = [Shipment.from_plain(plain) for plain in found.told_of_plan]
        built = {action.name for action in found.actions}
        self._touched = [
            index
            for index, one in enumerate(self._shipments)
            if not built.isdisjoint((one.gate, *_read_by(one)))
            or not found.products.isdisjoint((2 * index, 2 * index + 1))
        ]
        self._pending = self._touched  # those whose turn to go to `dist/` early has not come
        read = {name for index in self._touched for name in _read_by(self._shipments[index])}
        self._outputs = {
            name: _digests(result.outputs) for name, result in found.results(read - built).items()
        }

    def publish_passed(self, outcomes: Mapping[str, Outcome]) -> None:
        """Puts packages whose gate has passed into `dist/` while reports are still being written. What cannot
        be put there now is left to `publish`, which says why."""
        self._pending = [index for index in self._pending if not self._has_tried(index, outcomes)]

    def _has_tried(self, index: int, outcomes: Mapping[str, Outcome]) -> bool:
        """Puts the package in place if it can be by now; whether there is nothing more to wait for."""
        shipment = self._shipments[index]
        if shipment.gate not in outcomes:
            return False
        needed = {shipment.gate, *_read_by(shipment)} - {shipment.report} - self._outputs.keys()
        known = {name: outcomes[name] for name in needed if name in outcomes}
        if len(known) < len(needed):
            return False
        if all(one.state in PASSED for one in known.values()):
            outputs = {name: _digests(one.outputs) for name, one in known.items()}
            with suppress(ModelbuildError, OSError):
                passed = publish_passed(self._builder, self._root, shipment, {**self._outputs, **outputs})
                self._passed[index] = passed
        return True

    def publish(self, result: BuildResult) -> BuildReport:
        """The report, after putting in place the packages that are concerned, and taking the others over."""
        states = self._before.states  # nobody else has it, and to copy ten thousand takes long
        states.update(result.states)
        packages: list[BuiltPackage] = list(self._before.packages)
        for index in self._touched:
            shipment, outputs = self._shipments[index], self._all(result)
            if index in self._passed:
                told = publish_report(self._builder, self._root, shipment, outputs)
                packages[index] = self._passed[index]._replace(**told)
            else:
                is_at_fault = partial(_failed, self._found, result, shipment)
                packages[index] = publish(self._builder, self._root, shipment, states, outputs, is_at_fault)
        before = self._before
        return BuildReport(
            tuple(packages), states, result.failures, before.warnings, unjudged=before.unjudged
        )

    def products(self, result: BuildResult) -> dict[int, Product]:
        """The published folders by their index in the snapshot, after a build that succeeded."""
        return {
            2 * index + side: product
            for index in self._touched
            for side, product in enumerate(self._shipments[index].products(self._all(result)))
        }

    def _all(self, result: BuildResult) -> Outputs:
        return {**self._outputs, **result.outputs}


def _digests(outputs: Mapping[str, Blob]) -> dict[str, str]:
    return {name: blob.digest for name, blob in outputs.items()}


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

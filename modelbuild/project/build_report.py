"""What a build did, for people and for `build --json`."""

from __future__ import annotations

from typing import Any, NamedTuple

from modelbuild.errors import EXIT_FAILED, ModelbuildError


class BuiltPackage(NamedTuple):  # no dataclass, as in modelbuild.errors
    """A package after a build. `gate` is passed, failed or not reached; `files` is empty unless it passed;
    `checks` are the bounds as the report has them, with what was measured."""

    name: str
    target: str
    gate: str
    files: tuple[dict[str, Any], ...]
    report: str | None
    changed: bool
    silicon: bool
    checks: tuple[dict[str, Any], ...] = ()
    findings: tuple[dict[str, Any], ...] = ()  # what its samples and measurements tell, as `check --json`
    batches: tuple[dict[str, Any], ...] = ()  # of models that a batch is asked for
    included: tuple[dict[str, Any], ...] = ()  # files whose models are in it as they were, not verified

    def to_json(self) -> dict[str, Any]:
        """The object in `packages` of `build --json`."""
        return {
            "name": self.name,
            "target": self.target,
            "silicon": self.silicon,
            "gate": self.gate,
            "files": list(self.files),
            "report": self.report,
            "checks": list(self.checks),
            "findings": list(self.findings),
            "batches": list(self.batches),
            "included": list(self.included),
        }


class BuildReport(NamedTuple):
    """What a build did. `states` is action -> run, cached, failed, skipped or would_run; `unremembered` says
    why another build will have to look at everything again, if so."""

    packages: tuple[BuiltPackage, ...]
    states: dict[str, str]
    failures: tuple[tuple[str, ModelbuildError], ...]
    warnings: tuple[dict[str, Any], ...] = ()  # findings in the manifest, as `check --json` shows them
    withdrawn: tuple[str, ...] = ()  # folders of packages that the manifest has no longer
    unremembered: str = ""
    # Lines on models built without a package, whose bounds nothing judges.
    unjudged: tuple[str, ...] = ()
    # What `--until evaluate` predicts: model, target, fps, total_ms, time_ms, cpu_time_ms, confidence, batch,
    # fits, fits_because
    evaluated: tuple[dict[str, Any], ...] = ()
    taken_over: tuple[str, ...] = ()  # folders that were another manifest's, which has no such package now

    @property
    def ok(self) -> bool:
        """Whether everything asked for is there."""
        return {"failed", "skipped"}.isdisjoint(self.states.values())

    @property
    def exit_code(self) -> int:
        """0, 1 where something failed, 2 where what the user supplied is wrong."""
        if self.ok:
            return 0
        return max((error.exit_code for _, error in self.failures), default=EXIT_FAILED)

    def count(self, state: str) -> int:
        """How many actions ended so."""
        return list(self.states.values()).count(state)

    def to_json(self) -> dict[str, Any]:
        """The object of `build --json`."""
        return {
            "ok": self.ok,
            "packages": [package.to_json() for package in self.packages],
            "actions": {
                state: self.count(state) for state in ("run", "cached", "failed", "skipped", "would_run")
            },
            "failures": [{"action": action, "message": str(error)} for action, error in self.failures],
            "withdrawn": list(self.withdrawn),
            "unjudged": list(self.unjudged),
            "evaluated": list(self.evaluated),
        }

"""What is to be done for one action, once everything that it reads has settled."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from modelbuild.build import canonical
from modelbuild.build.action import DISCOVERED, FAILURE, Action, FileInput, OutputOf
from modelbuild.build.history import Reason
from modelbuild.build.key import Parts, keyed, keyed_discovery
from modelbuild.build.labels import labelled
from modelbuild.build.records import digest_of
from modelbuild.build.result import Outcome
from modelbuild.build.rows import UNKNOWN, Signature
from modelbuild.build.state import State
from modelbuild.errors import EXIT_FAILED, ModelbuildError


class Input(NamedTuple):
    """One input file. `label` names a file of the user's, and `signature` tells whether that was written to
    since; `data` is the failure of a soft input."""

    digest: str
    path: str
    label: str | None = None
    data: bytes | None = None
    signature: Signature = UNKNOWN


Inputs = Mapping[str, Input]


class Settled(NamedTuple):
    """Nothing needs to run. `key` is absent where the inputs did not allow one; `discovery` is the key under
    which it is kept which files the action reads besides those it names."""

    outcome: Outcome
    key: str | None = None
    inputs: Mapping[str, Input] = {}
    discovery: str | None = None


class MustRun(NamedTuple):
    """No usable record lies under the key. `discovery` as in `Settled`."""

    key: str
    fields: Parts
    inputs: Inputs
    reason: Reason
    discovery: str | None = None


class MustDiscover(NamedTuple):
    """The key is not known before the action's `discover` function has run. `known` are the files that it
    found the last time, by path."""

    key: str
    fields: Parts
    inputs: Inputs
    known: Mapping[str, Input] = {}


Verdict = Settled | MustRun | MustDiscover


def judge(action: Action, outcomes: Mapping[str, Outcome], state: State, retry: bool) -> Verdict:
    """The verdict on `action`, whose dependencies all have an outcome. Runs nothing."""
    dependencies = sorted(action.dependencies())
    hard = {source.action for source in action.inputs.values() if isinstance(source, OutputOf)}
    for dependency in dependencies:
        if dependency in hard and outcomes[dependency].broken:
            return Settled(_skipped(action, dependency, outcomes[dependency]))
    for dependency in dependencies:
        if outcomes[dependency].state == "would_run":
            return Settled(Outcome("would_run", cause=dependency))
    try:
        inputs = _declared(action, outcomes, state)
        if action.discover is not None:
            found = _discovered(action, inputs, state)
            if isinstance(found, MustDiscover):
                return found
            discovery, more = found
            return _look_up(action, inputs | more, state, retry)._replace(discovery=discovery)
        return _look_up(action, inputs, state, retry)
    except ModelbuildError as error:
        return Settled(Outcome("failed", error=error))


def digests_of(inputs: Inputs) -> dict[str, str]:
    """Role -> digest."""
    return {role: found.digest for role, found in inputs.items()}


def told(error: ModelbuildError, inputs: Inputs) -> ModelbuildError:
    """A failure as it is kept, in which inputs are called what they are called now."""
    return labelled(error, {role: found.label or role for role, found in inputs.items()})


def file_input(path: str, state: State) -> Input:
    """A file of the user's. Raises ModelbuildError (exit 2) if it is missing or unreadable."""
    place = state.place(path)
    seen = state.stat_cache.seen(path, place)
    return Input(seen.digest, place, label=path, signature=seen.signature)


def _declared(action: Action, outcomes: Mapping[str, Outcome], state: State) -> dict[str, Input]:
    inputs = {}
    for role, source in action.inputs.items():
        if isinstance(source, FileInput):
            inputs[role] = file_input(source.path, state)
        else:
            inputs[role] = _output(action, source, outcomes, state)
    for role, source in action.soft_inputs.items():
        outcome = outcomes[source.action]
        if outcome.broken:
            data = _failure_data(source.action, outcome)
            digest = canonical.sha256(data)
            inputs[role + FAILURE] = Input(digest, state.store.place(digest), data=data)
        else:
            inputs[role] = _output(action, source, outcomes, state)
    return inputs


def _output(action: Action, source: OutputOf, outcomes: Mapping[str, Outcome], state: State) -> Input:
    outputs = outcomes[source.action].outputs
    if source.name not in outputs:
        raise ModelbuildError(
            f"{action.name} reads {source.name} of {source.action}, which has no such output",
            why=f"its outputs are {', '.join(sorted(outputs)) or 'none'}",
            exit_code=EXIT_FAILED,
        )
    digest = outputs[source.name].digest
    return Input(digest, state.store.place(digest))


def _failure_data(name: str, outcome: Outcome) -> bytes:
    assert outcome.error is not None
    return canonical.encode({"action": name, "state": outcome.state, **outcome.error.to_json()}) + b"\n"


def _discovered(action: Action, inputs: Inputs, state: State) -> tuple[str, dict[str, Input]] | MustDiscover:
    """The key of the discovery, and the inputs that it found."""
    key, rows = keyed_discovery(action, digests_of(inputs), state.walks)
    record = state.records.get(key)
    if record is None or record.failure:  # a failure was kept once; what it came from is in no key
        return MustDiscover(key, rows, inputs)
    try:
        found = {path: file_input(path, state) for path in record.discovered}
    except ModelbuildError:
        return MustDiscover(key, rows, inputs)  # it may name others now; if not, it is missed by name then
    # A found file may itself name files, as a Python module does: any change among them asks again.
    if digests_of(found) != record.discovered:
        return MustDiscover(key, rows, inputs, known=found)
    base = state.root / action.base
    roles = {path: os.path.relpath(state.root / path, base).replace(os.sep, "/") for path in found}
    return key, {DISCOVERED + roles[path]: file for path, file in found.items()}


def _look_up(action: Action, inputs: Inputs, state: State, retry: bool) -> Settled | MustRun:
    key, rows = keyed(action, digests_of(inputs), state.walks)
    if key in state.proven:
        return Settled(Outcome("cached", outputs=state.proven[key]), key, inputs)
    record = state.records.get(key)
    if record is None:
        last = state.history.get(action.name)
        reason: Reason = "new" if last is None else "damaged" if last.key == key else "changed"
        return MustRun(key, rows, inputs, reason)
    if record.failure:
        if retry or record.unkeyed != digest_of(action.unkeyed):
            return MustRun(key, rows, inputs, "retry")
        return Settled(Outcome("failed", error=told(record.failure, inputs)), key, inputs)
    if state.store.missing(record.outputs):
        return MustRun(key, rows, inputs, "damaged")
    return Settled(Outcome("cached", outputs=record.outputs), key, inputs)


def _skipped(action: Action, dependency: str, outcome: Outcome) -> Outcome:
    cause = outcome.cause or dependency
    return Outcome("skipped", error=not_built(action.name, f"{cause} failed"), cause=cause)


def not_built(name: str, why: str) -> ModelbuildError:
    """The error that stands for an action that did not run."""
    return ModelbuildError(f"{name} was not built", why=why, exit_code=EXIT_FAILED)

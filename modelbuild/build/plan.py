"""The graph of actions: checked once, in an order in which every action follows what it reads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from modelbuild.build.action import DISCOVERED, FAILURE, Action
from modelbuild.errors import EXIT_FAILED, ModelbuildError, did_you_mean


class Plan(NamedTuple):
    """The actions that some goals need, in topological order; the order given decides between equals."""

    actions: Mapping[str, Action]
    dependencies: Mapping[str, frozenset[str]]
    dependents: Mapping[str, tuple[str, ...]]

    @property
    def order(self) -> tuple[str, ...]:
        """The names, dependencies first."""
        return tuple(self.actions)


def plan(actions: Iterable[Action], goals: Sequence[str], given: Collection[str] = ()) -> Plan:
    """The part of the graph that `goals` need. `given` are actions outside it, whose outcomes are known.

    Raises ModelbuildError: exit 2 for a goal that does not exist (with the nearest name), exit 1 for a graph
    that cannot be built (two actions of one name, an unknown dependency, a cycle, a malformed action).
    """
    named: dict[str, Action] = {}
    for action in actions:
        if action.name in named:
            raise _malformed(f"two actions are named {action.name}")
        named[action.name] = action
    for goal in goals:
        if goal not in named:
            raise ModelbuildError(f"there is no action {goal}", advice=did_you_mean(goal, named))
    order = _visit(named, goals, frozenset(given))
    position = {name: index for index, name in enumerate(named)}
    dependents: dict[str, list[str]] = {name: [] for name in order}
    for name in sorted(order, key=position.__getitem__):
        for dependency in order[name]:
            dependents[dependency].append(name)
    return Plan(
        actions={name: named[name] for name in order},
        dependencies=order,
        dependents={name: tuple(readers) for name, readers in dependents.items()},
    )


def _visit(
    named: Mapping[str, Action], goals: Sequence[str], given: frozenset[str]
) -> dict[str, frozenset[str]]:
    """Depth first without recursion: name -> dependencies, in topological order."""
    position = {name: index for index, name in enumerate(named)}
    done: dict[str, frozenset[str]] = {}
    path: dict[str, Iterator[str]] = {}  # the names being visited, in order, with what they have yet to visit

    needs: dict[str, frozenset[str]] = {}

    def enter(name: str) -> None:
        needs[name] = _checked(named[name], named, given) - given
        path[name] = iter(sorted(needs[name], key=position.__getitem__))

    for goal in goals:
        if goal not in done:
            enter(goal)
        while path:
            name = next(reversed(path))
            found = next((found for found in path[name] if found not in done), None)
            if found is None:
                del path[name]
                done[name] = needs.pop(name)
            elif found in path:
                names = list(path)
                circle = [*names[names.index(found) :], found]
                raise _malformed(f"actions depend on themselves: {' -> '.join(circle)}")
            else:
                enter(found)
    return done


def _checked(action: Action, named: Mapping[str, Action], given: frozenset[str]) -> frozenset[str]:
    is_named = _is_function(action.function) and (not action.discover or _is_function(action.discover))
    if not action.name or not is_named:
        raise _malformed(f"action {action.name!r} has no name or no function of the form module:function")
    if not action.inputs.keys().isdisjoint(action.soft_inputs):
        raise _malformed(f"action {action.name} has one role both as an input and as a soft input")
    for role in (*action.inputs, *action.soft_inputs):
        if role.startswith(DISCOVERED) or role.endswith(FAILURE):
            raise _malformed(f"action {action.name} uses the reserved role {role}")
    dependencies = frozenset(action.dependencies())
    unknown = [name for name in dependencies if name not in named and name not in given]
    if unknown:
        raise _malformed(f"action {action.name} reads from {min(unknown)}, which does not exist")
    return dependencies


@cache  # many actions have one function
def _is_function(text: str) -> bool:
    return len([part for part in text.split(":") if part]) == 2


def _malformed(what: str) -> ModelbuildError:
    return ModelbuildError(what, exit_code=EXIT_FAILED)

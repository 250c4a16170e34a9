"""Several plans in one: actions that are the same but for their names become one action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelbuild.build import canonical
from modelbuild.build.action import Action, FileInput, OutputOf


class Merged:
    """The actions of the plans that were added, each once."""

    def __init__(self) -> None:
        self._actions: dict[str, Action] = {}
        self._names: dict[tuple[str, bytes], str] = {}  # (plain name, what it does) -> name
        self._plain: dict[str, str] = {}

    @property
    def actions(self) -> tuple[Action, ...]:
        """All of them, what they read before them."""
        return tuple(self._actions.values())

    def plain(self, name: str) -> str:
        """The name that an action has in its own plan."""
        return self._plain[name]

    def add(self, actions: Iterable[Action], label: str) -> dict[str, str]:
        """Adds a plan, dependencies first; returns what each of its actions is called here.

        An action that no plan had before is called as in its own plan, with `label` after its owner:
        `digits@kl720` of `digits@kl720:quantize`. Two labels must differ."""
        renamed: dict[str, str] = {}
        for action in actions:
            moved = action._replace(
                inputs={role: _renamed(source, renamed) for role, source in action.inputs.items()},
                soft_inputs={
                    role: OutputOf(renamed[source.action], source.name)
                    for role, source in action.soft_inputs.items()
                },
            )
            kinds = {role: type(source).__name__ for role, source in moved.inputs.items()}
            identity = action.name, canonical.encode([moved, kinds])
            if identity not in self._names:
                owner, stage = action.name.rsplit(":", 1)
                name = self._names[identity] = f"{owner}{label}:{stage}"
                self._actions[name] = moved._replace(name=name)
                self._plain[name] = action.name
            renamed[action.name] = self._names[identity]
        return renamed


def _renamed(source: FileInput | OutputOf, names: Mapping[str, str]) -> FileInput | OutputOf:
    return source._replace(action=names[source.action]) if isinstance(source, OutputOf) else source

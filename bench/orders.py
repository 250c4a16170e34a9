"""An order of a model's operators in which little memory is live at once, found by beam search."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from modelbuild.arithmetic.fixed_model import FixedModel
from modelbuild.npu.planning.allocate import Lifetime
from modelbuild.npu.planning.memory import align
from modelbuild.npu.planning.plan import View
from modelbuild.npu.planning.views import share, size_of


@dataclass(frozen=True)
class _State:
    """What has run, in which order, the bytes that live now, and the most that did."""

    peak: int
    live: int
    order: tuple[int, ...]
    done: int  # a bit an operator


class _Problem:
    """Which operators wait for which, and the working buffers that each uses. Sets of operators are bits."""

    def __init__(self, model: FixedModel, views: Mapping[str, View]) -> None:
        maker = {name: index for index, operator in enumerate(model.operators) for name in operator.outputs}
        self.waits = [
            _bits(maker[name] for name in operator.inputs if name in maker) for operator in model.operators
        ]
        border = {views[name].root for name in (*model.inputs, *model.outputs)}
        roots = [root for root in dict.fromkeys(view.root for view in views.values()) if root not in border]
        self.size = [align(size_of(model, root)) for root in roots]
        holder = {name: roots.index(view.root) for name, view in views.items() if view.root not in border}
        self.uses = [
            {holder[name] for name in (*operator.inputs, *operator.outputs) if name in holder}
            for operator in model.operators
        ]
        self.users = [
            _bits(index for index, used in enumerate(self.uses) if buffer in used)
            for buffer in range(len(roots))
        ]

    def steps(self, state: _State) -> Iterator[_State]:
        """What may follow."""
        for index, waits in enumerate(self.waits):
            if state.done >> index & 1 or waits & ~state.done:
                continue
            done = state.done | 1 << index
            new = sum(self.size[item] for item in self.uses[index] if not self.users[item] & state.done)
            dead = sum(self.size[item] for item in self.uses[index] if not self.users[item] & ~done)
            peak = max(state.peak, state.live + new)
            yield _State(peak, state.live + new - dead, (*state.order, index), done)


def best_order(model: FixedModel, width: int = 16) -> FixedModel:
    """The same model with its operators in the order, of those that `width` states at a time lead to, in
    which the least working memory is live at once."""
    problem = _Problem(model, share(model).view)
    states = [_State(0, 0, (), 0)]
    for _ in model.operators:
        following: dict[int, _State] = {}
        for state in states:
            for step in problem.steps(state):
                known = following.get(step.done)
                if known is None or _rank(step) < _rank(known):
                    following[step.done] = step
        states = sorted(following.values(), key=_rank)[:width]
    return replace(model, operators=tuple(model.operators[index] for index in states[0].order))


def working(model: FixedModel, views: Mapping[str, View]) -> list[Lifetime]:
    """The memory that is neither input nor output of the model, and the operators during which each lives."""
    problem = _Problem(model, views)
    return [
        Lifetime(size, min(used), max(used))
        for buffer, size in enumerate(problem.size)
        if (used := [index for index, uses in enumerate(problem.uses) if buffer in uses])
    ]


def _rank(state: _State) -> tuple[int, int, tuple[int, ...]]:
    return state.peak, state.live, state.order


def _bits(indices: Iterable[int]) -> int:
    found = 0
    for index in indices:
        found |= 1 << index
    return found

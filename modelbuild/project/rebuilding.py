"""A build after files changed that actions read: what they concern is built again, and no manifest loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelbuild import lfs
from modelbuild.build.build import Builder
from modelbuild.build.jobs import processors
from modelbuild.build.recall import Recalled, is_noted, path_of
from modelbuild.build.result import Observer, Outcome
from modelbuild.errors import ModelbuildError
from modelbuild.project.build_report import BuildReport
from modelbuild.project.layout import ENVIRONMENT, STATE
from modelbuild.project.options import EVALUATE, BuildOptions
from modelbuild.project.settled import noted_as, request_of, told

if TYPE_CHECKING:
    from modelbuild.project.republishing import Concerned

_SOON = 64  # actions whose keys are prepared at once, for what runs is waited for meanwhile
Tell = Callable[[Sequence[dict[str, Any]]], None]


class Rebuilding:
    """One request, built from what is remembered of its last build."""

    def __init__(
        self,
        directory: str,
        file: str,
        names: Sequence[str],
        overrides: Sequence[str],
        options: BuildOptions,
        seen: Recalled | None = None,
    ) -> None:
        """`seen` is what `settled.look` found just before."""
        path = Path(directory, file).absolute()
        self._opening = directory, file, overrides
        self._selected = names
        self._root = path.parent
        self._options = options
        self._noted = noted_as(path.name, names, overrides, options)
        self._request = request_of(str(self._root), path.name, names, overrides, options)
        self.state = self._root / STATE
        self._builder = Builder(self._root, self.state, environment=ENVIRONMENT, owner=path.name)
        self._names: list[str] = []
        self._seen = seen

    @property
    def is_known(self) -> bool:
        """Whether anything is remembered. A locked build holds all of its files against the lock anew; one
        that predicts tells of all models."""
        options = self._options
        fits = not (options.locked or options.remeasure or options.dry_run or options.until == EVALUATE)
        return fits and os.path.exists(path_of(str(self.state), self._request))  # noqa: PTH110

    def build(
        self, observer: Observer | None, warn: Tell, meanwhile: Callable[[], object] = lambda: None
    ) -> BuildReport | None:
        """As `building.build`, of what the changes concern; None where they concern the plan. `warn` is given
        the manifest's warnings before anything is built. `meanwhile` is called when there is nothing to do
        but to wait for what runs, for what will be needed then."""
        with self._builder.hold(observer):
            if not is_noted(str(self.state), self._noted):
                return None
            found = self._builder.resume(self._request, self._seen)
            if found is None or not all(map(self._can_be_read, found.files)):
                return None  # what loading says of such a file is better than what a stage would
            self._names = found.snapshot.actions
            secrets = found.snapshot.told.get("secrets", ())
            self._builder.hide(secrets)
            warn(found.snapshot.told["warnings"])

            @cache
            def concerned() -> Concerned:  # imported and found out while the first action runs
                from modelbuild.project import rooting as _  # noqa: F401 - needed in the end
                from modelbuild.project.republishing import Concerned

                self._builder.foresee(found.actions[:_SOON])
                return Concerned(self._builder, self._root, found)

            def prepare(outcomes: Mapping[str, Outcome]) -> None:
                concerned().publish_passed(outcomes)
                meanwhile()

            options = self._options
            result = self._builder.build(
                found.actions,
                [action.name for action in found.actions],
                given=found.given(),
                jobs=processors() if options.jobs is None else options.jobs,
                memory=options.memory,
                offline=options.offline,
                keep_going=options.keep_going,
                retry=options.retry,
                observer=observer,
                meanwhile=prepare,
            )
            from modelbuild.project.rooting import note_again  # imported in `concerned`

            note_again(self._builder, self._noted)
            report = concerned().publish(result)
            if report.ok:
                products = concerned().products(result)
                self._builder.renew(self._request, found, products, told(report, secrets))
        failures = tuple((action, self.located(action, error)) for action, error in result.failures)
        return report._replace(failures=failures)

    def names(self) -> Sequence[str]:
        """All actions of the request, in topological order, once `build` knows them."""
        return self._names

    def log(self, action: str) -> Path:
        """Where the log of an action's last run lies."""
        return self._builder.log(action)

    def located(self, action: str, error: ModelbuildError) -> ModelbuildError:
        """The error with places in the manifest, which is loaded for that."""
        from modelbuild.project.project import located, open_project

        try:
            return located(open_project(*self._opening, selected=self._selected), action, error)
        except ModelbuildError:  # it was changed this moment; the error is true all the same
            return error

    def _can_be_read(self, name: str) -> bool:
        path = self._root / name
        return path.is_file() and not lfs.is_pointer(path)

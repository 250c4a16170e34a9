"""Fixtures that every room's tests share; where tests side by side run, and keep their files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from modelbuild.build import pool
from tests import prepared

# A busy machine is no failure: nothing here is judged by the clock.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", settings.get_profile("house"), max_examples=40)  # of 100 in the long run
settings.load_profile("house")

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED_DATA = REPOSITORY.parent / "shared" / "data"
MEMORY = Path("/dev/shm")
ROOM = 4 << 30  # bytes, several times what a run takes
CAN_PIN = hasattr(os, "sched_setaffinity")
PROCESSORS = os.sched_getaffinity(0) if CAN_PIN else set()


def pytest_configure(config: pytest.Config) -> None:
    """Side by side, each worker keeps to a processor of its own, and so does what it starts: as many threads
    and builder's workers as there are processors, in each of them, would only wait for one another. The short
    run keeps its files in memory: builds flush each, and would wait for the disk, as in the long one."""
    worker: dict[str, str] = getattr(config, "workerinput", {})
    if config.option.markexpr == "not long":
        settings.load_profile("short")
    if CAN_PIN and worker:
        order = sorted(PROCESSORS)
        os.sched_setaffinity(0, {order[int(worker["workerid"].removeprefix("gw")) % len(order)]})
    is_short = config.option.markexpr == "not long" and getattr(config.option, "numprocesses", None)
    if not worker and is_short and _has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _has_room(folder: Path) -> bool:
    """Whether files may lie there in memory, and programs be started from there."""
    try:
        about = os.statvfs(folder)
        memory = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text("ascii"), re.M)
    except OSError:
        return False
    room = about.f_bavail * about.f_frsize
    return memory is not None and min(room, int(memory[1]) << 10) >= ROOM and not about.f_flag & os.ST_NOEXEC


@pytest.fixture(scope="session", autouse=True)
def forked_workers() -> Iterator[None]:
    """Builds fork their workers from a process that has imported what they import."""
    with prepared.at_work() as it, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "Guard", prepared.ForkedGuard)
        prepared.use(it)
        yield
        prepared.use(None)


@pytest.fixture
def started_workers() -> Iterator[None]:
    """Builds start their workers, as users' do: for tests of what such a process has, sees and leaves."""
    before = prepared.use(None)
    yield
    prepared.use(before)


@pytest.fixture(scope="module", autouse=True)
def _started_workers_of_the_builder(request: pytest.FixtureRequest, forked_workers: None) -> Iterator[None]:
    """All of the builder's own tests are such."""
    before = prepared.use(None) if request.path.is_relative_to(REPOSITORY / "tests/build") else None
    yield
    if before is not None:
        prepared.use(before)


@pytest.fixture(scope="module")
def all_processors() -> Iterator[None]:
    """What the module's tests start may use every processor: for tests of threads and of parallel jobs."""
    if not CAN_PIN:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, PROCESSORS)
    yield
    os.sched_setaffinity(0, own)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real models, images and vendor files that may not be shipped; they lie beside the checkout."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the folder ../shared/data with real models and images is not beside this checkout")
    return SHARED_DATA

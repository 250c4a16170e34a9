"""`watch`: real processes, that are waited for by what they print, never by the clock."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import pytest

from modelbuild.artifacts.inspect import inspect
from tests import prepared
from tests.cli.conftest import Command
from tests.e2e.command import REPOSITORY, modelbuild
from tests.project.small_project import write_manifest, write_model, write_samples

PATIENCE = 120  # seconds until a test gives up
READY = "waiting for changes"
MANIFEST = """
include: [parts/*.yaml]
samples: {numbers: {files: "samples/**/*.npy"}}
targets: {cam: {chip: ./my-cam.yaml}}
"""
PART = """
models: {net: {source: models/net.onnx, calibration: numbers}}
packages: {bell: {target: cam, models: {net: {id: 32768}}}}
"""


class Watching:
    """`modelbuild watch` at work."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        polling: bool = False,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        command, more = prepared.started_command("watch", *words)
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "WATCHFILES_FORCE_POLLING": "",
            **more,
            **variables,
        }
        if polling:
            environment |= {"WATCHFILES_FORCE_POLLING": "1", "WATCHFILES_POLL_DELAY_MS": "50"}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, text: str) -> list[str]:
        """All that is said up to a line that begins so."""
        said: list[str] = []
        while not said or not said[-1].startswith(text):
            line = self._lines.get(timeout=PATIENCE)
            assert line is not None, f"it ended, having said {said}"
            said.append(line)
        return said

    def interrupt(self, number: int = signal.SIGINT) -> tuple[int, list[str]]:
        """Ctrl-C, as a terminal sends it; the exit code and what was said after."""
        os.killpg(self.process.pid, number)
        code = self.process.wait(timeout=PATIENCE)
        said = []
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            said.append(line)
        return code, said

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path / "models/net.onnx", external=True)
    write_samples(tmp_path / "samples")
    write_manifest(tmp_path, MANIFEST)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/net.yaml").write_text(PART, encoding="utf-8")
    (tmp_path / "my-cam.yaml").write_text("extends: kl720\nchip: my-cam\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def watch(folder: Path) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def start(*words: str, **more: Any) -> Watching:
        started.append(Watching(folder, *words, **more))
        return started[-1]

    yield start
    for one in started:
        one.close()


def saved(path: Path, text: str) -> None:
    """As editors save: a new file, renamed over the old one."""
    temporary = path.with_name(f".{path.name}.swp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def changed(said: list[str]) -> set[str]:
    """The paths in the one line that says what changed."""
    (line,) = [line for line in said if line.startswith("changed: ")]
    return set(line.removeprefix("changed: ").split(", "))


def ran(said: list[str]) -> set[str]:
    """The stages that ran: `[5/11] (4 cached) ran net@cam:lower in 2 s`."""
    told = [line.partition(" ran ")[2] for line in said if line.startswith("[")]
    return {action.split(" in ")[0].rsplit(":", 1)[1] for action in told if action}


@pytest.mark.parametrize("polling", [False, True])
def test_it_builds_waits_builds_what_changed_and_ends_quietly(
    folder: Path, watch: Callable[..., Watching], polling: bool
) -> None:
    watching = watch(polling=polling)
    assert {"import_source", "package", "gate"} <= ran(watching.until(READY))
    assert (folder / "dist/bell/models_720.sim.nef").is_file()
    (folder / "notes.txt").write_text("nobody reads this", encoding="utf-8")
    saved(folder / "parts/net.yaml", PART.replace("32768", "40000"))
    said = watching.until(READY)
    assert changed(said) == {"parts/net.yaml"} and "package" in ran(said)
    assert not {"observe", "quantize", "compile"} & ran(said)
    assert watching.interrupt() == (130, [])


def test_other_signals_end_it_as_they_end_a_build(folder: Path, watch: Callable[..., Watching]) -> None:
    watching = watch("--until", "import_source")
    watching.until(READY)
    assert watching.interrupt(signal.SIGTERM) == (143, [])


def test_everything_that_a_plan_reads_is_watched(folder: Path, watch: Callable[..., Watching]) -> None:
    watching = watch("net@cam", "--until", "observe")
    watching.until(READY)

    (folder / "samples/new/deeper").mkdir(parents=True)
    shutil.copy(folder / "samples/0.npy", folder / "9.npy")
    (folder / "9.npy").rename(folder / "samples/new/deeper/9.npy")
    said = watching.until(READY)
    assert changed(said) == {"samples/new/deeper/9.npy"} and ran(said) == {"observe"}

    write_model(folder / "away/net.onnx", 5, external=True)
    for name in ("weights.bin", "net.onnx"):  # the weights lie in a file that the model names
        (folder / "away" / name).replace(folder / "models" / name)
    said = watching.until(READY)
    assert "models/weights.bin" in changed(said) and "import_source" in ran(said)
    weights = (folder / "models/weights.bin").read_bytes()
    (folder / "away/weights.bin").write_bytes(bytes(reversed(weights)))
    (folder / "away/weights.bin").replace(folder / "models/weights.bin")
    said = watching.until(READY)
    assert changed(said) == {"models/weights.bin"} and "import_source" in ran(said)

    saved(folder / "my-cam.yaml", "extends: kl720\nchip: my-cam\npasses: []\n")
    said = watching.until(READY)
    assert changed(said) == {"my-cam.yaml"} and "lower" in ran(said)

    (folder / "parts/more.yaml").write_text("models: {other: {source: models/net.onnx}}\n", encoding="utf-8")
    assert changed(watching.until(READY)) == {"parts/more.yaml"}


def test_a_key_file_is_watched(folder: Path, watch: Callable[..., Watching]) -> None:
    (folder / "keys").mkdir()
    file = folder / "keys/enc.txt"
    file.write_text("one", encoding="utf-8")
    file.chmod(0o600)
    encrypted = "encrypt: {mode: 1, key: env:MB_TEST_KEY, key_file: keys/enc.txt}"
    part = PART.replace("{target: cam, ", f"{{target: cam, {encrypted}, ")
    (folder / "parts/net.yaml").write_text(part, encoding="utf-8")
    watching = watch(variables={"MB_TEST_KEY": "0123456789abcdef0123456789abcdef"})
    watching.until(READY)
    package = folder / "dist/bell/models_720.sim.nef.enc"
    first = package.read_bytes()
    file.write_text("two", encoding="utf-8")
    said = watching.until(READY)
    assert changed(said) == {"keys/enc.txt"} and "package" in ran(said)
    assert package.read_bytes() != first


def test_what_lies_behind_links_is_watched(
    folder: Path, watch: Callable[..., Watching], tmp_path_factory: pytest.TempPathFactory
) -> None:
    away = tmp_path_factory.mktemp("away")
    for name in ("models/net.onnx", "models/weights.bin"):
        (folder / name).rename(away / Path(name).name)
    shutil.copytree(folder / "samples", away / "samples/deep")
    (folder / "models/net.onnx").symlink_to(away / "net.onnx")
    (folder / "models/weights.bin").write_bytes((away / "weights.bin").read_bytes())
    (folder / "samples/linked").symlink_to(away / "samples")
    watching = watch("net@cam", "--until", "observe")
    watching.until(READY)
    data = (away / "net.onnx").read_bytes()
    (away / "net.onnx").write_bytes(data.replace(b"small", b"other"))
    said = watching.until(READY)
    assert changed(said) == {"models/net.onnx"} and "import_source" in ran(said)
    shutil.copy(folder / "samples/0.npy", away / "9.npy")
    (away / "9.npy").rename(away / "samples/deep/9.npy")
    said = watching.until(READY)
    assert changed(said) == {"samples/linked/deep/9.npy"} and ran(said) == {"observe"}


def test_a_round_with_nothing_to_do_is_one_line(
    folder: Path, watch: Callable[..., Watching], tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = tmp_path_factory.mktemp("told") / "stdout"
    with told.open("wb") as stdout:
        watching = watch(stdout=stdout)
        watching.until(READY)
        first = told.read_text(encoding="utf-8")
        assert "dist/bell/models_720.sim.nef" in first
        saved(folder / "parts/net.yaml", PART + "# nothing else\n")
        watching.until(READY)
    (line,) = told.read_text(encoding="utf-8").removeprefix(first).splitlines()
    assert line.startswith("nothing to do: ")


def test_what_is_broken_is_told_and_waited_for(folder: Path, watch: Callable[..., Watching]) -> None:
    (folder / "models/net.onnx").rename(folder / "models/away.onnx")
    watching = watch("net@cam", "--until", "lower")
    assert any("models/net.onnx" in line for line in watching.until(READY))
    (folder / "models/away.onnx").rename(folder / "models/net.onnx")
    assert "lower" in ran(watching.until(READY))

    saved(folder / "models.yaml", "modelbuild: 1\nsamples: {numbers: [\n")
    assert any(line.startswith("error: models.yaml:") for line in watching.until(READY))
    write_manifest(folder, MANIFEST)
    assert not any("error" in line for line in watching.until(READY))

    shutil.rmtree(folder / "samples")
    assert any("no sample file" in line or "matches" in line for line in watching.until(READY))
    write_samples(folder / "samples", 3)
    said = watching.until(READY)
    while not any(line.startswith(("took", "nothing to do")) for line in said):  # samples came one by one
        said = watching.until(READY)
    assert watching.interrupt()[0] == 130


def test_a_change_while_it_builds_starts_another_build(folder: Path, watch: Callable[..., Watching]) -> None:
    watching = watch()
    watching.until("[1/")  # the first action has ended, and others are to come
    saved(folder / "parts/net.yaml", PART.replace("32768", "41000"))
    said = watching.until("changed: ")
    assert changed(said) == {"parts/net.yaml"} and not any(line.startswith(READY) for line in said)
    watching.until(READY)
    assert inspect(folder / "dist/bell/models_720.sim.nef")["models"][0]["id"] == 41000


def test_a_checkout_that_changes_many_files(folder: Path, watch: Callable[..., Watching]) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)

    git("init", "-q", "-b", "first")
    (folder / ".gitignore").write_text(".modelbuild\ndist\nreports\n", encoding="utf-8")
    git("add", ".")
    git("commit", "-qm", "one")
    git("checkout", "-qb", "second")
    shutil.rmtree(folder / "samples")
    write_samples(folder / "samples/elsewhere", 12)
    write_model(folder / "models/net.onnx", 9, external=True)
    git("add", ".")
    git("commit", "-qm", "two")
    watching = watch("net@cam", "--until", "observe")
    watching.until(READY)
    for branch in ("first", "second", "first"):
        git("checkout", "-q", branch)
        said = watching.until(READY)
        assert any(line.startswith("changed: ") for line in said)
    status = modelbuild(folder, "build", "net@cam", "--until", "observe", "-n")
    assert status.code == 0
    assert "0 of " in status.out or "nothing to do" in status.out


def test_what_waiting_cannot_mend(folder: Path, command: Command, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "cannot read the manifest" in command(empty, "watch").err
    assert "is called `nett`" in command(folder, "watch", "nett").err
    for option in ("--json", "--dry-run"):
        said = command(folder, "watch", option)
        assert said.code == 2 and option in said.err

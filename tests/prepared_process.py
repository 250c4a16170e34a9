"""The process of `tests.prepared`: imports modelbuild whole, and forks what it is asked for."""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from PIL import Image

import modelbuild
from modelbuild.build import guard, pool, processes
from tests import prepared

LARGEST = 1 << 17  # bytes of a request
STREAMS = 3
OPEN = 1 << 16
THREADED = "onnxruntime"  # starts a thread as it is imported, which no fork would have
LATER = (
    "numpy.ma",
    "numpy.random",
    "PIL.ImageChops",
    "PIL.ImageSequence",
)  # modules of others, imported in use


def main(address: str) -> None:
    """Forks as asked until standard input ends, and all of them with it."""
    _import_all()
    gc.collect()
    gc.freeze()
    known = prepared.Prepared(lambda: address, prepared.Surroundings.here(os.environ))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen(64)
    os.write(1, prepared.SAYS_READY)
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == 0:
                    os._exit(0)
                if key.fileobj is listener:
                    line, _ = listener.accept()
                    data, streams, _, _ = socket.recv_fds(line, LARGEST, STREAMS)
                    if data:
                        pid = _fork(known, json.loads(data), streams)
                        selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, line))
                    for stream in streams:
                        os.close(stream)
                else:
                    selector.unregister(key.fileobj)
                    os.close(key.fd)
                    _bury(*key.data)


def _import_all() -> None:
    """All modules but those that need the one with a thread; and what they import when they are called."""
    sys.modules[THREADED] = None  # type: ignore[assignment]
    for module in pkgutil.walk_packages(modelbuild.__path__, "modelbuild.", onerror=lambda _: None):
        if not module.name.endswith("__main__"):
            with suppress(ImportError):
                importlib.import_module(module.name)
    del sys.modules[THREADED]
    for name in LATER:
        importlib.import_module(name)
    Image.preinit()


def _bury(pid: int, line: socket.socket) -> None:
    _, status = os.waitpid(pid, 0)
    with line, suppress(BrokenPipeError):  # whoever asked may have died
        line.send(b"%d" % os.waitstatus_to_exitcode(status))


def _fork(known: prepared.Prepared, asked: dict[str, Any], streams: list[int]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(known, asked, streams, parent)
        finally:
            os._exit(1)
    return pid


def _become(known: prepared.Prepared, asked: dict[str, Any], streams: list[int], parent: int) -> None:
    for at, stream in enumerate(streams):
        os.dup2(stream, at)
    os.closerange(STREAMS, OPEN)
    os.chdir(asked["folder"])
    os.umask(asked["umask"])
    os.environ.clear()
    os.environ.update(asked["variables"])
    sys.path[:] = asked["path"]
    if asked["kind"] == "guard":
        os.setpgid(0, 0)
        guard.main([str(parent)])
        return
    from modelbuild.cli.main import main as command

    processes.die_with(parent, signal.SIGKILL)
    folder, *words = asked["words"]
    os.chdir(folder)
    sys.path.insert(0, folder)  # as `python -m` does
    sys.argv[:] = ["modelbuild", *words]
    vars(pool)["Guard"] = prepared.ForkedGuard
    prepared.use(known)
    code = command()  # it has ended already, unless what was imported asks to be called at the end
    for output in (sys.stdout, sys.stderr):
        output.flush()
    os._exit(code)

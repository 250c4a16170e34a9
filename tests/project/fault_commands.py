"""Serves whole commands, each in a fork of its own and under a fault of the disk.

A line of standard input is `{root, words, fault}`; a line of the output is what the command left.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import modelbuild.cli
from modelbuild.cli.main import main


def serve(faults: Any) -> None:
    """A fork a request."""
    for module in sorted(Path(modelbuild.cli.__file__).parent.glob("*.py")):
        importlib.import_module(f"modelbuild.cli.{module.stem}")
    with contextlib.redirect_stdout(io.StringIO()):
        main(["-C", sys.argv[2], "build", "--dry-run"])  # imports what is imported late
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = os.fork()
            if child == 0:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os._exit(_run(request, faults))
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read())
        print(json.dumps({"code": code, "out": texts[0], "err": texts[1]}), file=sys.__stdout__, flush=True)


def _run(request: dict[str, Any], faults: Any) -> int:
    injector = faults.Injector(faults.Fault(request["root"], **request["fault"])).install()
    try:
        code = main(["-C", request["root"], *request["words"]])
    except BaseException:
        traceback.print_exc()
        code = 99
    sys.stdout.flush()
    print(f"operations {injector.count} {injector.struck}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    serve(importlib.import_module("faults"))

"""Stage functions that the builder's tests run in real workers. TEST_TRACE counts runs by their labels."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelbuild.build import lent
from modelbuild.errors import ModelbuildError

Inputs = Mapping[str, Path]
Parameters = Mapping[str, Any]


def note(parameters: Parameters) -> None:
    """Adds the label to the trace, so that a test can count the runs."""
    trace = os.environ.get("TEST_TRACE")
    if trace:
        with Path(trace).open("ab") as stream:
            stream.write(f"{parameters['label']}\n".encode())


def joined(inputs: Inputs, parameters: Parameters) -> str:
    parts = [f"{role}={inputs[role].read_text()}" for role in sorted(inputs)]
    return f"{parameters.get('text', '')}({','.join(parts)})"


def join(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """`text` holds the parameter `text` and all inputs in the order of their roles."""
    note(parameters)
    (out / "text").write_text(joined(inputs, parameters))


def upper(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Capitals only: a change of case is cut off here."""
    note(parameters)
    (out / "text").write_text(joined(inputs, parameters).upper())


def fail_if_bad(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Fails, leaving half a result, if an input contains BAD; else joins."""
    text = joined(inputs, parameters)
    if "BAD" in text:
        note(parameters)
        (out / "text").write_text("half")
        raise ModelbuildError(
            "the data is bad", where="data.txt:3", why="a test", advice="repair it", exit_code=1
        )
    join(inputs, parameters, out)


def block(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Tells TEST_STARTED its process id, then waits for TEST_RELEASE; without them it joins."""
    started, release = os.environ.get("TEST_STARTED"), os.environ.get("TEST_RELEASE")
    if started:
        (out / "text").write_text("half")
        Path(started).write_text(str(os.getpid()))
    if release:
        Path(release).read_text()
    join(inputs, parameters, out)


def meet(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Two of these end only if both run at the same time: each waits for the other at a fifo."""
    first, second = parameters["fifos"]
    if parameters["reads_first"]:
        Path(first).read_text()
        Path(second).write_text("x")
    else:
        Path(first).write_text("x")
        Path(second).read_text()
    join(inputs, parameters, out)


def change_input(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Writes to its own input while it runs."""
    inputs["x"].write_text(parameters["to"])
    join(inputs, parameters, out)


def leave(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Leaves what must not be an output."""
    kind = parameters["kind"]
    (out / "folder").mkdir()
    target = out / "folder" / "odd"
    if kind == "symlink":
        target.symlink_to("/etc/hostname")
    elif kind == "link to folder":
        target.symlink_to("/etc", target_is_directory=True)
    elif kind == "fifo":
        os.mkfifo(target)
    elif kind == "hard link":
        target.hardlink_to(inputs["x"])


def several(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Several outputs, in folders, one empty."""
    note(parameters)
    (out / "a" / "b").mkdir(parents=True)
    (out / "empty folder").mkdir()
    (out / "a" / "b" / "deep.txt").write_text("deep")
    (out / "empty").write_text("")
    (out / "text").write_text("text")
    (out / "text").chmod(0o200)


def chatter(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Prints in every way there is, reads standard input, and writes where it stands."""
    print('{"outputs": {}}')
    print("to stderr", file=sys.stderr)
    os.write(1, b'{"outputs": {}}\n')
    subprocess.run(["echo", "from a child"], check=True)
    Path("relative").write_text("left behind")
    (out / "text").write_text(sys.stdin.read())


def surroundings(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """What could leak into outputs: the hash seed, the locale, the time zone."""
    names = ("PYTHONHASHSEED", "LC_ALL", "TZ")
    (out / "text").write_text(f"{hash('x')} {[os.environ.get(name) for name in names]}")


def give_up(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Ends in the way that the parameter `how` names."""
    note(parameters)
    print("last words", file=sys.stderr, flush=True)
    how = parameters["how"]
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(3)
    elif how == "sys.exit":
        sys.exit("enough")
    elif how == "bug":
        raise KeyError("no such thing")
    elif how == "full disk":
        raise OSError(errno.ENOSPC, "No space left on device")
    elif how == "full disk, told":
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise ModelbuildError("cannot write the tables", exit_code=1) from error


def number(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Another result each time: no pure function."""
    note(parameters)
    (out / "text").write_text(str(random.SystemRandom().random()))


def read_all(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Joins names and contents of everything it is given."""
    join(inputs, parameters, out)


def named_files(inputs: Inputs, parameters: Parameters) -> list[str]:
    """Discovery: every line `use PATH` of the input names a file, and so do the lines of that file."""
    note({"label": "discovery"})
    root = inputs["x"].parent
    found: list[str] = []
    waiting = [inputs["x"]]
    while waiting:
        text = waiting.pop().read_text()
        if "BROKEN" in text:
            raise ModelbuildError("the list cannot be read", exit_code=2)
        for line in text.splitlines():
            if line.startswith("use "):
                found.append(line[4:])
                if (root / line[4:]).exists():
                    waiting.append(root / line[4:])
    return found


def named_beside(inputs: Inputs, parameters: Parameters) -> list[Path]:
    """Discovery: as `named_files`, but of every input, and files lie beside the one that names them."""
    lines = [(path.parent, line) for path in inputs.values() for line in path.read_text().splitlines()]
    return [folder / line[4:] for folder, line in lines if line.startswith("use ")]


def beside_z(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """What lies beside the input z under the name that it uses."""
    (out / "text").write_text((inputs["z"].parent / inputs["z"].read_text()[4:]).read_text())


def complain(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Names in its error all paths that it knows, in every field; `how` is `told`, `bug` or `crash`."""
    note(parameters)
    file, beside = inputs["file"], inputs["file"].parent / "other.txt"
    text = f"{file}: see {beside}, {file}.bak, {out / 'half'}, {inputs['made']} and {file.resolve()}"
    if parameters["how"] == "bug":
        raise ValueError(text)
    if parameters["how"] == "crash":
        print(text, file=sys.stderr, flush=True)
        os._exit(3)
    raise ModelbuildError(f"what {text}", where=f"{file}:3", why=f"why {text}", advice=f"do {text}")


def complain_of_list(inputs: Inputs, parameters: Parameters) -> list[Path]:
    """Discovery: fails, naming its input."""
    raise ModelbuildError("no list", where=str(inputs["file"]))


def variables(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """The values of the environment's variables that the parameter `names` names, a line each."""
    (out / "text").write_text("".join(f"{name}={os.environ.get(name)}\n" for name in parameters["names"]))


def borrowed(inputs: Inputs, parameters: Parameters, out: Path) -> None:
    """Where a variable can be seen, as JSON: what is lent, in this process, in any that it descends from, in
    one that it starts; and its process."""
    name = parameters["variable"]
    above, pid = [], os.getpid()
    while pid > 1:
        try:
            above.append(f"{name}=".encode() in Path(f"/proc/{pid}/environ").read_bytes())
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except PermissionError:
            break
    child = subprocess.run(["env"], capture_output=True, check=True).stdout
    seen = {
        "lent": lent.environment().get(name),
        "own": os.environ.get(name),
        "above": any(above),
        "child": f"{name}=".encode() in child,
        "process": os.getpid(),
    }
    (out / "text").write_text(json.dumps(seen))

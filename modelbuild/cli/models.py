"""The word that `run` and `compare` take: a model file, or MODEL@TARGET of the manifest, as a runner."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from modelbuild import api
from modelbuild.artifacts.kinds import SOURCES, Kind, identify
from modelbuild.artifacts.kmodel_runner import beside, description
from modelbuild.artifacts.packing import FORMATS
from modelbuild.artifacts.postprocess import Postprocess
from modelbuild.artifacts.runner import Runner
from modelbuild.artifacts.shipped import WITH_PARTS
from modelbuild.cli import flags, keys, not_built, progress
from modelbuild.cli.options import preprocessing
from modelbuild.errors import ModelbuildError, did_you_mean
from modelbuild.formats.sealed_keys import named
from modelbuild.importers import IMPORTERS
from modelbuild.project.forms import LEVELS, is_pair
from modelbuild.project.project import STATE


def add_arguments(parser: argparse.ArgumentParser, *, each: bool = False) -> None:
    """The options that both verbs have; with `each`, --model may be given for each of two files."""
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help=".npy, .npz, a picture (preprocessed as declared), a folder or a glob; "
        "SET of the manifest with MODEL@TARGET",
    )
    parser.add_argument("--weights", metavar="FILE", help="of a .prototxt or .keras file: .caffemodel, .h5")
    parser.add_argument(
        "--post", action="store_true", help="give the outputs to the manifest's `postprocess:` function"
    )
    parser.add_argument(
        "--postprocess", metavar="FILE.py:FUNCTION", help="give the outputs to this function instead"
    )
    parser.add_argument(
        "--no-tail",
        action="store_true",
        help="the outputs of the chip, without what `tail: auto` runs after it",
    )
    of_each = "; for both files, or once for each" if each else ""
    parser.add_argument(
        "--model",
        metavar="ID|NAME",
        action="append" if each else "store",
        help=f"one model of a package that has several{of_each}",
    )
    parser.add_argument(
        "--preprocess",
        action="append",
        default=[],
        metavar="[NAME=]SETTINGS",
        help="for a model file that declares none: '{resize: stretch, mean: 127, std: 128}'",
    )
    keys.add_arguments(parser)


def postprocessing(options: argparse.Namespace, word: str) -> AbstractContextManager[Postprocess | None]:
    """The function that --post or --postprocess asks for, as a context; of None where neither does."""
    if options.post and options.postprocess is not None:
        raise ModelbuildError("--post and --postprocess name the same thing", advice="leave --post out")
    if options.postprocess is not None:
        secrets = _variables(options, word)
        return api.Postprocess(options.postprocess, Path(options.directory), secrets=secrets)
    if not options.post:
        return nullcontext()
    if not is_pair(word):
        raise ModelbuildError(
            "--post goes with MODEL@TARGET",
            why=f"{word} is a file, and no manifest names a function for it",
            advice="name one: --postprocess FILE.py:FUNCTION",
        )
    return api.postprocess_of(api.open_project(options.directory, options.file), word)


def _variables(options: argparse.Namespace, word: str) -> Sequence[str]:
    """The environment variables with keys, of the options or of the manifest."""
    if is_pair(word):
        return api.open_project(options.directory, options.file).manifest.secrets
    return named(keys.given(options)).variables


def is_package(options: argparse.Namespace, word: str) -> bool:
    """Whether a word is a file that may hold several models."""
    path = Path(options.directory) / word
    return path.is_file() and identify(path) in (*FORMATS, Kind.SEALED)


def is_sealed(options: argparse.Namespace, word: str) -> bool:
    """Whether a word is an encrypted package."""
    path = Path(options.directory) / word
    return path.is_file() and identify(path) is Kind.SEALED


def has_parts(options: argparse.Namespace, word: str) -> bool:
    """Whether what runs after the chip may lie beside the file, or is known of MODEL@TARGET."""
    path = Path(options.directory) / word
    return is_pair(word) or (path.is_file() and identify(path) in WITH_PARTS)


def opened(options: argparse.Namespace, word: str, level: str | None = None, *, pick: bool = False) -> Runner:
    """The runner for a word. `level` (float, fixed, hardware) picks the form of MODEL@TARGET; fixed unless
    told. With `pick`, one of two: --model, --weights and --preprocess are for those that take them."""
    path = Path(options.directory) / word
    if is_pair(word) and not path.exists():
        for option, given in _of_files(options):
            if given and not pick:
                raise ModelbuildError(
                    f"{option} goes with a file",
                    why=f"the manifest says it for {word}",
                    advice=f"leave {option} out, or name a file",
                )
        project = api.open_project(options.directory, options.file)
        with progress.shown(project.root / STATE) as tell:
            return api.open_form(
                project,
                word,
                level or "fixed",
                tell,
                tail=not (options.no_tail or getattr(options, "raw", False)),
            )
    if options.no_tail and not pick and not has_parts(options, word):
        raise ModelbuildError(
            "--no-tail goes with MODEL@TARGET or a package",
            why=f"{word} is a file, run as it is",
            advice="leave --no-tail out",
        )
    if level is not None:
        raise ModelbuildError(
            "--level goes with MODEL@TARGET",
            why=f"{word} is a file, of one form",
            advice=f"leave --level out, or name MODEL@TARGET, which has the levels {', '.join(LEVELS)}",
        )
    chosen = options.model if not pick or is_package(options, word) else None
    _refuse_name(options, word)
    not_built.check(options, word)
    with spoken(options, word):
        return api.open_file(
            path,
            chosen,
            preprocessing(options.preprocess) if not pick or takes_preprocessing(options, word) else {},
            _weights(options, path, pick),
            tail=not (options.no_tail or getattr(options, "raw", False)),
            keys=keys.given(options) if not pick or is_sealed(options, word) else None,
        )


@contextmanager
def spoken(options: argparse.Namespace, word: str) -> Iterator[None]:
    """Errors about a file's sizes say what fixes them, for these verbs have no option that does; those about
    the names of inputs which file is missing that has them."""
    weights = f" --weights {options.weights}" if options.weights is not None else ""
    with flags.spoken(sized_by=f"modelbuild convert {word}{weights} -o OUT.onnx"):
        try:
            yield
        except ModelbuildError as error:
            raise _named(error, Path(options.directory) / word) from error


_UNNAMED = ("no array called input", "the model has no input")


def _named(error: ModelbuildError, path: Path) -> ModelbuildError:
    if not any(problem.what.startswith(_UNNAMED) for problem in error.problems):
        return error
    if not path.is_file() or identify(path) is not Kind.KMODEL or description(beside(path)) is not None:
        return error
    advice = (
        f"put {beside(path).name} beside {path.name}, which a build and a pack leave there: a kmodel has no "
        "names, and its inputs are called input0, input1 ... without it"
    )
    return ModelbuildError.of(
        [problem._replace(advice=advice) for problem in error.problems], error.exit_code
    )


def _refuse_name(options: argparse.Namespace, word: str) -> None:
    """Raises for a model of the manifest that is named without a target where a file is meant."""
    folder = Path(options.directory)
    if (folder / word).exists() or Path(word).name != word or not (folder / options.file).is_file():
        return
    manifest = api.open_project(options.directory, options.file).manifest
    pairs = [f"{model}@{target}" for model, target in manifest.pairs() if model == word]
    if pairs:
        raise ModelbuildError(
            f"there is no file {word}",
            why=f"it is a model of {options.file}, which is named with its target",
            advice=f"name {' or '.join(pairs)}",
        )


def _of_files(options: argparse.Namespace) -> list[tuple[str, object]]:
    """The options that go with a file, and what was given."""
    names = ("preprocess", "model", "weights", *keys.NAMES)
    return [(f"--{name.replace('_', '-')}", getattr(options, name)) for name in names]


def takes_preprocessing(options: argparse.Namespace, word: str) -> bool:
    """Whether a word is a float model's file, or a kmodel without its .json: all others carry their
    preprocessing."""
    path = Path(options.directory) / word
    if not path.is_file():
        return False
    kind = identify(path)
    return kind in SOURCES or (kind is Kind.KMODEL and description(beside(path)) is None)


def takes_weights(word: str) -> bool:
    """Whether a word is a file of a format that may keep its weights apart."""
    importer = IMPORTERS.get(Path(word).suffix.lower())
    return importer is not None and bool(importer.weights)


def _weights(options: argparse.Namespace, path: Path, pick: bool) -> Path | None:
    """The file of --weights; of two models, it is for the one whose format keeps them apart."""
    if options.weights is None:
        return None
    if pick and not takes_weights(path.name):
        return None
    return Path(options.directory) / str(options.weights)


def inputs(options: argparse.Namespace, word: str) -> list[str]:
    """The `--input` values; the name of a sample set stands for its files where the manifest has it."""
    if not options.input:
        raise ModelbuildError("nothing to run on", advice="add --input [NAME=]FILE")
    if not is_pair(word):
        return list(options.input)
    project = api.open_project(options.directory, options.file)
    return [file for text in options.input for file in _files(project, text, Path(options.directory))]


def _files(project: api.Project, text: str, folder: Path) -> list[str]:
    """`[NAME=]FILE` as it is, of `[NAME=]SET` the files. Raises for what is a slip of a set's name."""
    files = api.sample_files(project, text)
    last, sets = text.rpartition("=")[2], project.manifest.spec.samples
    is_word = not {"/", ".", "*"} & {*last}
    if files == [text] and is_word and not (folder / last).exists():
        raise ModelbuildError(
            f"--input {text}: there is no file and no sample set `{last}`",
            advice=did_you_mean(last, sets) or f"name a file, or a sample set: {', '.join(sets)}",
        )
    return files

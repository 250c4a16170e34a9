"""Real networks from file to kmodel: every byte in the vendor's simulator, and what they recognise."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from bench.kpu.inside import variants
from bench.kpu.networks import DECLARED, Network, prepare, raw
from bench.kpu.ours import CHIP, Made, made
from bench.kpu.scores import score
from bench.quantizers import declared
from modelbuild.arithmetic.kpu import KpuSession
from modelbuild.chips.load import load_recipe
from modelbuild.kpu.compiler import compile_model
from modelbuild.kpu.simulator import Simulation, load
from modelbuild.samples.loader import load as load_sample
from modelbuild.samples.preprocess import from_settings
from tests.judges import nncase
from tests.kpu.emitting.running import check_simulated
from tests.kpu.faces import faces, overlap

ROOT = Path(__file__).resolve().parents[2]
INPUTS = 4
LEAST_SHARE = 1e-5  # of the range, for floats behind a function that is not exact
SMALL = ("digits", "mnist-8", "mlperf_resnet8")
LARGE = ("mlperf_vww_96", "resnet20_cifar10", "ultraface_rfb_320_nopost", "yunet_n_320", "yolox_nano")
OTHERS = (*SMALL[1:], *LARGE)

small_and_large = pytest.mark.parametrize(
    "name", [*SMALL, *(pytest.param(name, marks=pytest.mark.long) for name in LARGE)]
)


@pytest.fixture
def folders(name: str, request: pytest.FixtureRequest) -> tuple[Path, ...]:
    """Where the files lie: those of the example are our own."""
    return (ROOT,) if name == "digits" else (request.getfixturevalue("shared_data"), ROOT)


@cache
def network(name: str, folders: tuple[Path, ...], work: Path, most: int | None) -> Network:
    return prepare(name, declared.read(DECLARED).models[name], folders, work, most)


@cache
def compiled(name: str, folders: tuple[Path, ...], work: Path) -> Made:
    found = network(name, folders, work, INPUTS)
    return made(found.model, found.calibration)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("networks")


@small_and_large
def test_outputs_are_those_of_the_vendors_simulator(name: str, folders: tuple[Path, ...], work: Path) -> None:
    found, sets = compiled(name, folders, work), network(name, folders, work, INPUTS).evaluation
    assert len(sets) == INPUTS
    machine = load(found.compiled.kmodel)
    judged = nncase.run_sets(found.compiled.kmodel, [[sample] for sample in sets]).outputs
    for sample, theirs in zip(sets, judged, strict=True):
        simulation = machine.run([sample])
        inexact = _behind_inexact(found, simulation)
        for output, ours, other in zip(found.fixed.outputs, simulation.outputs, theirs, strict=True):
            assert ours.dtype == other.dtype
            if output in inexact:
                bound = LEAST_SHARE * float(np.ptp(ours))
                np.testing.assert_allclose(other.reshape(ours.shape), ours, rtol=0, atol=bound)
            else:
                assert ours.tobytes() == other.tobytes(), output


def _behind_inexact(found: Made, simulation: Simulation) -> set[str]:
    """Tensors that a function made which the vendor's simulator computes with other last bits, or one behind
    such a function."""
    names: set[str] = set()
    for event, step in zip(simulation.events, found.compiled.executed, strict=True):
        if not event.exact:
            names |= set(step.writes)
    for operator in found.fixed.operators:
        if names & set(operator.inputs):
            names |= set(operator.outputs)
    return names


@small_and_large
def test_every_uint8_tensor_is_that_of_the_vendors_simulator(
    name: str, folders: tuple[Path, ...], work: Path
) -> None:
    """The vendor's simulator shows outputs alone: the same layers are compiled with inner tensors as outputs.
    That the file which is shipped leaves the same in its own memory, our simulator shows."""
    found, sets = compiled(name, folders, work), network(name, folders, work, INPUTS).evaluation
    session = KpuSession(found.fixed)
    expected = [session.run({found.fixed.inputs[0]: sample}, "all") for sample in sets]
    check_simulated(found.fixed, {found.fixed.inputs[0]: sets[0]}, found.compiled)
    seen: set[str] = set()
    for model in variants(found.fixed):
        data = compile_model(model, load_recipe(CHIP), {}).kmodel
        machine = load(data)
        judged = nncase.run_sets(data, [[sample] for sample in sets]).outputs
        for sample, values, theirs in zip(sets, expected, judged, strict=True):
            for output, ours, other in zip(model.outputs, machine.run([sample]).outputs, theirs, strict=True):
                assert ours.dtype == other.dtype == np.uint8
                assert ours.tobytes() == other.tobytes() == values[output].tobytes(), output
        seen |= set(model.outputs)
    made_by_kpu = {operator.outputs[0] for operator in found.fixed.operators if operator.kind == "kpu_conv"}
    assert made_by_kpu <= seen


@pytest.mark.parametrize("name", ["digits", *(pytest.param(name, marks=pytest.mark.long) for name in OTHERS)])
def test_raw_pictures_are_as_good_as_floats(name: str, folders: tuple[Path, ...], work: Path) -> None:
    """Preprocessed in the model: every byte is that of the vendor's simulator, and no more is lost."""
    given, pixels = (
        network(name, folders, work, INPUTS),
        raw(declared.read(DECLARED).models[name], folders, INPUTS),
    )
    found = made(given.model, pixels.calibration, pixels.inside)
    (port,) = found.fixed.inputs
    sets = pixels.evaluation
    check_simulated(found.fixed, {port: sets[0]}, found.compiled)
    for model in variants(found.fixed):
        judged = nncase.run_sets(compile_model(model, load_recipe(CHIP), {}).kmodel, [[one] for one in sets])
        for sample, theirs in zip(sets, judged.outputs, strict=True):
            ours = KpuSession(model).run({port: sample})
            assert [ours[output].tobytes() for output in model.outputs] == [one.tobytes() for one in theirs]
    simulated = [
        [machine.run([sample]).outputs for sample in samples]
        for machine, samples in (
            (load(found.compiled.kmodel), sets),
            (load(compiled(name, folders, work).compiled.kmodel), given.evaluation),
        )
    ]
    inside, outside = (score(given.expected, outputs).pooled_db for outputs in simulated)
    assert inside > outside - 0.5


@pytest.mark.long
@pytest.mark.parametrize("name", ["digits", "mnist-8", "mlperf_vww_96", "mlperf_resnet8", "resnet20_cifar10"])
def test_top_1_stays(name: str, folders: tuple[Path, ...], work: Path) -> None:
    """On all pictures that are there: where they are labelled, right answers; else those that the float model
    gives, too. The simulator that counts is ours, which the tests above hold against the vendor's."""
    given = network(name, folders, work, None)
    machine = load(compiled(name, folders, work).compiled.kmodel)
    tops = [int(machine.run([sample]).outputs[0].argmax()) for sample in given.evaluation]
    floats = [int(outputs[0].argmax()) for outputs in given.expected]
    right = given.labels or floats
    before, now = (sum(map(int.__eq__, which, right)) for which in (floats, tops))
    assert before - now <= len(right) // 100


@pytest.mark.long
@pytest.mark.parametrize("name", ["ultraface_rfb_320_nopost"])
def test_the_same_faces(name: str, folders: tuple[Path, ...], work: Path) -> None:
    given = network(name, folders, work, INPUTS)
    machine = load(compiled(name, folders, work).compiled.kmodel)
    preprocess, many = from_settings(given.port.preprocess), 0
    session = ort.InferenceSession(given.model, providers=["CPUExecutionProvider"])
    for path in sorted((folders[0] / "images/samples").glob("*.jpg")):
        sample = load_sample(path, given.port.name, given.port.shape, np.float32, preprocess)
        wanted = faces(*session.run(None, {given.port.name: sample}))
        found = faces(*machine.run([sample]).outputs)
        assert len(found) == len(wanted), path.name
        for one in wanted:
            assert max(overlap(one, other) for other in found) > 0.7, path.name
        many += len(wanted)
    assert many >= 4  # there are faces at all

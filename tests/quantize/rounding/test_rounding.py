"""Rounding of weights: neighbours only, less error than the nearest, the same with any BLAS."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelbuild.quantize.rounding import METHODS
from modelbuild.quantize.rounding.fitting import clip_of, error_of, flips_of, moments_in_blocks
from modelbuild.quantize.rounding.moments import Moments, Patches, Problem, moments_of
from modelbuild.quantize.weighted import Weighted
from modelbuild.quantize.weights import other_neighbour, pack_flips, unpack_flips, weight_scales
from tests.hypotheses import examples

ENDS = -8, 7


def inputs(count: int = 400, groups: int = 1, width: int = 24, seed: int = 0) -> np.ndarray:
    """Neighbouring columns are alike, as in a picture."""
    noise = np.random.default_rng(seed).standard_normal((count, groups, width))
    return np.clip(np.rint(noise.cumsum(axis=2) * 6 + 20), -128, 127)


def weights(groups: int = 1, outputs: int = 8, width: int = 24, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((groups, outputs, width)) * 3


def power(difference: np.ndarray, codes: np.ndarray) -> float:
    made = np.einsum("gok,ngk->ngo", difference, codes)
    return float(np.square(made - made.mean(axis=0)).mean())


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("groups", [1, 5])
def test_each_weight_is_one_of_its_neighbours(method: str, groups: int) -> None:
    codes, steps = inputs(groups=groups), weights(groups)
    found = METHODS[method].round(Problem(steps, *ENDS, 3, moments_of(Patches(codes, codes))))
    assert ((found == np.clip(np.floor(steps), *ENDS)) | (found == np.clip(np.floor(steps) + 1, *ENDS))).all()


@pytest.mark.parametrize("groups", [1, 5])
def test_adaround_errs_less_on_other_patches_too(groups: int) -> None:
    codes, steps = inputs(groups=groups), weights(groups)
    found = METHODS["adaround"].round(Problem(steps, *ENDS, 1, moments_of(Patches(codes, codes))))
    nearest = np.clip(np.rint(steps), *ENDS)
    other = inputs(groups=groups, seed=9)
    assert power(found - steps, codes) < power(nearest - steps, codes) / 4
    assert power(found - steps, other) < power(nearest - steps, other) / 4


def test_adaround_is_near_the_best_of_all_roundings() -> None:
    codes, steps = inputs(width=8), weights(outputs=4, width=8)
    moments = moments_of(Patches(codes, codes))
    found = METHODS["adaround"].round(Problem(steps, *ENDS, 1, moments))
    choices = np.stack(np.meshgrid(*[[0.0, 1.0]] * 8, indexing="ij"), axis=-1).reshape(1, -1, 8)
    for output in range(4):
        row = steps[:, output : output + 1]
        every = np.clip(np.floor(row) + choices, *ENDS)
        best = moments.error(every - row).min()
        assert moments.error(found[:, output : output + 1] - row).item() <= 1.3 * best


def test_adaround_makes_up_for_errors_of_its_inputs() -> None:
    """The float model has inputs that are a tenth of a step apart from the codes, always to the same side."""
    exact = inputs().astype(np.float64)
    codes = np.rint(exact * 0.97)
    steps = weights()
    aware = METHODS["adaround"].round(Problem(steps, *ENDS, 1, moments_of(Patches(codes, exact))))
    blind = METHODS["adaround"].round(Problem(steps, *ENDS, 1, moments_of(Patches(codes, codes))))

    def left(found: np.ndarray) -> float:
        made = np.einsum("gok,ngk->ngo", found, codes) - np.einsum("gok,ngk->ngo", steps, exact)
        return float(np.square(made - made.mean(axis=0)).mean())

    assert left(aware) < left(blind)


@pytest.mark.parametrize("power", [1, 3, 1000])
def test_adaround_bears_moments_of_which_rounding_to_whole_numbers_has_left_no_covariance(power: int) -> None:
    """Columns that are nearly one another: eigenvalues of their matrix are far below 0."""
    rng = np.random.default_rng(3)
    square = power + rng.integers(-1, 2, (1, 300, 300)).astype(np.float64)
    square = np.tril(square) + np.tril(square, -1).swapaxes(1, 2)
    assert np.linalg.eigvalsh(square[0]).min() < -20
    steps = weights(width=300)
    with np.errstate(all="raise"):
        moments = Moments(square, np.zeros_like(square), 1.0)
        found = METHODS["adaround"].round(Problem(steps, *ENDS, 1, moments))
    assert (np.abs(found - np.clip(steps, *ENDS)) <= 1).all()
    nearest = np.clip(np.rint(steps), *ENDS)
    assert moments.error(found - steps).sum() < moments.error(nearest - steps).sum()


@given(st.integers(0, 10**6), st.integers(0, 6), st.integers(2, 60))
@examples(60)
def test_adaround_bears_any_whole_numbers(seed: int, digits: int, width: int) -> None:
    """Moments and drift of no inputs at all: neighbours are chosen, and nothing warns."""
    rng = np.random.default_rng(seed)
    square = rng.integers(-(10**digits), 10**digits + 1, (2, width, width)).astype(np.float64)
    square += square.swapaxes(1, 2)
    cross = rng.integers(-(10**digits), 10**digits + 1, (2, width, width)).astype(np.float64)
    steps = weights(groups=2, width=width)
    with np.errstate(all="raise", under="ignore"):
        found = METHODS["adaround"].round(Problem(steps, *ENDS, 1, Moments(square, cross, 1.0)))
    assert ((found == np.clip(np.floor(steps), *ENDS)) | (found == np.clip(np.floor(steps) + 1, *ENDS))).all()


@example(305, 4)  # the only weight that can make up for its channel is one that its kernel had flipped
@given(st.integers(0, 1000), st.sampled_from([1, 4, 9]))
@examples(40)
def test_squant_cancels_errors(seed: int, taps: int) -> None:
    steps = np.random.default_rng(seed).uniform(-6.4, 6.4, (2, 3, 4 * taps))
    found = METHODS["squant"].round(Problem(steps, *ENDS, taps))
    error = (found - steps).reshape(2, 3, 4, taps)
    assert np.abs(error.sum(axis=(2, 3))).max() <= 0.5 + 1e-4  # of an output channel
    assert np.abs(error.sum(axis=3)).max() <= 1.5 + 1e-4  # of a kernel, which may give one step
    assert np.abs(error).max() < 1


def test_moments_are_whole_numbers_of_the_centred_products() -> None:
    codes = inputs(count=64, width=5)
    found = moments_of(Patches(codes, codes - 0.25))
    centred = codes[:, 0] - codes[:, 0].mean(axis=0)
    assert (found.square == np.rint(found.square)).all() and (found.cross == np.rint(found.cross)).all()
    np.testing.assert_allclose(found.square[0].diagonal(), np.square(centred).sum(axis=0), atol=0.5)
    shared = 64 / (64 + 5)  # what two columns have in common counts less
    np.testing.assert_allclose(found.square[0, 0, 1], shared * (centred[:, 0] @ centred[:, 1]), atol=0.5)
    assert not found.cross.any()  # an error that is always the same is for the bias
    assert found.unit == pytest.approx(1 / 64)


def test_moments_do_not_hang_on_the_order_of_sums() -> None:
    """The order of patches is what another BLAS changes: sums of whole numbers do not care."""
    codes = inputs(count=2048, groups=3)
    exact = codes + np.random.default_rng(5).uniform(-0.5, 0.5, codes.shape)
    order = np.random.default_rng(6).permutation(2048)
    one, other = moments_of(Patches(codes, exact)), moments_of(Patches(codes[order], exact[order]))
    assert (one.square == other.square).all() and (one.cross == other.cross).all()


def test_wide_codes_stay_exact() -> None:
    codes = inputs(count=2048) * 256
    found = moments_of(Patches(codes, codes + 3000.0))
    assert np.abs(found.square).max() <= 1 << 27 and np.abs(found.cross).max() <= 1 << 27


def test_errors_of_more_than_a_few_steps_count_as_few() -> None:
    codes = np.zeros((3, 1, 1))
    assert Patches(codes, np.array([1.0, -9.0, 1e30]).reshape(3, 1, 1)).error.ravel().tolist() == [-1, 4, -4]


def node(shape: tuple[int, ...], group: int = 1) -> Weighted:
    weight = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    return Weighted("w", weight, np.zeros(shape[0], np.float32), group)


def test_a_node_with_many_columns_is_rounded_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelbuild.quantize.rounding.fitting.MOST_COLUMNS", 10)
    found, codes = node((6, 24)), inputs()
    moments = moments_in_blocks(Patches(codes, codes))
    assert [one.square.shape[1] for one in moments] == [8, 8, 8]
    scales = weight_scales(found.weight, 4, True, "free")
    flips = flips_of(found, scales, 4, "adaround", moments)
    exact = found.weight / scales[:, None]
    integers = np.where(flips, other_neighbour(exact), np.rint(exact)).astype(np.int8)
    nearest = np.rint(exact).astype(np.int8)
    assert (
        error_of(found, scales, integers, moments).sum() < error_of(found, scales, nearest, moments).sum() / 3
    )


def test_the_predicted_error_is_that_of_the_patches() -> None:
    found, codes = node((4, 2, 3, 4), 2), inputs(groups=2)
    moments: list[Moments] = moments_in_blocks(Patches(codes, codes))
    scales = weight_scales(found.weight, 4, True, "free")
    rounded = np.rint(found.weight / scales.reshape(4, 1, 1, 1)).astype(np.int8)
    rest = (rounded * scales.reshape(4, 1, 1, 1) - found.weight).reshape(2, 2, 24)
    made = np.einsum("gok,ngk->ngo", rest, codes).reshape(len(codes), 4)
    predicted = error_of(found, scales, rounded, moments)
    np.testing.assert_allclose(predicted, made.var(axis=0), rtol=0.15)  # shrunk by n / (n + K)


def test_ranges_of_few_bits_leave_out_what_is_rare() -> None:
    weight = np.random.default_rng(3).standard_normal((2, 400)).astype(np.float32) * 0.1
    weight[0, 7] = 1.0
    found = Weighted("w", weight, np.zeros(2, np.float32))
    codes = np.random.default_rng(4).integers(-9, 9, (300, 1, 400))
    clips = clip_of(found, 4, moments_in_blocks(Patches(codes, codes.astype(np.float64))))
    assert clips[0] < clips[1] <= 128 and min(clips) >= 62


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 99))
@settings(deadline=None)
def test_flips_are_packed_and_unpacked(outputs: int, width: int, seed: int) -> None:
    flips = np.random.default_rng(seed).integers(0, 2, (outputs, width)).astype(bool)
    packed = pack_flips(flips)
    assert (unpack_flips(packed, (outputs, width)) == flips).all()
    assert packed[::2] == tuple(np.flatnonzero(flips.any(axis=1)))


@pytest.mark.parametrize("packed", [(2, 1), (0, 1 << 6), (-1, 1)])
def test_flips_of_weights_that_are_not_there(packed: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="is not one of 2 with 6 weights each"):
        unpack_flips(packed, (2, 3, 2))

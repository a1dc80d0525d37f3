"""The counter-based random numbers: range, moments, independence, and that nothing else changes them."""

import math

import pytest
import torch
from torch import Tensor

from rlsuite import random

DRAWS = 200_000


def _neighbours() -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs of long streams that differ by one in one counter."""
    seeds = torch.arange(DRAWS)
    steps = torch.arange(DRAWS)
    seed = torch.tensor(7)
    two_draws = random.uniform(random.key(seeds), 2)
    return {
        "seeds": (random.uniform(random.key(seeds), 1), random.uniform(random.key(seeds + 1), 1)),
        "streams": (random.uniform(random.key(seeds, 0), 1), random.uniform(random.key(seeds, 1), 1)),
        "steps": (random.uniform(random.key(seed, steps), 1), random.uniform(random.key(seed, steps + 1), 1)),
        "order": (random.uniform(random.key(seeds, 1, 2), 1), random.uniform(random.key(seeds, 2, 1), 1)),
        "depth": (random.uniform(random.key(seeds), 1), random.uniform(random.key(seeds, 0), 1)),
        "draws": (two_draws[:, 0], two_draws[:, 1]),
    }


@pytest.mark.parametrize("kind", ["many seeds", "many steps", "many draws"])
def test_uniform_has_the_range_moments_and_bits_of_uniform_numbers(kind: str) -> None:
    values = {
        "many seeds": lambda: random.uniform(random.key(torch.arange(DRAWS), 3), 1),
        "many steps": lambda: random.uniform(random.key(torch.tensor(5), torch.arange(DRAWS)), 1),
        "many draws": lambda: random.uniform(random.key(torch.tensor(5)), DRAWS),
    }[kind]().flatten()
    assert values.dtype == torch.float32
    assert 0.0 <= values.min() < 1e-4
    assert 1 - 1e-4 < values.max() < 1.0
    # Five standard deviations of the mean of n draws with variances 1/12 and 4/45.
    assert abs(values.mean() - 0.5) < 5 / math.sqrt(12 * DRAWS)
    assert abs((2 * values - 1).square().mean() - 1 / 3) < 5 * math.sqrt(4 / 45 / DRAWS)
    bits = (values * 2**24).long().unsqueeze(-1) >> torch.arange(24) & 1
    assert (bits.float().mean(0) - 0.5).abs().max() < 5 * 0.5 / math.sqrt(DRAWS)
    counts = torch.histc(values, 256, 0.0, 1.0)
    chi_squared = ((counts - DRAWS / 256).square() / (DRAWS / 256)).sum()
    assert abs(chi_squared - 255) < 5 * math.sqrt(2 * 255)


@pytest.mark.parametrize("counter", ["seeds", "streams", "steps", "order", "depth", "draws"])
def test_neighbouring_streams_are_independent(counter: str) -> None:
    first, second = (values.flatten() for values in _neighbours()[counter])
    correlation = torch.corrcoef(torch.stack((first, second)))[0, 1]
    assert abs(correlation) < 5 / math.sqrt(DRAWS)
    pairs = torch.histc((first * 16).floor() * 16 + (second * 16).floor(), 256, 0, 256)
    chi_squared = ((pairs - DRAWS / 256).square() / (DRAWS / 256)).sum()
    assert abs(chi_squared - 255) < 5 * math.sqrt(2 * 255)


def test_keys_do_not_repeat() -> None:
    keys = random.key(torch.arange(300).view(-1, 1, 1), torch.arange(30).view(-1, 1), torch.arange(30))
    assert keys.unique().numel() == keys.numel()


def test_every_bit_of_a_key_moves_half_of_a_draws_bits() -> None:
    keys = random.key(torch.arange(4096))
    flipped = keys.unsqueeze(-1) ^ (torch.ones(64, dtype=torch.int64) << torch.arange(64))
    before = (random.uniform(keys, 1) * 2**24).long()
    after = (random.uniform(flipped, 1).squeeze(-1) * 2**24).long()
    changed = ((before ^ after).unsqueeze(-1) >> torch.arange(24) & 1).float().mean(0)
    # The high half of a key joins midway: each of its bits moves some of a draw's bits, the low half's moves all.
    assert (changed[:32].mean(-1) - 0.5).abs().max() < 0.02
    assert changed[32:].max(-1).values.min() > 0.3


def test_integers_cover_their_range_evenly_up_to_31_bits() -> None:
    values = random.integers(random.key(torch.arange(DRAWS)), 7, 1)
    counts = torch.bincount(values.flatten(), minlength=7)
    assert values.dtype == torch.int64
    assert len(counts) == 7
    assert (counts - DRAWS / 7).abs().max() < 5 * math.sqrt(DRAWS / 7)
    large = random.integers(random.key(torch.arange(DRAWS)), 2**31, 1)
    assert 0 <= large.min() < 2**16
    assert 2**31 - 2**16 < large.max() < 2**31


def test_integers_take_a_bound_for_each_key() -> None:
    bounds = torch.tensor([1, 2, 1000])
    values = random.integers(random.key(torch.arange(3)), bounds.unsqueeze(-1), 10_000)
    assert values.amax(1).tolist() == [0, 1, 999]
    assert values.amin(1).tolist() == [0, 0, 0]


def test_normal_numbers_have_normal_moments() -> None:
    values = random.normal(random.key(torch.arange(DRAWS // 4), 1), 4).flatten()
    assert torch.isfinite(values).all()
    for power, frame, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((values**power).mean() - frame) < 5 * math.sqrt(variance / DRAWS)
    assert abs(torch.corrcoef(values.view(-1, 4).T) - torch.eye(4)).max() < 5 / math.sqrt(DRAWS / 4)


def test_shapes_follow_keys_and_draws() -> None:
    key = random.key(torch.arange(6).view(2, 3), 1)
    assert random.uniform(key, 4, 5).shape == (2, 3, 4, 5)
    assert random.normal(key, 4, 5).shape == (2, 3, 4, 5)
    assert random.integers(key, 9).shape == (2, 3)


def test_a_key_draws_the_same_alone_and_in_a_population() -> None:
    together = random.key(torch.arange(32), 2, torch.arange(32))
    alone = random.key(torch.tensor(3), 2, 3)
    for draw in (random.uniform, random.normal, lambda key, n: random.integers(key, 100, n)):
        assert torch.equal(draw(together, 8)[3], draw(alone, 8))


def test_uniforms_are_uniform_taken_apart() -> None:
    key = random.key(torch.arange(5))
    assert torch.equal(torch.stack(random.uniforms(key, 4), dim=-1), random.uniform(key, 4))


def test_fold_continues_a_key() -> None:
    seeds = torch.arange(5)
    assert torch.equal(random.fold(random.key(seeds, 1), 2, 3), random.key(seeds, 1, 2, 3))


@pytest.mark.slow
def test_compiled_equals_eager() -> None:
    def draw(seed: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        key = random.key(seed, 4, step)
        return torch.stack(random.uniforms(key, 3)), random.integers(key, 1000, 2), random.normal(key, 2)

    seed, step = torch.arange(50), torch.arange(50, dtype=torch.int32)
    eager, compiled = draw(seed, step), torch.compile(draw, fullgraph=True)(seed, step)
    assert torch.equal(eager[0], compiled[0])
    assert torch.equal(eager[1], compiled[1])
    torch.testing.assert_close(eager[2], compiled[2], rtol=1e-5, atol=1e-6)  # logarithm and cosine round differently


def test_the_numbers_are_pinned() -> None:
    """Saved runs go on with the same numbers only as long as these do not change."""
    key = random.key(torch.tensor([0, 1]), 2)
    assert key.tolist() == [-2896775031061218759, -4838594755968170389]
    assert random.integers(key, 1_000_000, 2).tolist() == [[425285, 601917], [507728, 43097]]


@pytest.mark.parametrize("concentration", [0.1, 0.5, 2.0])
def test_dirichlet_has_its_moments_among_what_is_marked(concentration: float) -> None:
    among = torch.tensor([True, True, False, True, True])
    draws = random.dirichlet(random.key(torch.arange(20_000)), concentration, among.expand(20_000, -1))
    assert (draws[:, ~among] == 0).all()
    torch.testing.assert_close(draws.sum(dim=1), torch.ones(20_000))
    marked, total = draws[:, among], 4 * concentration
    variance = (1 / 4) * (3 / 4) / (total + 1)
    assert (marked.mean(dim=0) - 1 / 4).abs().max() < 5 * math.sqrt(variance / 20_000)
    assert (marked.var(dim=0) / variance - 1).abs().max() < 0.06
    # The largest share tells the shape from others with these moments: by a million numbers of NumPy's.
    largest = {0.1: 0.8471, 0.5: 0.6176, 2.0: 0.4434}[concentration]
    assert float(marked.amax(dim=1).mean()) == pytest.approx(largest, abs=0.004)

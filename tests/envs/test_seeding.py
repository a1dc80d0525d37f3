"""Seeds are the hash of ``rlsuite.random`` on plain integers."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.seeding import environment_seeds, episode_seed, key
from rlsuite import random

COUNTERS = st.lists(st.integers(0, 2**62), max_size=3)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**63 - 1), COUNTERS)
def test_keys_are_those_of_the_random_numbers(seed: int, counters: list[int]) -> None:
    assert key(seed, *counters) == int(random.key(torch.tensor(seed), *counters)) % 2**64


def test_seeds_of_many_environments_and_episodes_do_not_repeat() -> None:
    seeds = environment_seeds(range(50), 20, "train") + environment_seeds(range(50), 20, "test")
    assert len(set(seeds)) == 2000 and all(0 <= seed < 2**63 for seed in seeds)
    assert set(environment_seeds([3], 20, "train", restart=1)).isdisjoint(seeds)
    episodes = [episode_seed(seed, episode) for seed in seeds[:50] for episode in range(20)]
    assert len(set(episodes)) == 1000 and all(0 <= seed < 2**31 for seed in episodes)

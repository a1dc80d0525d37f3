"""Observations and actions of every space: flattened as Gymnasium flattens, and given back as the space has them."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
import toy_environments
from gymnasium.spaces import Discrete, MultiBinary, MultiDiscrete, flatten
from gymnasium.spaces.utils import flatten_space
from toy_environments import OBSERVATIONS, Spaced

from envs.conversion import action_array, observation_tensor, tensor_space
from envs.host import make_host_vector
from envs.info import FAILURE
from envs.inspection import action_fault, observation_fault
from envs.make import make_environments
from envs.parts import JoinedParts
from rlsuite.networks.encoder import encoder
from rlsuite.networks.population import Population
from rlsuite.spaces import Parts

assert toy_environments  # registers toy/*


@pytest.mark.parametrize("name", ["discrete", "multi-discrete", "grid", "multi-binary"])
def test_batches_are_flattened_as_gymnasium_flattens_samples(name: str) -> None:
    space = OBSERVATIONS[name]
    space.seed(3)
    samples = [space.sample() for _ in range(50)]
    expected = np.stack([flatten(space, sample) for sample in samples]).astype(np.float32)
    assert torch.equal(observation_tensor(space, np.array(samples)), torch.from_numpy(expected))
    assert tensor_space(space).shape == flatten_space(space).shape


@pytest.mark.parametrize("name", ["tuple", "goal"])
def test_parts_are_joined_as_gymnasium_flattens_them(name: str) -> None:
    env = JoinedParts(Spaced(name))
    for seed in range(20):
        seen, _ = env.reset(seed=seed)
        env.env.observation_space.seed(seed)
        expected = flatten(env.env.observation_space, env.env.observation_space.sample())
        assert seen.dtype == np.float32 and env.observation_space.contains(seen)
        np.testing.assert_array_equal(seen, expected.astype(np.float32))


def test_pictures_among_parts_have_their_channels_first_and_an_encoder_each() -> None:
    env = JoinedParts(Spaced("picture"))
    space = env.observation_space
    assert isinstance(space, Parts) and [part.shape for part in space.parts] == [(3, 20, 16), (2,), (2,)]
    seen, _ = env.reset(seed=1)
    env.env.observation_space.seed(1)
    pixels = env.env.observation_space.sample()["seen"]
    np.testing.assert_array_equal(seen[:960].reshape(3, 20, 16), pixels.transpose(2, 0, 1))
    assert JoinedParts(Spaced("pictures")).observation_space.dtype == np.uint8

    network = Population(lambda: encoder(space)[0], [0, 1, 2])
    batch = torch.from_numpy(np.stack([space.sample() for _ in range(6)])).view(3, 2, -1)
    together = network(batch)
    for seed in range(3):
        alone = Population(lambda: encoder(space)[0], [seed])(batch[seed : seed + 1])
        torch.testing.assert_close(together[seed : seed + 1], alone)
    assert any(isinstance(module, torch.nn.Conv2d) for module in encoder(space)[0].modules())
    flat = encoder(space, "mlp")[0]
    assert not any(isinstance(module, torch.nn.Conv2d) for module in flat.modules())
    assert flat[0](batch[0])[:, :960].max() <= 1.0  # scaled as pictures are


@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize("action", ["multi-discrete", "grid", "multi-binary", "box", "scalar"])
def test_actions_of_every_space_reach_the_environment_and_play_back(action: str, vectorization: Any) -> None:
    options = {"vectorization": vectorization, "env_kwargs": {"action": action}}
    environments = make_environments("toy/Spaced-v0", [0, 1], 2, **options)
    space = environments.action_space
    environments.reset()

    def actions(step: int) -> torch.Tensor:
        space.seed(step)
        samples = [np.asarray(space.sample()) - getattr(space, "start", 0) for _ in range(4)]
        return torch.from_numpy(np.stack(samples)).view(2, 2, *space.shape)

    for step in range(7):
        last = environments.step(actions(step))
    saved = environments.state_dict()
    ahead = environments.step(actions(7))
    again = make_environments("toy/Spaced-v0", [0, 1], 2, **options)
    assert torch.equal(again.load_state_dict(saved), last.observation) and again.exact_resume
    assert torch.equal(again.step(actions(7)).observation, ahead.observation)
    for either in (environments, again):
        either.close()


@pytest.mark.parametrize("space", [Discrete(3, start=4), MultiDiscrete([3, 2], start=[4, 0]), MultiBinary(2)])
def test_what_is_outside_a_space_of_whole_numbers_is_found(space: gymnasium.Space[Any]) -> None:
    samples = np.array([space.sample() for _ in range(30)])
    assert observation_fault(space, samples, 30) is None
    inside = samples - getattr(space, "start", 0)
    assert action_fault(space, inside) is None
    np.testing.assert_array_equal(action_array(space, inside), samples)
    inside[7] = samples[7] = 9
    assert action_fault(space, inside).environment == 7  # type: ignore[union-attr]
    assert observation_fault(space, samples, 30).environment == 7  # type: ignore[union-attr]


def test_parts_outside_their_space_are_a_failure_of_the_environment() -> None:
    class Broken(Spaced):
        def _observation(self) -> Any:
            return super()._observation() | {"flags": np.array([0, 7], np.int8)}

    spec = gymnasium.envs.registration.EnvSpec("toy/Broken-v0", entry_point=Broken)
    vector = make_host_vector(spec, 1)
    _, info = vector.reset()
    assert "outside MultiBinary" in info[FAILURE][0]

"""The stream of experience does not depend on the vector environment it comes from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import pytest
import torch
import toy_environments  # noqa: F401  registers toy/*
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from torch import Tensor

from envs.adapter import VectorAdapter
from envs.make import make_environments
from envs.seeding import environment_seeds, episode_seed
from rlsuite.experience import ExperienceError

MODES = list(AutoresetMode)


class Transition(NamedTuple):
    observation: list[float]
    action: int
    reward: float
    next_observation: list[float]
    terminated: bool
    truncated: bool
    bootstrap: bool


def action_of(environment: int, transition: int) -> int:
    """What every environment does as its n-th transition, counted from 0, whatever happened in between."""
    return (environment * 7 + transition * transition + transition // 3) % 2


def collect(environments: VectorAdapter, steps: int) -> list[list[Transition]]:
    """The transitions of each environment, phantom steps left out."""
    seeds, num_envs = len(environments.seeds), environments.num_envs
    streams: list[list[Transition]] = [[] for _ in range(seeds * num_envs)]
    observation = environments.reset()
    for _ in range(steps):
        action = torch.tensor([action_of(i, len(stream)) for i, stream in enumerate(streams)]).view(seeds, num_envs)
        step = environments.step(action)
        for i, stream in enumerate(streams):
            at = divmod(i, num_envs)
            if not step.valid[at]:
                assert (step.reward[at], step.ended[at], step.bootstrap[at]) == (0.0, False, False)
                continue
            stream.append(
                Transition(
                    observation[at].tolist(),
                    int(action[at]),
                    float(step.reward[at]),
                    step.next_observation[at].tolist(),
                    bool(step.terminated[at]),
                    bool(step.truncated[at]),
                    bool(step.bootstrap[at]),
                )
            )
        observation = step.observation
    return streams


def oracle(env_id: str, environment_seed: int, environment: int, transitions: int) -> list[Transition]:
    """The same stream from one plain environment and a loop that needs no explanation."""
    env = gymnasium.make(env_id)
    start = int(getattr(env.action_space, "start", 0))
    stream: list[Transition] = []
    episode = 0
    while len(stream) < transitions:
        observation, _ = env.reset(seed=episode_seed(environment_seed, episode))
        episode += 1
        over = False
        while not over and len(stream) < transitions:
            action = action_of(environment, len(stream))
            next_observation, reward, terminated, truncated, _ = env.step(action + start)
            before, after = (np.asarray(x, np.float32).tolist() for x in (observation, next_observation))
            stream.append(Transition(before, action, np.float32(reward), after, terminated, truncated, not terminated))
            observation, over = next_observation, terminated or truncated
    return stream


@pytest.mark.parametrize("env_id", ["toy/Walk-v0", "CartPole-v1"])
@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_transitions_of_a_plain_loop(env_id: str, vectorization: Any, mode: AutoresetMode) -> None:
    environments = make_environments(env_id, [5, 9], 2, vectorization=vectorization, autoreset_mode=mode)
    streams = collect(environments, steps=120)
    environments.close()
    for i, (stream, seed) in enumerate(zip(streams, environment_seeds([5, 9], 2, "train"), strict=True)):
        assert stream == oracle(env_id, seed, i, len(stream))
        assert any(t.terminated for t in stream)
        assert len(stream) == 120 if mode is not AutoresetMode.NEXT_STEP else len(stream) < 120
    if env_id == "toy/Walk-v0":
        assert any(t.truncated and not t.terminated for stream in streams for t in stream)


@pytest.mark.parametrize("mode", MODES)
def test_streams_of_a_plain_vector_environment_do_not_depend_on_the_mode(mode: AutoresetMode) -> None:
    def streams(mode: AutoresetMode) -> list[list[Transition]]:
        vector_env = SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * 3, autoreset_mode=mode)
        return collect(VectorAdapter(vector_env, [1], 3, env_id="CartPole-v1"), steps=150)

    for stream, reference in zip(streams(mode), streams(AutoresetMode.SAME_STEP), strict=True):
        assert len(stream) > 120 and stream == reference[: len(stream)]


def test_next_step_phantoms_follow_the_ends_and_nothing_else() -> None:
    environments = make_environments("toy/Walk-v0", [0], 4)
    environments.reset()
    ended = torch.zeros(1, 4, dtype=torch.bool)
    for _ in range(60):
        step = environments.step(torch.ones(1, 4, dtype=torch.int64))
        assert torch.equal(step.valid, ~ended)
        assert step.observation is step.next_observation
        ended = step.ended


def test_same_step_shows_the_next_episode_and_keeps_the_last_observation() -> None:
    environments = make_environments("toy/Walk-v0", [0], 4, autoreset_mode=AutoresetMode.SAME_STEP)
    environments.reset()
    for _ in range(60):
        step = environments.step(torch.ones(1, 4, dtype=torch.int64))
        assert step.valid.all()
        # The second component counts the steps of the episode.
        assert torch.equal(step.observation[..., 1] == 0, step.ended)
        assert (step.next_observation[..., 1] > 0).all()
        assert torch.equal(step.next_observation[~step.ended], step.observation[~step.ended])


def test_a_missing_autoreset_mode_is_taken_as_next_step_and_said() -> None:
    vector_env = SyncVectorEnv([lambda: gymnasium.make("toy/Walk-v0")] * 2)
    del vector_env.metadata["autoreset_mode"]
    with pytest.warns(UserWarning, match="NEXT_STEP"):
        environments = VectorAdapter(vector_env, [0], 2, env_id="toy/Walk-v0")
    assert [t for t in collect(environments, 30)[0] if t.terminated]


def test_a_seed_among_others_sees_what_it_sees_alone() -> None:
    together = collect(make_environments("toy/Walk-v0", [3, 4, 5], 2), steps=40)
    alone = make_environments("toy/Walk-v0", [4], 2)
    observation, reference = alone.reset(), make_environments("toy/Walk-v0", [3, 4, 5], 2).reset()
    assert torch.equal(observation[0], reference[1])
    assert not torch.equal(reference[0], reference[1])
    for i in (2, 3):  # the environments of seed 4 among the three
        assert together[i] == oracle("toy/Walk-v0", environment_seeds([4], 2, "train")[i - 2], i, len(together[i]))


def test_resetting_again_begins_with_the_same_episodes() -> None:
    environments = make_environments("toy/Walk-v0", [3], 2, purpose="evaluate")
    assert collect(environments, 30) == collect(environments, 30)


class TensorCounter(VectorEnv[Tensor, Tensor, Tensor]):
    """Counts on tensors: environment i terminates at count i + 1, and at 3 all are cut."""

    single_observation_space = Box(0.0, 9.0, (1,), np.float32)
    single_action_space = Discrete(2)

    def __init__(self, num_envs: int, mode: AutoresetMode) -> None:
        self.num_envs, self.device = num_envs, torch.device("cpu")
        self.metadata = {"autoreset_mode": mode}
        self.limit = torch.arange(1, num_envs + 1)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Tensor, dict[str, Any]]:
        mask = (options or {}).get("reset_mask", torch.ones(self.num_envs, dtype=torch.bool))
        self.count = torch.where(mask, 0, getattr(self, "count", torch.zeros(self.num_envs, dtype=torch.int64)))
        self.over = torch.zeros(self.num_envs, dtype=torch.bool)
        return self.observation(), {}

    def step(self, actions: Tensor) -> Any:
        fresh = self.over
        self.count = torch.where(fresh, 0, self.count + 1)
        terminated, truncated = ~fresh & (self.count == self.limit), ~fresh & (self.count >= 3)
        reward = torch.where(fresh, 0.0, self.count.float())
        final, over = self.observation(), terminated | truncated
        if self.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP:
            self.over = over
        elif self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP:
            self.count = torch.where(over, 0, self.count)
        return self.observation(), reward, terminated, truncated, {"final_obs": final}

    def observation(self) -> Tensor:
        return self.count.float().unsqueeze(-1)


@pytest.mark.parametrize("mode", MODES)
def test_vector_environments_on_tensors_are_taken_as_they_are(mode: AutoresetMode) -> None:
    environments = VectorAdapter(TensorCounter(4, mode), [0, 1], 2, env_id="counter")
    streams = collect(environments, steps=12)
    for i, stream in enumerate(streams):
        length = min(i + 1, 3)
        for n, transition in enumerate(stream):
            count = n % length + 1
            assert (transition.observation, transition.next_observation) == ([count - 1.0], [float(count)])
            assert transition.reward == count
            assert transition.terminated == (count == i + 1) and transition.truncated == (count == 3)
            assert transition.bootstrap == (not transition.terminated)


FAULTS = {
    "raise": "raised ZeroDivisionError: division by nothing",
    "nan reward": "the reward is nan",
    "infinite observation": "the observation is inf",
    "shape": "observation of shape (1,) instead of (2,)",
    "type": "observation of type <U1 instead of float64",
    "no reward": "step() returned a reward that is no number: None",
    "reset": "reset() raised OSError: no such level",
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium's own checker, of the first step it sees
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("vectorization", ["sync", "async"])
def test_failures_name_environment_seed_step_and_cause(fault: str, vectorization: Any) -> None:
    def make() -> VectorAdapter:
        return make_environments("toy/Faulty-v0", [7, 8], 2, vectorization=vectorization, env_kwargs={"fault": fault})

    environments = make()
    environments.reset()
    with pytest.raises(ExperienceError) as caught:
        for _ in range(40):
            environments.step(torch.ones(2, 2, dtype=torch.int64))
    first, second = str(caught.value).splitlines()
    # 5 steps, a phantom and 3 more; the third reset comes 5 + 1 + 5 + 1 steps into the run.
    step = 12 if fault == "reset" else 9
    assert first == f"toy/Faulty-v0: experience broke off in environment 0 of seed 7 at env step {step}."
    assert FAULTS[fault] in second

    # What is saved now begins new episodes, which is what the run needs to get past the place.
    state = environments.state_dict()
    environments.close()
    again = make()
    observation = again.load_state_dict(state)
    assert not again.exact_resume
    assert (observation[..., 1] == 0).all() and not torch.equal(observation, make().reset())
    again.close()


def test_an_exception_of_a_plain_vector_environment_is_named() -> None:
    vector_env = SyncVectorEnv([lambda: gymnasium.make("toy/Faulty-v0", fault="raise")])
    environments = VectorAdapter(vector_env, [7], 1, env_id="toy/Faulty-v0")
    environments.reset()
    with pytest.raises(ExperienceError, match=r"at env step 9.\nZeroDivisionError: division by nothing"):
        for _ in range(40):
            environments.step(torch.ones(1, 1, dtype=torch.int64))


@pytest.mark.parametrize(
    ("env_id", "action", "message"),
    [
        (
            "toy/Walk-v0",
            torch.tensor([[0, 3]]),
            "environment 1 of seed 7 at env step 2.\nthe agent's action 2 is outside",
        ),
        ("toy/Walk-v0", torch.tensor([[-1, 0]]), "environment 0 of seed 7 at env step 2.\nthe agent's action -2 is"),
        ("toy/Drive-v0", torch.tensor([[[0.0, 0.0], [0.0, torch.nan]]]), "environment 1 of seed 7 at env step 2.\n"),
    ],
)
def test_actions_that_are_none_are_refused(env_id: str, action: Tensor, message: str) -> None:
    environments = make_environments(env_id, [7], 2)
    environments.reset()
    environments.step(torch.zeros_like(action))
    with pytest.raises(ExperienceError) as caught:
        environments.step(action)
    assert message in str(caught.value)
    with pytest.raises(ExperienceError) as again:
        environments.receive()
    assert again.value is caught.value
    environments.reset()
    environments.step(torch.zeros_like(action))
    assert "environments" in environments.state_dict()


def test_box_actions_arrive_in_the_shape_and_type_of_their_space() -> None:
    environments = make_environments("toy/Drive-v0", [0], 2, autoreset_mode=AutoresetMode.SAME_STEP)
    before = environments.reset()
    step = environments.step(torch.tensor([[[0.5, 0.25], [-0.25, 0.5]]]))
    torch.testing.assert_close(step.next_observation[..., 0] - before[..., 0], torch.tensor([[0.25, -0.75]]))


def test_discrete_observations_are_one_hot() -> None:
    environments = make_environments("FrozenLake-v1", [0], 2, env_kwargs={"is_slippery": False})
    assert environments.observation_space == Box(0.0, 1.0, (16,), np.float32)
    observation = environments.reset()
    assert observation.dtype == torch.float32
    assert observation.argmax(-1).tolist() == [[0, 0]] and observation.sum(-1).tolist() == [[1.0, 1.0]]
    step = environments.step(torch.tensor([[1, 2]]))  # down, right
    assert step.observation.argmax(-1).tolist() == [[4, 1]]


def test_observations_become_float32_and_uint8_stays() -> None:
    environments = make_environments("toy/Walk-v0", [0], 1)
    assert environments.observation_space.dtype == np.float32
    assert environments.reset().dtype == torch.float32
    pixels = make_environments("toy/Screen-v0", [0], 1)
    assert pixels.observation_space.dtype == np.uint8 and pixels.observation_space.shape == (3, 20, 30)
    assert pixels.reset().dtype == torch.uint8 and pixels.reset().shape == (1, 1, 3, 20, 30)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_environments("toy/Spaced-v0", [0], 1, env_kwargs={"observation": "spoken"}), r"\['said'\].*Text"),
        (lambda: make_environments("CartPole-v1", [0], 0), "at least one"),
        (lambda: make_environments("CartPole-v1", [], 1), "at least one"),
        (lambda: make_environments("CartPole-v1", [0], 1, render_mode="human"), "render_mode is None or one of"),  # type: ignore[arg-type]
        (lambda: make_environments("CartPole-v1", [0], 1, purpose="train ").reset(), "'train '.*evaluate"),  # type: ignore[arg-type]
        (lambda: VectorAdapter(TensorCounter(3, MODES[0]), [0, 1], 2, env_id="counter"), "2 seeds of 2 environments"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_action_spaces_without_an_agent_are_refused() -> None:
    vector_env = TensorCounter(1, AutoresetMode.SAME_STEP)
    vector_env.single_action_space = gymnasium.spaces.Text(5)  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"action space Text.* is not supported"):
        VectorAdapter(vector_env, [0], 1, env_id="counter")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("vectorization", ["sync", "async"])
@pytest.mark.parametrize(
    ("env_id", "action"),
    [("toy/Walk-v0", torch.ones(1, 2, dtype=torch.int64)), ("Pendulum-v1", torch.ones(1, 2, 1))],
)
def test_send_and_receive_take_turns(env_id: str, action: Tensor, vectorization: Any) -> None:
    environments = make_environments(env_id, [0], 2, vectorization=vectorization)
    environments.reset()
    expected = environments.step(action).observation
    environments.reset()
    action = action.clone()
    with pytest.raises(RuntimeError, match="without send"):
        environments.receive()
    environments.send(action)
    action.fill_(0)  # the agent's own buffer: what was sent stays sent
    with pytest.raises(RuntimeError, match="twice"):
        environments.send(action)
    with pytest.raises(RuntimeError, match="before saving"):
        environments.state_dict()
    assert torch.equal(environments.receive().observation, expected)
    environments.send(action)
    environments.close()  # with a step under way
    environments.close()


def test_the_former_name_of_the_next_observation_is_still_read() -> None:
    environments = make_environments("toy/Walk-v0", [0], 2)
    environments.reset()
    step = environments.step(torch.zeros(1, 2, dtype=torch.int64))
    environments.close()
    assert step.successor is step.next_observation

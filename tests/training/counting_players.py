"""Environments and an agent that count, for players; imported in their processes, so that it imports little."""

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete

from rlsuite.agent import Acted, TensorSpec
from rlsuite.experience import Step

SEEDS, ENVS, STEPS, LAG, PLAYERS = (3, 8), 2, 3, 2, 2
SEEN, DONE = Box(-np.inf, np.inf, (3,)), Discrete(5)
EPISODE = 7  # env steps of the first environment's episodes; the others' are longer


class Counting:
    """Environments that show their number, the episode and the step; they remember the episode only if asked."""

    on_device, num_envs, observation_space, action_space, seeds = False, ENVS, SEEN, DONE, SEEDS

    def __init__(self, first, exact_resume=True):
        self.exact_resume = exact_resume
        number = torch.arange(first, first + ENVS).expand(len(SEEDS), ENVS)
        self.now = torch.stack([number, torch.zeros_like(number), torch.zeros_like(number)], dim=-1).float()

    def reset(self):
        return self.now.clone()

    def send(self, action):
        self.action = action

    def receive(self):
        following = self.now.clone()
        following[..., 2] += 1
        ended = following[..., 2] == EPISODE + following[..., 0] % 3
        never = torch.zeros_like(ended)
        self.now = following.clone()
        self.now[..., 1] += ended
        self.now[..., 2].masked_fill_(ended, 0.0)
        reward = self.action.float()
        return Step(self.now.clone(), following, reward, never, ended, ~never, ~never, ended)

    def state_dict(self):
        return {"now": self.now.clone()}

    def load_state_dict(self, state):
        self.now.copy_(state["now"])
        if not self.exact_resume:
            self.now[..., 1] += 1
            self.now[..., 2] = 0.0
        return self.now.clone()

    def close(self):
        pass


class Agent:
    """Its weight counts its updates, and is stored with each step that it acts in, beside what keys the action."""

    def __init__(self):
        self.weight, self.unused = torch.zeros(len(SEEDS), 1), torch.zeros(len(SEEDS), 1)
        self.extras = {"weight_then": TensorSpec(()), "env_step": TensorSpec((), torch.int64)}

    def initial_state(self, num_envs):
        return {}

    def act(self, observation, state, began, env_step, *, explore):
        shape = observation.shape[:2]
        extras = {"weight_then": self.weight.expand(shape).clone(), "env_step": env_step.expand(shape).clone()}
        return Acted(((env_step + self.weight.long()) % 5).expand(shape).clone(), state, extras)

    def update(self, batch):
        self.weight.add_(1.0)
        return {"loss/reward": batch.reward.mean(dim=1)}

    def state_dict(self):
        return {"weight": self.weight, "inner": {"unused": self.unused}}

    def load_state_dict(self, state):
        self.weight.copy_(state["weight"])


def build(exact_resume, number, lives):
    return Agent(), Counting((lives * PLAYERS + number) * ENVS, exact_resume)

"""Agents act in the spaces that they declare, and messages name those that do."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Tuple

from agents.runs.action_spaces import acting_in, require_acts_in

ANYWHERE = {"a2c", "ppo", "reinforce"}
BOUNDED, UNBOUNDED = Box(-1.0, 1.0, (2,)), Box(-np.inf, np.inf, (2,))


def test_agents_act_where_they_declare():
    assert set(acting_in(UNBOUNDED)) == set(acting_in(MultiDiscrete([2, 3]))) == ANYWHERE
    assert set(acting_in(BOUNDED)) == ANYWHERE | {"ddpg", "td3", "sac"}
    assert {"dqn", "rainbow", "sac"} | ANYWHERE <= set(acting_in(Discrete(3)))
    assert acting_in(Tuple([Discrete(2)])) == []


def test_where_an_agent_does_not_act_others_are_named():
    with pytest.raises(ValueError, match="sac needs a bounded Box or Discrete action space.*: a2c, ppo, reinforce act"):
        require_acts_in("sac", UNBOUNDED)
    require_acts_in("sac", BOUNDED)
    require_acts_in("alphazero", BOUNDED)  # it declares no space: it says by itself that it plays board games only
    require_acts_in("own.py", BOUNDED)

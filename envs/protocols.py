"""Atari protocols: the rules of play under which scores can be compared. Imports no torch: command lines need it."""

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class AtariProtocol:
    """The rules under which ``ALE/*`` games are played. Scores of different protocols cannot be compared.

    All protocols share the preprocessing of Mnih et al. (2015): an action is held for 4 frames, an observation is the
    maximum of the last two of them in grey at 84 x 84, and 4 observations are stacked, zeros before the first.
    Rewards are the raw changes of the game's score; agents clip them if asked to.
    """

    name: str
    repeat_action_probability: float  # "sticky actions": the chance, each frame, that the previous action is held on
    noop_max_frames: int  # an episode begins with 0 .. noop_max_frames frames without action, drawn uniformly
    full_action_set: bool  # all 18 actions of the joystick, or only those that the game reacts to
    life_loss_stops_bootstrap: bool  # a lost life counts as an end to the value function; the game goes on
    frame_cap: int  # frames after which an episode is truncated: 108,000 are 30 minutes of play
    fire_on_reset: bool  # press FIRE once when an episode begins
    evaluation_epsilon: float  # the share of random actions in an evaluation


NATURE = AtariProtocol(
    name="nature",
    repeat_action_probability=0.0,
    noop_max_frames=30,
    full_action_set=False,
    life_loss_stops_bootstrap=True,
    frame_cap=108_000,
    fire_on_reset=False,
    evaluation_epsilon=0.05,
)
"""Mnih et al. (2015), as dqn_zoo reads it. FIRE is not pressed for the agent (OpenAI Baselines does that): neither the
paper nor dqn_zoo do, and the 5 % of random actions start a game that waits for it. dqn_zoo draws 1 .. 30 no-ops,
the emulator's vector environment counts from 0."""

MACHADO = AtariProtocol(
    name="machado",
    repeat_action_probability=0.25,
    noop_max_frames=0,
    full_action_set=True,
    life_loss_stops_bootstrap=False,
    frame_cap=108_000,
    fire_on_reset=False,
    evaluation_epsilon=0.001,
)
"""Machado et al. (2018): sticky actions are the only randomness, a lost life means nothing, and the agent gets all 18
actions, as the paper advises. Dopamine keeps to the game's own actions
(``dataclasses.replace(MACHADO, name="dopamine", full_action_set=False)``). The evaluation epsilon is Dopamine's, for
the paper scores the episodes of training and has no evaluation apart."""

PROTOCOLS = {protocol.name: protocol for protocol in (NATURE, MACHADO)}


def find_protocol(name: str) -> AtariProtocol:
    """The protocol of that name; ``ValueError`` with the nearest name where there is none."""
    if name not in PROTOCOLS:
        nearest = difflib.get_close_matches(name, PROTOCOLS, n=1, cutoff=0.0)[0]
        known = ", ".join(PROTOCOLS)
        raise ValueError(f"unknown Atari protocol {name!r}: did you mean {nearest!r}? There are: {known}.")
    return PROTOCOLS[name]

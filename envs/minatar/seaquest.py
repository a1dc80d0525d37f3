"""MinAtar Seaquest: shoot fish and enemy ships, pick up divers, and surface before the oxygen runs out."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import grid
from envs.minatar.slots import Group, advanced, at, group, inserted, newest, oldest, remove, ungroup
from rlsuite import random

FULL_OXYGEN = 200  # steps
MOST_DIVERS = 6
FIRST_SPAWN_INTERVAL = 20
DIVER_SPAWN_INTERVAL = 30
FIRST_MOVE_INTERVAL, SHORTEST_MOVE_INTERVAL = 5, 2
DIVER_MOVE_INTERVAL = 5
STEPS_PER_TORPEDO = 5
SHIP_STEPS_PER_SHOT = 10
SHIP_PROBABILITY = 1 / 3
ROWS = 8  # 1 to 8, below the surface and above the gauges

# Torpedoes and divers come too slowly for a third to meet the first. Fish and ships cross in 30 steps when one a step
# can come, a third of them ships.
TORPEDO_SLOTS, DIVER_SLOTS, FISH_SLOTS, SHIP_SLOTS = 2, 2, 32, 20
_FRONT, _BACK, _TORPEDO, _TRAIL, _SHOT, _FISH, _SHIP, _OXYGEN, _ON_BOARD, _DIVER, _CHANNELS = range(11)


class Seaquest:
    """Reward 1 an enemy shot, and up to 10 for surfacing with six divers, by the oxygen left. Surfacing takes a diver,
    fills the oxygen and makes enemies faster. Terminates when an enemy or a shot hits, when the oxygen is used up, or
    when surfacing without a diver.

    State, int32 and bool: ``x``, ``y``, ``faces_right``, ``oxygen``, ``on_board`` (divers), ``at_surface``,
    ``spawn_interval``, ``spawn_timer``, ``diver_timer``, ``move_interval``, ``shot_timer``, ``ramp_level`` and
    ``last_action``, ``[N]``; groups of ``envs.minatar.slots``: ``fish``, ``ship``, ``torpedo``, ``swimmer`` (divers in
    the water). A ship has at most one shot under way, in its own row: ``ship_shot_x``, ``ship_shot_there``.

    Channels: front of the submarine, its back, torpedoes, trails, enemy shots, fish, ships, oxygen, divers on board,
    divers in the water.

    Args:
        sticky_action_probability: of doing the last action again.
        ramping: enemies become faster and more with each surfacing.
    """

    observation_space = grid.observation_space(_CHANNELS)
    action_space = grid.ACTION_SPACE
    max_episode_steps = grid.MAX_EPISODE_STEPS
    render_fps = grid.RENDER_FPS
    is_random = True

    def __init__(self, sticky_action_probability: float = 0.1, ramping: bool = True) -> None:
        self.sticky_action_probability = sticky_action_probability
        self.ramping = ramping

    def initial(self, key: Tensor) -> State:
        zero = torch.zeros_like(key, dtype=torch.int32)

        def slots(count: int, *more: str) -> Group:
            numbers = torch.zeros(*key.shape, count, dtype=torch.int32, device=key.device)
            flags = numbers.to(torch.bool)
            return {"x": numbers, "y": numbers, "right": flags, "there": flags} | dict.fromkeys(more, numbers)

        ships = slots(SHIP_SLOTS, "wait", "reload", "shot_x")
        return {
            "x": zero + 5,
            "y": zero,
            "faces_right": zero.to(torch.bool),
            "oxygen": zero + FULL_OXYGEN,
            "on_board": zero,
            "at_surface": zero == 0,
            "spawn_interval": zero + FIRST_SPAWN_INTERVAL,
            "spawn_timer": zero + FIRST_SPAWN_INTERVAL,
            "diver_timer": zero + DIVER_SPAWN_INTERVAL,
            "move_interval": zero + FIRST_MOVE_INTERVAL,
            "shot_timer": zero,
            "ramp_level": zero,
            "last_action": zero + grid.NOTHING,
            **ungroup("torpedo", slots(TORPEDO_SLOTS)),
            **ungroup("swimmer", slots(DIVER_SLOTS, "wait")),
            **ungroup("fish", slots(FISH_SLOTS, "wait")),
            **ungroup("ship", ships | {"shot_there": ships["there"]}),
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks; direction, kind and row of an enemy; direction and row of a diver."""
        draws = random.uniform(key, 6)
        action = grid.sticky(action, state["last_action"], draws[:, 0], self.sticky_action_probability)
        fish, ships = _with_new_enemy(state, draws[:, 1], draws[:, 2], draws[:, 3])
        swimmers = _with_new_diver(state, draws[:, 4], draws[:, 5])
        player, torpedoes = _steered(state, action)
        x, y = player["x"], player["y"]

        torpedoes, fish, ships, reward = _fly(torpedoes, fish, ships)
        swimmers, on_board = _swim(swimmers, state["on_board"], x, y)
        interval = state["move_interval"]
        fires = ships["there"] & (ships["reload"] == 0)
        (rammed, moving), ships = _cross(ships, interval, x, y)
        ships, torpedoes, hits = _run_into(torpedoes, ships, moving)
        ships, shot = _shoot(ships, fires, x, y)
        reward = reward + hits
        (bitten, moving), fish = _cross(fish, interval, x, y)
        fish, torpedoes, hits = _run_into(torpedoes, fish, moving)
        reward = reward + hits

        air, bonus, drowned = self._breathe(state, y, on_board)
        following = (
            player
            | air
            | {
                "diver_timer": grid.counted_down(_restarted(state["diver_timer"], DIVER_SPAWN_INTERVAL)),
                "spawn_timer": grid.counted_down(_restarted(state["spawn_timer"], state["spawn_interval"])),
                "last_action": action,
                **ungroup("torpedo", torpedoes),
                **ungroup("swimmer", swimmers),
                **ungroup("fish", fish),
                **ungroup("ship", ships),
            }
        )
        return following, (reward + bonus).to(torch.float32), rammed | shot | bitten | drowned

    def _breathe(self, state: State, y: Tensor, on_board: Tensor) -> tuple[State, Tensor, Tensor]:
        """Oxygen, divers and difficulty; the bonus for a full boat; whether the game ends for want of air or divers."""
        oxygen = state["oxygen"]
        under_water = y > 0
        arrives = ~under_water & ~state["at_surface"]
        surfaces = arrives & (on_board != 0)
        full = surfaces & (on_board == MOST_DIVERS)
        bonus = torch.where(full, torch.div(oxygen * 10, FULL_OXYGEN, rounding_mode="floor"), 0)
        # The published game takes one diver more than the six that it delivers, so that -1 are left; so does this one.
        left = torch.where(full, 0, on_board) - 1

        spawn, move, level = state["spawn_interval"], state["move_interval"], state["ramp_level"]
        harder = surfaces & ((spawn > 1) | (move > SHORTEST_MOVE_INTERVAL)) & self.ramping
        air = {
            "oxygen": torch.where(surfaces, FULL_OXYGEN, oxygen - under_water.to(oxygen.dtype)),
            "on_board": torch.where(surfaces, left, on_board),
            "at_surface": (state["at_surface"] | surfaces) & ~under_water,
            "spawn_interval": torch.where(harder, (spawn - 1).clamp(min=1), spawn),
            "move_interval": torch.where(harder & (level % 2 == 1), (move - 1).clamp(min=SHORTEST_MOVE_INTERVAL), move),
            "ramp_level": level + harder.to(level.dtype),
        }
        return air, bonus, (oxygen <= 0) | (arrives & (on_board == 0))

    def observe(self, state: State) -> Tensor:
        x, y = state["x"].unsqueeze(-1), state["y"].unsqueeze(-1)
        fish, ships, swimmers = group(state, "fish"), group(state, "ship"), group(state, "swimmer")
        torpedoes = group(state, "torpedo")
        marks = [
            grid.cells(_FRONT, y, x),
            grid.cells(_BACK, y, torch.where(state["faces_right"].unsqueeze(-1), x - 1, x + 1)),
            grid.cells(_TORPEDO, torpedoes["y"], torpedoes["x"], torpedoes["there"]),
            grid.cells(_SHOT, ships["y"], ships["shot_x"], ships["shot_there"]),
            grid.cells(_FISH, fish["y"], fish["x"], fish["there"]),
            grid.cells(_SHIP, ships["y"], ships["x"], ships["there"]),
            grid.cells(_DIVER, swimmers["y"], swimmers["x"], swimmers["there"]),
        ]
        for things in (fish, ships, swimmers):
            behind = torch.where(things["right"], things["x"] - 1, things["x"] + 1)
            marks.append(grid.cells(_TRAIL, things["y"], behind, things["there"]))
        # Gauges along the lowest row: oxygen from the left, divers on board from the right.
        column, lowest = grid.columns(x), grid.SIZE - 1
        air = torch.div(state["oxygen"].clamp(min=0) * 10, FULL_OXYGEN, rounding_mode="floor").unsqueeze(-1)
        seats = (column >= lowest - state["on_board"].unsqueeze(-1)) & (column < lowest)
        marks += [grid.cells(_OXYGEN, lowest, column, column < air), grid.cells(_ON_BOARD, lowest, column, seats)]
        return grid.draw(_CHANNELS, *marks)

    def render(self, state: State) -> np.ndarray:
        return grid.picture(self.observe({name: value.unsqueeze(0) for name, value in state.items()})[0])


def _restarted(timer: Tensor, interval: Tensor | int) -> Tensor:
    return torch.where(timer == 0, interval, timer)


def _with_new_enemy(state: State, direction: Tensor, kind: Tensor, row: Tensor) -> tuple[Group, Group]:
    """Fish and ships, with a new one where it is time and nothing comes towards it in its row."""
    fish, ships = group(state, "fish"), group(state, "ship")
    right, y = direction < 0.5, _row(row)
    blocked = torch.zeros_like(right)
    for things in (fish, ships):
        opposite = things["there"] & (things["y"] == y.unsqueeze(-1)) & (things["right"] != right.unsqueeze(-1))
        blocked = blocked | opposite.any(-1)
    comes = (state["spawn_timer"] == 0) & ~blocked
    is_ship = kind < SHIP_PROBABILITY
    new = _newcomer(right, y) | {"wait": state["move_interval"], "reload": torch.full_like(y, SHIP_STEPS_PER_SHOT)}
    return inserted(fish, new, comes & ~is_ship), inserted(ships, new, comes & is_ship)


def _with_new_diver(state: State, direction: Tensor, row: Tensor) -> Group:
    y = _row(row)
    new = _newcomer(direction < 0.5, y) | {"wait": torch.full_like(y, DIVER_MOVE_INTERVAL)}
    return inserted(group(state, "swimmer"), new, state["diver_timer"] == 0)


def _row(draw: Tensor) -> Tensor:
    return (draw * ROWS).to(torch.int32) + 1


def _newcomer(right: Tensor, y: Tensor) -> Group:
    x = torch.where(right, 0, grid.SIZE - 1).to(torch.int32)
    return {"x": x, "y": y, "right": right, "there": torch.ones_like(right)}


def _steered(state: State, action: Tensor) -> tuple[State, Group]:
    """The submarine after the action, and the torpedoes with a new one where it fired."""
    fires = (action == grid.FIRE) & (state["shot_timer"] == 0)
    new = {"x": state["x"], "y": state["y"], "right": state["faces_right"], "there": torch.ones_like(fires)}
    player = {
        "x": grid.moved(state["x"], action, grid.LEFT, grid.RIGHT),
        "y": grid.moved(state["y"], action, grid.UP, grid.DOWN, high=ROWS),
        "faces_right": (state["faces_right"] | (action == grid.RIGHT)) & (action != grid.LEFT),
        "shot_timer": grid.counted_down(torch.where(fires, STEPS_PER_TORPEDO, state["shot_timer"])),
    }
    return player, inserted(group(state, "torpedo"), new, fires)


def _fly(torpedoes: Group, fish: Group, ships: Group) -> tuple[Group, Group, Group, Tensor]:
    """Torpedoes move on; each, the newest first, takes the oldest fish where it is, or else the oldest ship."""
    torpedoes = advanced(torpedoes, torpedoes["there"])
    spent = []
    for slot in range(TORPEDO_SLOTS):
        there, x, y = (torpedoes[name][:, slot] for name in ("there", "x", "y"))
        hit_fish = oldest(at(fish, x, y) & there.unsqueeze(-1))
        missed = there & ~hit_fish.any(-1)
        hit_ship = oldest(at(ships, x, y) & missed.unsqueeze(-1))
        fish, ships = remove(fish, hit_fish), remove(ships, hit_ship)
        spent.append(hit_fish.any(-1) | hit_ship.any(-1))
    hits = torch.stack(spent, dim=-1)
    return remove(torpedoes, hits), fish, ships, hits.sum(-1)


def _swim(swimmers: Group, on_board: Tensor, x: Tensor, y: Tensor) -> tuple[Group, Tensor]:
    """Divers are picked up where the submarine is, before and after they move, as long as there is room."""
    waiting = swimmers["wait"] > 0
    before = at(swimmers, x, y)
    moves = swimmers["there"] & ~waiting
    moved = advanced(swimmers, moves)
    after = at(moved, x, y) & moves
    picked = []
    for slot in range(DIVER_SLOTS):
        room = on_board < MOST_DIVERS
        picked.append((before | after)[:, slot] & room)
        on_board = on_board + picked[-1].to(on_board.dtype)
    wait = torch.where(moves, DIVER_MOVE_INTERVAL, swimmers["wait"] - 1)
    return remove(moved | {"wait": wait}, torch.stack(picked, dim=-1)), on_board


def _cross(enemies: Group, interval: Tensor, x: Tensor, y: Tensor) -> tuple[tuple[Tensor, Tensor], Group]:
    """Enemies move on; whether one was or came where the submarine is, and which ones moved and missed it."""
    moves = enemies["there"] & (enemies["wait"] == 0)
    met = at(enemies, x, y).any(-1)
    wait = torch.where(moves, interval.unsqueeze(-1), enemies["wait"] - 1)
    enemies = advanced(enemies, moves) | {"wait": wait}
    meets = at(enemies, x, y) & moves
    return (met | meets.any(-1), moves & ~meets), enemies


def _run_into(torpedoes: Group, enemies: Group, moving: Tensor) -> tuple[Group, Group, Tensor]:
    """Enemies that moved to where a torpedo is: each torpedo, the oldest first, takes the newest of them."""
    spent = []
    for slot in reversed(range(TORPEDO_SLOTS)):
        there, x, y = (torpedoes[name][:, slot] for name in ("there", "x", "y"))
        hit = newest(at(enemies, x, y) & moving & there.unsqueeze(-1))
        enemies = remove(enemies, hit)
        spent.append(hit.any(-1))
    hits = torch.stack(spent[::-1], dim=-1)
    return enemies, remove(torpedoes, hits), hits.sum(-1)


def _shoot(ships: Group, fires: Tensor, x: Tensor, y: Tensor) -> tuple[Group, Tensor]:
    """Ships shoot from where they are after their move, even those just hit; shots move on, and may hit."""
    shot_x = torch.where(fires, ships["x"], ships["shot_x"])
    shots = {
        "x": shot_x,
        "y": ships["y"],
        "right": ships["right"],
        "there": ships["shot_there"] | fires,
    }
    met = at(shots, x, y)
    shots = advanced(shots, shots["there"])
    hit = (met | at(shots, x, y)).any(-1)
    reload = torch.where(fires, SHIP_STEPS_PER_SHOT, ships["reload"] - 1)
    return ships | {"shot_x": shots["x"], "shot_there": shots["there"], "reload": reload}, hit

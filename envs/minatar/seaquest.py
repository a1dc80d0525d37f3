"""MinAtar Seaquest: shoot fish and enemy ships, pick up divers, and surface before the oxygen runs out."""

import numpy as np
import torch
from torch import Tensor

from envs.core import State
from envs.minatar import grid, slots
from envs.minatar.slots import Group, Place, advanced, at, newest, oldest, remove
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
FIELDS = {
    "torpedo": ("there", "right", "x", "y"),
    "swimmer": ("there", "right", "x", "y", "wait"),
    "fish": ("there", "right", "x", "y", "wait"),
    "ship": ("there", "right", "x", "y", "wait", "reload", "shot_x", "shot_there"),
}
_FRONT, _BACK, _TORPEDO, _TRAIL, _SHOT, _FISH, _SHIP, _OXYGEN, _ON_BOARD, _DIVER, _CHANNELS = range(11)


class Seaquest:
    """Reward 1 an enemy shot, and up to 10 for surfacing with six divers, by the oxygen left. Surfacing takes a diver,
    fills the oxygen and makes enemies faster. Terminates when an enemy or a shot hits, when the oxygen is used up, or
    when surfacing without a diver.

    State, int32 and bool: ``x``, ``y``, ``faces_right``, ``oxygen``, ``on_board`` (divers), ``at_surface``,
    ``spawn_interval``, ``spawn_timer``, ``diver_timer``, ``move_interval``, ``shot_timer``, ``ramp_level`` and
    ``last_action``, ``[N]``; groups of ``envs.minatar.slots``: ``fish``, ``ship``, ``torpedo``, ``swimmer`` (divers in
    the water). A ship has at most one shot under way, in its own row: ``shot_x``, ``shot_there``.

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
            **{kind: slots.none(key, fields) for kind, fields in FIELDS.items()},
        }

    def transition(self, state: State, action: Tensor, key: Tensor) -> tuple[State, Tensor, Tensor]:
        """Draws: whether the last action sticks; direction, kind and row of an enemy; direction and row of a diver."""
        draws = random.uniform(key, 6)
        action = grid.sticky(action, state["last_action"], draws[:, 0], self.sticky_action_probability)
        fish, ships = _with_new_enemy(state, draws[:, 1], draws[:, 2], draws[:, 3])
        swimmers = _with_new_diver(state, draws[:, 4], draws[:, 5])
        player, torpedoes = _steered(state, action)
        here = slots.place(player["x"], player["y"])

        torpedoes, fish, ships, reward = _fly(torpedoes, fish, ships)
        swimmers, on_board = _swim(swimmers, state["on_board"], here)
        interval = state["move_interval"]
        fires = ships["there"][0] & slots.is_zero(ships["reload"])
        (rammed, moving), ships = _cross(ships, interval, here)
        ships, torpedoes, hits = _run_into(torpedoes, ships, moving)
        ships, shot = _shoot(ships, fires, here)
        reward = reward + hits
        (bitten, moving), fish = _cross(fish, interval, here)
        fish, torpedoes, hits = _run_into(torpedoes, fish, moving)
        reward = reward + hits

        air, bonus, drowned = self._breathe(state, player["y"], on_board)
        following = (
            player
            | air
            | {
                "diver_timer": grid.counted_down(_restarted(state["diver_timer"], DIVER_SPAWN_INTERVAL)),
                "spawn_timer": grid.counted_down(_restarted(state["spawn_timer"], state["spawn_interval"])),
                "last_action": action,
                "torpedo": slots.ungroup(torpedoes),
                "swimmer": slots.ungroup(swimmers),
                "fish": slots.ungroup(fish),
                "ship": slots.ungroup(ships),
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
        fish, ships, swimmers = _of(state, "fish"), _of(state, "ship"), _of(state, "swimmer")
        marks = [
            grid.cells(_FRONT, y, x),
            grid.cells(_BACK, y, torch.where(state["faces_right"].unsqueeze(-1), x - 1, x + 1)),
            _cells(_TORPEDO, _of(state, "torpedo"), TORPEDO_SLOTS),
            _cells(_SHOT, _shots(ships), SHIP_SLOTS),
            _cells(_FISH, fish, FISH_SLOTS),
            _cells(_SHIP, ships, SHIP_SLOTS),
            _cells(_DIVER, swimmers, DIVER_SLOTS),
        ]
        for things, count in ((fish, FISH_SLOTS), (ships, SHIP_SLOTS), (swimmers, DIVER_SLOTS)):
            behind = slots.stepped(things["x"], ~things["right"][0])
            marks.append(_cells(_TRAIL, things | {"x": behind}, count))
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


def _of(state: State, kind: str) -> Group:
    return slots.group(state, kind, FIELDS[kind])


def _cells(channel: int, things: Group, count: int) -> Tensor:
    there, x, y = (slots.numbers(things[name], count) for name in ("there", "x", "y"))
    return grid.cells(channel, y, x, there != 0)


def _with_new_enemy(state: State, direction: Tensor, kind: Tensor, row: Tensor) -> tuple[Group, Group]:
    """Fish and ships, with a new one where it is time and nothing comes towards it in its row."""
    fish, ships = _of(state, "fish"), _of(state, "ship")
    right, y = direction < 0.5, _row(row)
    its_direction, its_row = slots.everywhere(right, 1)[0], slots.everywhere(y, slots.BITS["y"])
    opposite = [
        things["there"][0] & slots.equal(things["y"], its_row) & (things["right"][0] ^ its_direction)
        for things in (fish, ships)
    ]
    comes = (state["spawn_timer"] == 0) & (opposite[0] == 0) & (opposite[1] == 0)
    is_ship = kind < SHIP_PROBABILITY
    new = _newcomer(right, y) | {"wait": state["move_interval"], "reload": torch.full_like(y, SHIP_STEPS_PER_SHOT)}
    return (
        slots.inserted(fish, new, comes & ~is_ship, FISH_SLOTS),
        slots.inserted(ships, new, comes & is_ship, SHIP_SLOTS),
    )


def _with_new_diver(state: State, direction: Tensor, row: Tensor) -> Group:
    y = _row(row)
    new = _newcomer(direction < 0.5, y) | {"wait": torch.full_like(y, DIVER_MOVE_INTERVAL)}
    return slots.inserted(_of(state, "swimmer"), new, state["diver_timer"] == 0, DIVER_SLOTS)


def _row(draw: Tensor) -> Tensor:
    return (draw * ROWS).to(torch.int32) + 1


def _newcomer(right: Tensor, y: Tensor) -> State:
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
    return player, slots.inserted(_of(state, "torpedo"), new, fires, TORPEDO_SLOTS)


def _fly(torpedoes: Group, fish: Group, ships: Group) -> tuple[Group, Group, Group, Tensor]:
    """Torpedoes move on; each, the newest first, takes the oldest fish where it is, or else the oldest ship."""
    torpedoes = advanced(torpedoes, torpedoes["there"][0])
    spent = torch.zeros_like(torpedoes["there"][0])
    for slot in range(TORPEDO_SLOTS):
        there, where = _torpedo(torpedoes, slot)
        hit_fish = oldest(at(fish, where) & there)
        hit_ship = oldest(torch.where(hit_fish == 0, at(ships, where) & there, 0))
        fish, ships = remove(fish, hit_fish), remove(ships, hit_ship)
        spent = spent | ((hit_fish | hit_ship) != 0).to(torch.int64) << slot
    return remove(torpedoes, spent), fish, ships, _how_many(spent)


def _run_into(torpedoes: Group, enemies: Group, moving: Tensor) -> tuple[Group, Group, Tensor]:
    """Enemies that moved to where a torpedo is: each torpedo, the oldest first, takes the newest of them."""
    spent = torch.zeros_like(torpedoes["there"][0])
    for slot in reversed(range(TORPEDO_SLOTS)):
        there, where = _torpedo(torpedoes, slot)
        taken = newest(at(enemies, where) & moving & there)
        enemies = remove(enemies, taken)
        spent = spent | (taken != 0).to(torch.int64) << slot
    return enemies, remove(torpedoes, spent), _how_many(spent)


def _how_many(torpedoes: Tensor) -> Tensor:
    """Torpedoes that are marked: int64 ``[N]``."""
    total = torch.zeros_like(torpedoes)
    for slot in range(TORPEDO_SLOTS):
        total = total + (torpedoes >> slot & 1)
    return total


def _torpedo(torpedoes: Group, slot: int) -> tuple[Tensor, Place]:
    """Whether there is one in that slot, as a mark in all slots or in none, and where."""
    return -(torpedoes["there"][0] >> slot & 1), slots.place_of(torpedoes, slot)


def _swim(swimmers: Group, on_board: Tensor, here: Place) -> tuple[Group, Tensor]:
    """Divers are picked up where the submarine is, before and after they move, as long as there is room."""
    before = at(swimmers, here)
    moves = swimmers["there"][0] & slots.is_zero(swimmers["wait"])
    moved = _waiting(advanced(swimmers, moves), moves, torch.full_like(on_board, DIVER_MOVE_INTERVAL))
    met = before | (at(moved, here) & moves)
    picked = torch.zeros_like(met)
    for slot in range(DIVER_SLOTS):
        picks = (met >> slot & 1 != 0) & (on_board < MOST_DIVERS)
        picked = picked | picks.to(torch.int64) << slot
        on_board = on_board + picks.to(on_board.dtype)
    return remove(moved, picked), on_board


def _waiting(things: Group, moved: Tensor, interval: Tensor) -> Group:
    """Those that moved wait for an interval, the others one step less."""
    less = slots.stepped(things["wait"], torch.zeros_like(moved))
    return things | {"wait": slots.chosen(moved, slots.everywhere(interval, slots.BITS["wait"]), less)}


def _cross(enemies: Group, interval: Tensor, here: Place) -> tuple[tuple[Tensor, Tensor], Group]:
    """Enemies move on; whether one was or came where the submarine is, and which ones moved and missed it."""
    moves = enemies["there"][0] & slots.is_zero(enemies["wait"])
    met = at(enemies, here)
    enemies = _waiting(advanced(enemies, moves), moves, interval)
    meets = at(enemies, here) & moves
    return ((met | meets) != 0, moves & ~meets), enemies


def _shots(ships: Group) -> Group:
    return {"there": ships["shot_there"], "right": ships["right"], "x": ships["shot_x"], "y": ships["y"]}


def _shoot(ships: Group, fires: Tensor, here: Place) -> tuple[Group, Tensor]:
    """Ships shoot from where they are after their move, even those just hit; shots move on, and may hit."""
    shots = _shots(ships)
    shots |= {"x": slots.chosen(fires, ships["x"], shots["x"]), "there": (shots["there"][0] | fires,)}
    met = at(shots, here)
    shots = advanced(shots, shots["there"][0])
    hit = (met | at(shots, here)) != 0
    full = slots.everywhere(torch.full_like(fires, SHIP_STEPS_PER_SHOT), slots.BITS["reload"])
    reload = slots.chosen(fires, full, slots.stepped(ships["reload"], torch.zeros_like(fires)))
    return ships | {"shot_x": shots["x"], "shot_there": shots["there"], "reload": reload}, hit

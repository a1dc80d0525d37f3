"""Atari protocols and the table of scores."""

import subprocess
import sys

import pytest
from ale_py import roms

from envs.atari_scores import RANDOM_AND_HUMAN_SCORES, human_normalised
from envs.protocols import MACHADO, NATURE, PROTOCOLS, find_protocol


def test_protocols_are_found_by_name() -> None:
    assert find_protocol("nature") is NATURE and find_protocol("machado") is MACHADO
    assert all(name == protocol.name for name, protocol in PROTOCOLS.items())
    with pytest.raises(ValueError, match=r"'natural': did you mean 'nature'\? There are: nature, machado"):
        find_protocol("natural")


def test_scores_are_normalised_between_random_and_human() -> None:
    assert human_normalised("ALE/Breakout-v5", 1.7) == 0.0
    assert human_normalised("ALE/Breakout-v5", 30.5) == 1.0
    assert human_normalised("ALE/Pong-v5", 21.0) == pytest.approx(41.7 / 35.3)
    assert human_normalised("ALE/MsPacman-v5", 307.3) == 0.0
    assert human_normalised("ALE/Tetris-v5", 100.0) is None
    with pytest.raises(ValueError, match="did you mean ALE/Pong-v5"):
        human_normalised("ALE/Pongg-v5", 0.0)


def test_the_table_names_57_games_that_exist() -> None:
    assert len(RANDOM_AND_HUMAN_SCORES) == 57
    assert set(RANDOM_AND_HUMAN_SCORES) <= set(roms.get_all_rom_ids())
    assert all(human > random for random, human in RANDOM_AND_HUMAN_SCORES.values())


def test_what_command_lines_need_does_not_import_torch() -> None:
    modules = ["protocols", "atari_scores", "lookup", "seeding"]
    program = (
        "import sys; " + "; ".join(f"import envs.{module}" for module in modules) + "; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

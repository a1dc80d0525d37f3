"""Names of environments, and modules that register them."""

import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from agents.runs.presets import family, preset
from envs.lookup import find_spec, is_atari, is_on_tensors, same_game

ROOT = Path(__file__).parents[2]
REGISTERS = "import gymnasium\ngymnasium.register('Mine-v0', 'gymnasium.envs.classic_control.cartpole:CartPoleEnv')\n"


@pytest.mark.parametrize(
    ("env_id", "atari", "on_tensors", "kind", "game"),
    [
        ("ALE/Pong-v5", True, False, "Atari", None),
        ("ale_py:ALE/Pong-v5", True, False, "Atari", None),
        ("Pong-v4", True, False, "Atari", "ALE/Pong-v5"),
        ("MsPacmanNoFrameskip-v4", True, False, "Atari", "ALE/MsPacman-v5"),
        ("rlsuite/CartPole-v1", False, True, "CartPole", None),
        ("envs:rlsuite/CartPole-v1", False, True, "CartPole", None),
        ("envs.registration:rlsuite/MinAtar-Breakout-v0", False, True, "MinAtar", None),
        ("CartPole-v1", False, False, "CartPole", None),
        ("gymnasium:CartPole-v1", False, False, "CartPole", None),
    ],
)
def test_the_registry_says_of_what_kind_a_name_is(
    env_id: str, atari: bool, on_tensors: bool, kind: str, game: str | None
) -> None:
    assert (is_atari(env_id), is_on_tensors(env_id), family(env_id), same_game(env_id)) == (
        atari,
        on_tensors,
        kind,
        game,
    )


def test_presets_follow_the_kind_not_the_spelling() -> None:
    assert preset("dqn", "ale_py:ALE/Pong-v5") == preset("dqn", "ALE/Pong-v5") == preset("dqn", "Pong-v4") != {}
    with pytest.raises(ValueError, match="unknown environment 'ALE/Pog-v5': did you mean ALE/Pong-v5"):
        preset("dqn", "ALE/Pog-v5")


def test_a_class_as_entry_point_has_a_kind_too() -> None:
    from ale_py.env import AtariEnv

    gymnasium.register("OwnPong-v0", AtariEnv, kwargs={"game": "pong"})
    try:
        assert is_atari("OwnPong-v0") and same_game("OwnPong-v0") == "ALE/Pong-v5"
    finally:
        del gymnasium.registry["OwnPong-v0"]


def test_no_torch_is_loaded_to_find_a_preset() -> None:
    code = (
        "import sys; from agents.runs.presets import preset; preset('dqn', 'rlsuite/CartPole-v1'); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "gymnasium" in loaded.split() and "torch" not in loaded.split()


def test_modules_in_the_current_folder_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    (tmp_path / "module_of_mine.py").write_text(REGISTERS)
    try:
        assert find_spec("module_of_mine:Mine-v0").name == "Mine"
        assert sys.path[-1] == str(tmp_path)  # last: nothing in it hides what is installed
    finally:
        gymnasium.registry.pop("Mine-v0", None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "cannot import the module of environment 'module_that_fails:Mine-v0': ZeroDivisionError: division"),
        ("\nraise OSError('no\\nlicence')", r"OSError: no licence \(.*module_that_fails\.py, line 2\)$"),
        ("import sys; sys.exit(5)", r"SystemExit: 5 \(.*module_that_fails\.py, line 1\)$"),
        (
            "import envs.of_mine",
            "No module named 'envs.of_mine'. 'envs' is a package of rlsuite: a folder or module of",
        ),
    ],
)
def test_modules_that_cannot_be_imported_are_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "module_that_fails.py").write_text(source)
    with pytest.raises(ValueError, match=message):
        find_spec("module_that_fails:Mine-v0")


def test_a_package_of_somebody_elses_with_our_name_is_explained() -> None:
    with pytest.raises(ValueError, match="unknown environment 'Mine-v0'.*'envs' is a package of rlsuite"):
        find_spec("envs:Mine-v0")


def test_folders_with_the_names_of_our_packages_do_not_hide_them(tmp_path: Path) -> None:
    for name in ("agents", "envs", "rlsuite"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('not ours')")
    (tmp_path / "module_of_mine.py").write_text(REGISTERS)
    arguments = ["--env", "module_of_mine:Mine-v0", "--help"]
    told = subprocess.run(
        [sys.executable, ROOT / "scripts" / "train.py", "dqn", *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0 and "--num-envs" in told.stdout, told.stderr

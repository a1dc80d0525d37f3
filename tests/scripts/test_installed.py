"""The command ``rlsuite`` of a wheel, unpacked away from the checkout."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agents.cli.command import COMMANDS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the packages of the wheel."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for name in ("pyproject.toml", "README.md", "LICENSE", "rlsuite", "agents", "envs", "scripts", "tests"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(site)]
    done = subprocess.run(build, cwd=source, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"no wheel can be built here: {(done.stderr.strip().splitlines() or ['no pip'])[-1]}")
    (wheel,) = site.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def rlsuite(installed, folder, *arguments):
    (entry_points,) = installed.glob("*.dist-info/entry_points.txt")
    module, function = entry_points.read_text().split("rlsuite = ")[1].split()[0].split(":")
    code = f"import {module} as started; assert started.__file__.startswith({str(installed)!r}); started.{function}()"
    environment = os.environ | {"PYTHONPATH": str(installed), "WANDB_SILENT": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_a_wheel_holds_the_three_packages_only(installed):
    assert {path.name for path in installed.iterdir() if path.is_dir() and path.suffix == ""} == {
        "agents",
        "envs",
        "rlsuite",
    }


def test_the_page_of_the_browser_comes_along(installed):
    page = ROOT / "agents" / "runs" / "browser" / "page"
    names = {path.name for path in page.iterdir()}
    assert "index.html" in names
    assert {path.name for path in (installed / page.relative_to(ROOT)).iterdir()} == names


def test_without_arguments_it_lists_its_commands(installed, tmp_path):
    done = rlsuite(installed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "benchmark"])
def test_every_command_helps_under_its_own_name(name, installed, tmp_path):
    done = rlsuite(installed, tmp_path, name, "--help")
    assert done.returncode == 0, done.stderr
    assert f"rlsuite {name} " in done.stdout and "python scripts" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["trian"], "rlsuite: there is no command 'trian': did you mean 'train'?"),
        (["train", "dqnn", "--env", "CartPole-v1"], "rlsuite train: there is no agent 'dqnn': did you mean 'dqn'?"),
        (["evaluate", "runs/none"], "rlsuite evaluate: there is no folder runs/none"),
        (["benchmark", "replay"], "rlsuite benchmark: benchmarks are part of the repository"),
    ],
    ids=" ".join,
)
def test_what_is_wrong_is_said_in_a_line(arguments, complaint, installed, tmp_path):
    done = rlsuite(installed, tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith(complaint) and len(done.stderr.splitlines()) == 1


def test_it_trains(installed, tmp_path):
    options = "--total-env-steps 40 --evaluate-every-env-steps 20 --evaluation-episodes 1 --final-episodes 1 --hidden 8"
    done = rlsuite(installed, tmp_path, "train", "dqn", "--env", "CartPole-v1", "--name", "run", "--no-video",
                   "--wandb", "disabled", *options.split())  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert '"rlsuite train"' in (tmp_path / "runs" / "run" / "config.json").read_text()

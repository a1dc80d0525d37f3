"""The scripts as people run them: real processes, real arguments, wrong arguments."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlsuite.tracking.jsonl import read_metrics

ROOT = Path(__file__).parents[2]
QUICK = ["--total-env-steps", "600", "--evaluate-every-env-steps", "300", "--learning-starts-env-steps", "100"]
SMALL = ["--hidden", "16", "--evaluation-episodes", "2", "--train-every-env-steps", "20", "--updates-per-train", "1"]
ENVIRONMENT = os.environ | {"SDL_VIDEODRIVER": "dummy", "OMP_NUM_THREADS": "1", "WANDB_SILENT": "true"}
for name in ("DISPLAY", "WAYLAND_DISPLAY", "WANDB_API_KEY", "WANDB_MODE", "RLSUITE_TRACE"):
    ENVIRONMENT.pop(name, None)


def script(name, *arguments, folder, **options):
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with one finished run of two seeds, tracked offline."""
    folder = tmp_path_factory.mktemp("people")
    options = ["--seeds", "2", "--name", "first", "--wandb", "offline", *QUICK, *SMALL]
    done = script("train", "dqn", "--env", "CartPole-v1", *options, folder=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_training_leaves_everything_it_promises(trained):
    folder, done = trained
    run = folder / "runs" / "first"
    report = json.loads((run / "evaluation.json").read_text())
    assert report["protocol"] == "greedy" and report["episodes"] == 100
    assert len(report["per_seed_mean"]) == 2 and report["ci95"][0] <= report["iqm"] <= report["ci95"][1]
    assert read_metrics(run / "metrics.jsonl")["evaluation/score"].values.shape == (2, 2)
    assert (run / "learning_curve.png").stat().st_size > 10_000
    assert (run / "videos" / "final.mp4").stat().st_size > 1_000
    assert {path.name for path in (run / "checkpoint").iterdir()} == {"best", "last", "previous"}
    assert list((run / "wandb").glob("offline-run-*/*.wandb"))
    assert "score of each seed" in done.stdout and "env steps" in done.stdout


def test_a_finished_run_is_evaluated_watched_and_compared(trained, script_here):
    folder, _ = trained
    status, said = script_here("evaluate", "runs/first", "--episodes", 5, "--checkpoint", "best", folder=folder)
    assert status == 0, said
    assert json.loads((folder / "runs/first/evaluation.json").read_text())["episodes"] == 5
    status, said = script_here("watch", "runs/first", "--record", "out.gif", folder=folder)
    assert status == 0, said
    assert (folder / "out.gif").read_bytes()[:3] == b"GIF"
    status, said = script_here("compare", "runs/first", "runs/first", "--out", "figure.pdf", folder=folder)
    assert status == 0, said
    assert (folder / "figure.pdf").read_bytes()[:4] == b"%PDF"
    assert "IQM" in said


def test_ctrl_c_saves_and_the_run_goes_on(tmp_path, script_here):
    options = ["--name", "long", "--wandb", "disabled", "--no-video", *SMALL, "--total-env-steps", "100000"]
    command = [sys.executable, str(ROOT / "scripts" / "train.py"), "dqn", "--env", "CartPole-v1", *options]
    running = subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "runs" / "long" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    output, errors = running.communicate(timeout=120)
    assert running.returncode == 130, errors
    assert f"go on with: python {command[1]} --resume runs/long" in output and "Traceback" not in errors
    stopped_at = read_metrics(metrics)["speed/env_steps_per_second"].env_steps[-1]
    longer = ["--total-env-steps", stopped_at + 3000]
    status, said = script_here("train", "--resume", "runs/long", *longer, folder=tmp_path)
    assert status == 0, said
    assert read_metrics(metrics)["speed/env_steps_per_second"].env_steps[-1] >= stopped_at + 3000


@pytest.mark.slow
def test_a_sweep_interrupted_twice_ends_with_every_run(tmp_path):
    options = ["--wandb", "disabled", "--no-video", "--final-episodes", "2", *SMALL, "--total-env-steps", "8000"]
    command = ["dqn", "--env", "CartPole-v1,Acrobot-v1", "--learning-rate", "1e-3,3e-4", "--name", "lr", *options]
    train = tmp_path / "runs" / "lr" / "dqn-CartPole-v1"
    lines = 0
    for arguments in (command, ["--resume", "runs/lr"]):
        running = subprocess.Popen(
            [sys.executable, str(ROOT / "scripts" / "sweep.py"), *arguments, "--jobs", "2"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 300
        while (
            len(_lines(train / "metrics.jsonl")) < lines + 3 and time.monotonic() < deadline and running.poll() is None
        ):
            time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=120)
        assert running.returncode == 130, output
        assert "2 stopped; go on with: python" in output and "--resume runs/lr" in output
        assert len(_lines(train / "metrics.jsonl")) >= lines + 3
        lines = len(_lines(train / "metrics.jsonl"))
    done = script("sweep", *command, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/lr/CartPole-v1.png").exists() and (tmp_path / "runs/lr/Acrobot-v1.png").exists()
    steps = [json.loads(line)["env_steps"] for line in _lines(train / "metrics.jsonl")]
    assert steps == sorted(steps) and steps[-1] == 8_000
    changed = script("sweep", *command, "--batch-size", "64", folder=tmp_path)
    assert changed.returncode == 1 and "is a sweep with other settings" in changed.stderr


def _lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["train", "dqnn", "--env", "CartPole-v1"], "did you mean 'dqn'"),
        (["train", "dqn", "--env", "CartPol-v1"], "CartPole-v1"),
        (["train", "dqn", "--env", "ALE/Pang-v5"], "ALE/Pong-v5"),
        (["train", "dqn", "--env", "CartPole-v1", "--preset", "Cartpole"], "did you mean 'CartPole'"),
        (["train", "dqn", "--env", "CartPole-v1", "--batch-size", "-1"], "--batch-size must be at least 1"),
        (["train", "dqn", "--env", "CartPole-v1", "--num-envs", "0"], "--num-envs must be at least 1"),
        (["train", "dqn", "--env", "CartPole-v1", "--device", "cuda:7"], "not usable here"),
        (["train", "dqn", "--env", "CartPole-v1", "--hidden"], "--hidden needs at least one number"),
        (["train", "dqn", "--env", "CartPole-v1", "--target-return", "nan"], "--target-return must be finite"),
        (["train", "dqn", "--env", "CartPole-v1", "--env-kwargs", "size"], "is not NAME=VALUE"),
        (["train", "dqn", "--env", "CartPole-v1", "--env-kwargs", "size=3"], "cannot make CartPole-v1 with"),
        (["train", "dqn", "--env", "CartPole-v1", "--encoder", "nature"], "needs pictures"),
        (["train", "dqn", "--env", "Pendulum-v1"], "dqn needs a Discrete action space"),
        (["train", "ddpg", "--env", "CartPole-v1"], "ddpg needs a bounded Box"),
        (["train", "--resume", "runs/none"], "there is no folder"),
        (["evaluate", "runs/none"], "there is no folder"),
        (["watch", "runs/none"], "there is no folder"),
        (["compare", "runs/none"], "there is no folder"),
        (["supervised", "digits-lenett"], "did you mean 'digits-lenet'"),
        (["supervised", "digits-lenet", "--learning-rate", "nan"], "--learning-rate must be finite"),
        (["supervised", "--resume", "runs/none"], "there is no folder"),
        (["supervised", "list", "digits"], "list takes nothing else, not 'digits'"),
        (["supervised", "digits-lenet", "--resume", "--name", "none"], "--resume comes first"),
        (["sweep", "dqn", "--env", "CartPole-v1"], "a sweep needs a --name"),
        (["sweep", "dqn", "--env", "CartPole-v1", "--name", "a", "--jobs", "0"], "--jobs must be at least 1, not 0"),
        (["sweep", "dqn", "--env", "CartPole-v1,CartPol-v1", "--name", "a"], "CartPole-v1"),
        (["sweep", "--resume", "runs/none"], "is not a sweep"),
        (["tune", "dqn", "--env", "CartPole-v1", "--rungs", "9", "--total-env-steps", "99"], "leave no env step"),
        (["tournament", "runs/a", "runs/a"], "name each run once"),
        (["tournament", "runs/a", "--opponents", "random", "random"], "name each of --opponents once"),
        (["equilibrium", "growth", "--damping", "inf"], "--damping must be finite"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_arguments_are_answered_in_a_line_or_two(arguments, complaint, tmp_path, script_here):
    status, said = script_here(*arguments, folder=tmp_path)
    assert status in (1, 2)
    assert complaint in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []  # the name is still free


@pytest.mark.parametrize(
    "words", ["train", "train td3", "evaluate", "watch", "compare", "sweep", "tune", "supervised", "benchmark"]
)
def test_help_answers_without_torch(words, tmp_path):
    name, *agent = words.split()
    code = (
        f"import runpy, sys; sys.argv = {[name + '.py', *agent, '--help']}\n"
        f"sys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
        f"try: runpy.run_path({str(ROOT / 'scripts' / (name + '.py'))!r}, run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower() or f"scripts/{name}.py" in done.stdout


@pytest.mark.parametrize(("chosen", "spin_count"), [({}, "20000"), ({"OMP_WAIT_POLICY": "active"}, "None")])
def test_threads_that_wait_leave_the_cores_to_other_runs_unless_told_otherwise(chosen, spin_count):
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in ("GOMP_SPINCOUNT", *chosen)}
    say = "import os, sys, agents.cli.train; print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT'))"
    path = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", say], env=environment | chosen | path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", spin_count]

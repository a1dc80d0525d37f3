from pathlib import Path
from typing import Any

import pytest
import torch

from agents.ddpg import DDPGConfig
from agents.dqn import DQNConfig
from agents.options import RunConfig
from agents.r2d2 import R2D2Config
from agents.reinforce import ReinforceConfig
from agents.runs.run import Run, spaces_of
from agents.runs.sources import require_room_for
from rlsuite.training import room
from rlsuite.training.room import free_bytes, require_room

CPU = torch.device("cpu")
GIB = 1 << 30


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GiB available, and no control groups yet."""
    monkeypatch.setattr(room, "_SYSTEM", tmp_path / "proc")
    monkeypatch.setattr(room, "_GROUPS", tmp_path / "groups")
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {8 * GIB >> 10} kB\n")
    return tmp_path


def group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_without_groups_the_system_says_what_is_free(system: Path) -> None:
    assert free_bytes(CPU) == 8 * GIB


def test_what_no_file_tells_is_unknown_and_nothing_is_refused(system: Path) -> None:
    (system / "proc" / "meminfo").unlink()
    assert free_bytes(CPU) is None
    require_room("the replay", "--replay-capacity", 100, 1 << 60, 1.0, CPU)


def test_the_tightest_group_of_version_2_counts_without_its_page_cache(system: Path) -> None:
    (system / "proc" / "self" / "cgroup").write_text("0::/job/step\n")
    group(system / "groups" / "job" / "step", memory__max="max", memory__current=GIB)
    stat = f"anon 5\ninactive_file {GIB}"
    group(system / "groups" / "job", memory__max=4 * GIB, memory__current=3 * GIB, memory__stat=stat)
    assert free_bytes(CPU) == 2 * GIB


@pytest.mark.parametrize("place", ["/", "/of/the/host"])  # a container may see either as the name of its own group
def test_the_group_of_a_container_counts(system: Path, place: str) -> None:
    (system / "proc" / "self" / "cgroup").write_text(f"0::{place}\n")
    group(system / "groups", memory__max=3 * GIB, memory__current=GIB)
    assert free_bytes(CPU) == 2 * GIB


def test_groups_of_version_1_count(system: Path) -> None:
    (system / "proc" / "self" / "cgroup").write_text("5:cpu,cpuacct:/a\n4:memory:/a\n1:name=systemd:/a\n")
    group(system / "groups" / "memory", memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=GIB)
    stat = f"inactive_file 1\ntotal_inactive_file {GIB}"
    limit = {"memory__limit_in_bytes": 4 * GIB, "memory__usage_in_bytes": 2 * GIB, "memory__stat": stat}
    group(system / "groups" / "memory" / "a", **limit)
    assert free_bytes(CPU) == 3 * GIB


def test_what_does_not_fit_is_refused_with_what_would(system: Path) -> None:
    message = (
        r"^the replay needs 16\.0 GiB of memory for --replay-capacity 100000, and cpu has 8\.0 GiB free: "
        r"--replay-capacity 40000 fits$"
    )
    with pytest.raises(ValueError, match=message):
        require_room("the replay", "--replay-capacity", 100_000, 16 * GIB, 1.0, CPU)
    require_room("the replay", "--replay-capacity", 40_000, 16 * GIB * 40_000 // 100_000, 1.0, CPU)
    require_room("the replay", "--replay-capacity", 100_000, 16 * GIB, 0.4, CPU)  # the run ends before it is full


def test_what_the_system_does_not_grant_is_refused_though_it_would_never_be_filled(system: Path) -> None:
    with pytest.raises(ValueError, match=r"the replay needs 268435456\.0 GiB of memory"):
        require_room("the replay", "--replay-capacity", 10**9, GIB << 28, 1e-9, CPU)


@pytest.mark.parametrize(
    ("agent", "config", "remedy"),
    [
        ("dqn", DQNConfig(env="CartPole-v1", seeds=4, total_env_steps=10**6), r"--replay-capacity \d+0 fits"),
        ("dqn", DQNConfig(env="rlsuite/CartPole-v1", seeds=4, workers=2, shards=4), r"--replay-capacity \d+0 fits"),
        ("dqn", DQNConfig(env="ALE/Pong-v5", total_env_steps=10**6), r"--replay-capacity \d+0 fits"),
        ("ddpg", DDPGConfig(env="Pendulum-v1", total_env_steps=10**6), r"--replay-capacity \d+0 fits"),
        ("reinforce", ReinforceConfig(env="CartPole-v1", rollout_env_steps=10**5), r"--rollout-env-steps \d+0 fits"),
    ],
)
def test_a_run_whose_experience_does_not_fit_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agent: str, config: RunConfig, remedy: str
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda device: 2 << 20)
    with pytest.raises(ValueError, match=remedy):
        run = Run(tmp_path, agent, config)
        require_room_for(run, spaces_of(run))


def test_the_seeds_of_all_workers_count_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusal(**options: int) -> str:
        run = Run(tmp_path, "dqn", DQNConfig(env="CartPole-v1", **options))
        with pytest.raises(ValueError) as refused:
            require_room_for(run, spaces_of(run))
        return str(refused.value)

    monkeypatch.setattr(room, "free_bytes", lambda device: 2 << 20)
    assert refusal(seeds=4, workers=2) == refusal(seeds=4, workers=1) != refusal(seeds=8, workers=2)


def test_what_an_agent_and_a_sampler_keep_beside_each_step_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gibibytes(agent: str, config: RunConfig) -> float:
        run = Run(tmp_path, agent, config)
        with pytest.raises(ValueError) as refused:
            require_room_for(run, spaces_of(run))
        return float(str(refused.value).split(" needs ")[1].split()[0])

    monkeypatch.setattr(room, "free_bytes", lambda device: 2 << 20)
    shared: dict[str, Any] = {"env": "CartPole-v1", "hidden": (8,), "total_env_steps": 10**8}
    small, large = (
        gibibytes("r2d2", R2D2Config(**shared, replay_capacity=10**7, memory_units=units)) for units in (2, 256)
    )
    assert large - small > 0.7  # a memory of 256 numbers every 12 steps
    plain, prioritised = (
        gibibytes("dqn", DQNConfig(**shared, replay_capacity=10**8, replay_priority_exponent=alpha))
        for alpha in (0.0, 0.6)
    )
    assert prioritised - plain > 0.2  # a priority each

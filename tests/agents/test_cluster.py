"""A sweep on a Ray cluster; skipped without Ray."""

import os
import socket
import sys

import pytest

pytest.importorskip("ray")

from agents.runs import sweeping
from agents.runs.cluster import Cluster, _require_resources
from agents.runs.sweep_folder import Member, begin

NODES = [{"Resources": {"CPU": 4.0}}, {"Resources": {"CPU": 2.0, "GPU": 1.0}}]


def member(name="a", cores=1, gpus=0):
    return Member(name, "dqn", [], "CartPole-v1", 100, 1, cores, gpus)


def test_a_cluster_that_is_not_there_is_said_in_a_line():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ValueError, match=rf"no Ray cluster answers at 127.0.0.1:{port} \(Connection refused\)"):
        Cluster(f"127.0.0.1:{port}", [])
    with pytest.raises(ValueError, match="--cluster is HOST:PORT or auto, not somewhere"):
        Cluster("somewhere", [])


def test_a_resource_that_no_host_has_is_named():
    _require_resources(member(cores=4), NODES)
    _require_resources(member(cores=2, gpus=1), NODES)
    with pytest.raises(ValueError, match="a needs 4 CPUs and 1 GPU, and no host of the cluster has them"):
        _require_resources(member(cores=4, gpus=1), NODES)
    with pytest.raises(ValueError, match=r"a needs 8 CPUs, and no host .*\(at most 4 CPUs, 0 GPUs\)"):
        _require_resources(member(cores=8), NODES)


@pytest.mark.slow
def test_runs_of_a_cluster_end_and_one_whose_process_is_killed_goes_on(tmp_path, monkeypatch):
    import ray

    program = tmp_path / "program.py"
    program.write_text(
        "import os, pathlib, signal, sys\n"
        "calls = pathlib.Path(sys.argv[-3]) / (sys.argv[-1] + '.calls')\n"
        "calls.open('a').write('called\\n')\n"
        "if sys.argv[-1] == 'fails': sys.exit('it is made of cheese')\n"
        "if sys.argv[-1] == 'killed' and len(calls.read_text().split()) == 1: os.kill(os.getppid(), signal.SIGKILL)\n"
    )
    monkeypatch.setattr("agents.runs.cluster._connect", lambda address: None)
    sweep = begin(tmp_path / "a", [member("trains"), member("fails"), member("killed")])
    path = os.pathsep.join(path for path in sys.path if path)
    ray.init(address="local", num_cpus=2, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    try:
        counts = sweeping.run(sweep, Cluster("auto", [sys.executable, str(program)]))
    finally:
        ray.shutdown()
    assert counts == {"finished": 2, "failed": 1}
    assert (tmp_path / "a" / "killed.calls").read_text().count("\n") == 2
    assert [path for path in (tmp_path / "a").iterdir() if "shared" in path.name] == []

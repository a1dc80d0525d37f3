"""A sweep on hosts of which one is lost: network namespaces of this machine, each with a node of a Ray cluster.

Skipped without Ray, or without the rights to make network namespaces.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")

ROOT = Path(__file__).parents[2]
HEAD = "10.77.0.1"
# Hosts have one token, without which a cluster lets none of them in.
ENVIRONMENT = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a5" * 32}
ENVIRONMENT |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
SECONDS = 20
PROGRAM = f"""
import os, pathlib, sys, time
with (pathlib.Path(sys.argv[-3]) / f"{{sys.argv[-1]}}.calls").open("a") as calls:
    calls.write(f"{{os.stat('/proc/self/ns/net').st_ino}}\\n")
time.sleep({SECONDS})
"""
DRIVER = f"""
import sys
from pathlib import Path
from agents.runs import sweeping
from agents.runs.cluster import Cluster
from agents.runs.sweep_folder import Member, begin
folder, program = sys.argv[1:]
members = [Member(f"run-{{k}}", "dqn", [], "CartPole-v1", 100, 1, 1, 0) for k in range(4)]
cluster = Cluster("{HEAD}:6379", [sys.executable, program])
print(sweeping.run(begin(Path(folder), members), cluster))
"""


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


class Host:
    """A network namespace with a link to a switch, and what runs in it."""

    def __init__(self, switch: str, number: int):
        self.name, self.address = f"{switch}-{number}", f"10.77.0.{number}"
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")
        link = f"v{switch}{number}"
        ip("-n", switch, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        ip("-n", switch, "link", "set", link, "master", "br0", "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def start(self, output: Path, *command):
        own = ["ip", "netns", "exec", self.name, *command]
        with output.open("w") as file:
            return subprocess.Popen(own, start_new_session=True, env=ENVIRONMENT, stdout=file, stderr=file)

    @property
    def inode(self):
        return ip("netns", "exec", self.name, "stat", "-L", "-c", "%i", "/proc/self/ns/net").strip()

    def kill(self):
        """At once, with all that it runs."""
        for pid in ip("netns", "pids", self.name).split():
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def hosts(tmp_path):
    """Three hosts, of which the first is the head of a cluster."""
    switch = f"rl{os.getpid()}"
    if shutil.which("ip") is None or subprocess.run(["ip", "netns", "add", switch], capture_output=True).returncode:
        pytest.skip("needs iproute2 and the right to make network namespaces")
    made = []
    try:
        ip("-n", switch, "link", "add", "br0", "type", "bridge")
        ip("-n", switch, "link", "set", "br0", "up")
        made += [Host(switch, number) for number in (1, 2, 3)]
        for host in made:
            own = ["--head", "--port", "6379", "--include-dashboard", "false"]
            own = own if host.address == HEAD else ["--address", f"{HEAD}:6379"]
            own += ["--node-ip-address", host.address, "--num-cpus", "1", "--object-store-memory", "80000000"]
            node = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats", *own]
            log = tmp_path / f"{host.address}.log"
            assert host.start(log, *node).wait(240) == 0, log.read_text()
        yield made
    finally:
        for host in made:
            host.kill()
            ip("netns", "del", host.name)
        ip("netns", "del", switch)


@pytest.mark.slow
def test_a_sweep_ends_with_every_run_though_a_host_is_killed(tmp_path, hosts):
    program, folder, said = tmp_path / "program.py", tmp_path / "sweep", tmp_path / "said"
    program.write_text(PROGRAM)
    lost = hosts[2].inode
    sweep = hosts[0].start(said, sys.executable, "-c", DRIVER, str(folder), str(program))

    def calls():
        return {path.stem: path.read_text().split() for path in sorted(folder.glob("*.calls"))}

    began = time.time()
    while not any(lost in inodes for inodes in calls().values()):
        assert sweep.poll() is None and time.time() < began + 240, said.read_text()
        time.sleep(0.2)
    hosts[2].kill()
    assert sweep.wait(300) == 0 and "{'finished': 4}" in said.read_text()
    moved = [inodes for inodes in calls().values() if len(inodes) > 1]
    assert len(calls()) == 4 and moved and all(inodes[0] == lost != inodes[-1] for inodes in moved)

"""Runs whose Weights & Biases does not work."""

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from forks import ROOT, Running
from plans import PLANS, Plan, differences
from trials import Fault, Trials, faults_of

sys.path.append(str(ROOT / "tests" / "tracking"))
from wandb_server import WandbServer, _Handler

PROMISE = "Whatever happens to Weights & Biases costs a run a line of warning, and no metric."
HOW = (
    "runs log to a local server that is unreachable, hangs, answers 500, nonsense or nothing, is slow, or stops "
    "half-way; W&B's own process is killed or stopped; the package is missing. Compared with a run that logs nowhere."
)
_NAMES = ("dqn", "supervised", "reinforce")
_SETTINGS = {
    "WANDB_API_KEY": "0123456789" * 4,
    "WANDB_INIT_TIMEOUT": "10",  # seconds
    "WANDB_FINISH_TIMEOUT": "10",
    "WANDB_HTTP_TIMEOUT": "5",
}
_AT_ONCE = ("hangs", "errors", "nonsense", "resets", "slow")
_HALF_WAY = ("well", "hangs later", "errors later")
_ITSELF = ("killed", "stopped", "missing", "unreachable")
_PATIENCE_SECONDS = 150.0
_REQUESTS_BEFORE = 6  # that are answered well by what fails later


class _Faulty(_Handler):
    fault = ""
    answered = itertools.count()

    def do_POST(self) -> None:
        is_later = self.fault.endswith("later")
        if self.fault in ("", "well") or (is_later and next(self.answered) < _REQUESTS_BEFORE):
            super().do_POST()
            return
        match self.fault.removesuffix(" later"):
            case "hangs":
                time.sleep(1_000)
            case "errors":
                self._body()
                self.send_error(500)
            case "nonsense":
                self._body()
                self._reply(["nonsense"])
            case "resets":
                self.connection.shutdown(socket.SHUT_RDWR)
            case "slow":
                time.sleep(0.5)
                super().do_POST()

    do_GET = do_POST


def trials(draw: random.Random, folder: Path) -> Trials:
    known: set[str] = set()
    faults = [*_AT_ONCE, *_HALF_WAY, *_ITSELF]
    draw.shuffle(faults)
    for number, fault in enumerate(itertools.cycle(faults)):
        name = _NAMES[number % len(_NAMES)]
        plan, whole = PLANS[name], folder / f"whole {name}"
        if name not in known:
            known.add(name)
            yield faults_of(plan.finish(whole), "without W&B", (0,))
        yield logged(Plan(plan.start.replace("--wandb disabled", "--wandb online"), plan.resume), fault, whole, folder)
        shutil.rmtree(folder / "logged")


def logged(plan: Plan, fault: str, whole: Path, folder: Path) -> list[Fault]:
    logged = folder / "logged"
    (folder / "home").mkdir(exist_ok=True)
    with server(fault) as url:
        environment = {**_SETTINGS, "WANDB_BASE_URL": url, "HOME": str(folder / "home")}
        running = plan.go_on(logged, environment=environment, prepare=_preparation(fault))
        if fault in ("killed", "stopped"):
            _signal_wandb(running, signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        ended = running.wait(_PATIENCE_SECONDS)
    faults = faults_of(ended, f"W&B: {fault}", (0,))
    differing = differences(whole, logged)
    if differing and not faults:
        faults.append(Fault("difference", "\n".join([plan.start, f"W&B: {fault}", *differing])))
    return faults


@contextlib.contextmanager
def server(fault: str) -> Iterator[str]:
    """A server in a process of its own, since this one must stay single-threaded; yields its address."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        serving = WandbServer()
        _Faulty.fault = fault
        serving.RequestHandlerClass = _Faulty
        os.write(writing, serving.url.encode())
        os.close(writing)
        if fault == "unreachable":
            os._exit(0)
        while True:
            signal.pause()
    os.close(writing)
    with os.fdopen(reading) as pipe:
        url = pipe.read()
    try:
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _preparation(fault: str) -> Callable[[], None] | None:
    def missing() -> None:
        sys.modules["wandb"] = None

    return missing if fault == "missing" else None


def _signal_wandb(running: Running, number: int) -> None:
    """Send a signal to W&B's own process as soon as there is one."""
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        for pid, command in running.others().items():
            if "wandb-core" in command or "gpu_stats" in command:
                time.sleep(0.5)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                return
        time.sleep(0.05)

"""W&B as on a fresh machine, and a server for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from wandb_server import FAKE_KEY, WandbServer


@pytest.fixture
def fresh_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A W&B that knows no key, no settings and no earlier test."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "no-netrc"))
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "30")  # seconds; only the tests without a server get that far
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "30")
    yield
    wandb.teardown()


@pytest.fixture
def server(fresh_wandb: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    server = WandbServer()
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    yield server
    server.stop()

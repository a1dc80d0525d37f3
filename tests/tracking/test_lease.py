"""A superseded session writes nothing after its successor began."""

import os

import pytest
import torch

from rlsuite.tracking import lease as leases
from rlsuite.tracking import run_folder
from rlsuite.tracking.jsonl import JsonlWriter
from rlsuite.tracking.lease import SupersededError, partial, require_lease
from rlsuite.tracking.record import Clock
from rlsuite.training import checkpoint
from rlsuite.training.checkpoint import Checkpoints


def content(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def take_over(folder, monkeypatch):
    """Another process's session, which holds the lease from now on."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(leases, "_held", {})
        elsewhere.setattr(os, "getpid", lambda: 4711)
        with run_folder.locked(folder, take_over=True):
            pass


def state(number):
    return {"number": number, "tensor": torch.full((3,), float(number))}


def test_a_superseded_session_changes_no_byte(tmp_path, monkeypatch):
    folder = run_folder.create(tmp_path, "a", "", {"agent": "dqn"})
    with run_folder.locked(folder):
        writer, checkpoints = JsonlWriter(folder / "metrics.jsonl"), Checkpoints(folder / "checkpoint")
        writer.log(Clock(1, 1, 1.0), {"loss": 1.0})
        checkpoints.save_last(state(1))
        checkpoints.save_last(state(2))
        take_over(folder, monkeypatch)
        before = content(folder)
        for write in (
            lambda: writer.log(Clock(2, 2, 2.0), {"loss": 2.0}),
            writer.sync,
            lambda: checkpoints.save_last(state(3)),
            lambda: checkpoints.save_best(state(3)),
            lambda: run_folder.write(folder, {"agent": "ppo"}),
            lambda: Checkpoints(folder / "checkpoint").save_last(state(3)),
        ):
            with pytest.raises(SupersededError, match="process 4711 of .*: this one writes nothing more"):
                write()
            assert content(folder) == before


def test_nor_where_it_is_superseded_while_it_writes(tmp_path, monkeypatch):
    folder = run_folder.create(tmp_path, "a", "", {})
    written, renamed = checkpoint._write, os.replace
    with run_folder.locked(folder):
        checkpoints = Checkpoints(folder / "checkpoint")
        checkpoints.save_last(state(1))

        def slow(file, saved):
            written(file, saved)
            take_over(folder, monkeypatch)

        monkeypatch.setattr(checkpoint, "_write", slow)
        before = content(folder / "checkpoint")
        with pytest.raises(SupersededError):
            checkpoints.save_last(state(2))
        assert content(folder / "checkpoint") == before
        monkeypatch.setattr(checkpoint, "_write", written)
    with run_folder.locked(folder):

        def slow_rename(old, new):
            renamed(old, new)
            if os.fspath(new).endswith("previous"):
                take_over(folder, monkeypatch)

        monkeypatch.setattr(os, "replace", slow_rename)
        with pytest.raises(SupersededError):
            Checkpoints(folder / "checkpoint").save_last(state(2))
        monkeypatch.setattr(os, "replace", renamed)
    assert Checkpoints(folder / "checkpoint").load()["number"] == 2  # from ``next``, as after a crash


def test_sessions_count_up_and_share_no_unfinished_file(tmp_path):
    names = set()
    for number in (1, 2, 3):
        with run_folder.locked(tmp_path):
            require_lease(tmp_path / "checkpoint" / "last")
            assert (tmp_path / ".lease").read_text().split()[0] == str(number)
            names.add(partial(tmp_path / "checkpoint" / "next").name)
    assert len(names) == 3
    require_lease(tmp_path)  # who holds none may write
    (tmp_path / ".lease").write_text("damaged")
    with run_folder.locked(tmp_path):
        assert (tmp_path / ".lease").read_text().split()[0] == "1"
    assert {path.name for path in tmp_path.iterdir()} == {".lease", ".lock"}


def test_a_lease_is_on_its_own_folder_only(tmp_path, monkeypatch):
    for name in ("a", "ab"):
        (tmp_path / name).mkdir()
    with run_folder.locked(tmp_path / "a"), run_folder.locked(tmp_path / "ab"):
        take_over(tmp_path / "a", monkeypatch)
        require_lease(tmp_path / "ab" / "config.json")
        with pytest.raises(SupersededError):
            require_lease(tmp_path / "a" / "config.json")

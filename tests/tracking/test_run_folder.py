"""A run's folder: whole or not there, a name of its own, one session at a time."""

import json
import multiprocessing
import os
import signal

import pytest

from rlsuite.tracking import run_folder


def _create(runs, barrier, made):
    barrier.wait(30)
    made.put(run_folder.create(runs, None, "dqn", {"pid": os.getpid()}).name)


def test_runs_that_start_within_a_second_have_folders_of_their_own(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, made = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_create, args=(tmp_path, barrier, made)) for _ in range(4)]
    for process in processes:
        process.start()
    names = {made.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(30)
    folders = list(tmp_path.iterdir())
    assert {folder.name for folder in folders} == names and len(names) == 4
    pids = {json.loads((folder / "config.json").read_text())["pid"] for folder in folders}
    assert pids == {process.pid for process in processes}


def test_a_name_is_used_once(tmp_path):
    first = run_folder.create(tmp_path, "mine", "dqn", {"number": 1})
    with pytest.raises(ValueError, match="mine already holds a run: choose another --name, or go on with --resume"):
        run_folder.create(tmp_path, "mine", "dqn", {"number": 2})
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").touch()
    (tmp_path / "file").touch()
    for taken in ("notes", "file"):
        with pytest.raises(ValueError, match="is there already"):
            run_folder.create(tmp_path, taken, "dqn", {})
    (tmp_path / "empty").mkdir()
    assert run_folder.create(tmp_path, "empty", "dqn", {}) == tmp_path / "empty"
    assert run_folder.read(first) == {"number": 1}
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "notes", "file", "empty"}


def test_a_folder_is_whole_or_not_there(tmp_path, monkeypatch):
    def full(folder, document):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_folder, "write", full)
    with pytest.raises(OSError, match="No space left"):
        run_folder.create(tmp_path, "mine", "dqn", {})
    assert list(tmp_path.iterdir()) == []


KINDS = {
    "agent": ({"agent": "dqn", "config": {}}, "an agent", "rlsuite train --resume {}"),
    "economy": ({"model": "growth"}, "an economy", "rlsuite equilibrium --resume {}"),
    "experiment": ({"experiment": "digits"}, "a supervised experiment", "rlsuite supervised --resume {}"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", KINDS)
def test_a_run_of_another_kind_is_named_with_what_goes_on_with_it(tmp_path, kind, wanted):
    document, called, command = KINDS[kind]
    folder = run_folder.create(tmp_path, "mine", "dqn", document)
    if kind == wanted:
        assert run_folder.read(folder, wanted) == document
        return
    with pytest.raises(ValueError) as refused:
        run_folder.read(folder, wanted)
    said = f"{folder} is the run of {called}, not of {KINDS[wanted][1]}: go on with it by {command.format(folder)}"
    assert str(refused.value) == said


@pytest.mark.parametrize("content", [b"{", b"[1]", b"null", b"\xff\xfe", b"", b'{"a": ' * 100_000])
def test_a_damaged_configuration_is_named(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match="config.json is damaged or of another version"):
        run_folder.read(tmp_path)


def _hold(folder, entered):
    with run_folder.locked(folder):
        entered.set()
        signal.pause()


@pytest.mark.skipif(not hasattr(signal, "pause"), reason="waits for signals as POSIX has them")
def test_one_session_at_a_time_until_its_process_is_gone(tmp_path):
    context = multiprocessing.get_context("spawn")
    entered = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, entered))
    holder.start()
    assert entered.wait(60)
    with (
        pytest.raises(ValueError, match=rf"another process trains in .* \(process {holder.pid}\)"),
        run_folder.locked(tmp_path),
    ):
        pass
    holder.kill()
    holder.join()
    with run_folder.locked(tmp_path):
        pass


@pytest.mark.parametrize("name", ["../mine", "/tmp/mine", "a/../../mine"])
def test_names_that_lead_out_of_the_folder_of_runs_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="leads out of the folder of runs"):
        run_folder.create(tmp_path / "runs", name, "run", {})
    assert not (tmp_path / "mine").exists()

import functools
import json
import os
import random
import stat
import threading
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from rlsuite.training import checkpoint
from rlsuite.training.checkpoint import CheckpointError, Checkpoints, clock, fitting, load, logged_until, save
from rlsuite.training.per_seed import select_seeds

STATE = {
    "learner": {
        "weights": torch.arange(6.0).reshape(2, 3),
        "updates": 7,
        "nested": {"flags": torch.tensor([True, False])},
    },
    "name": "run",
    "best": None,
    "pixels": torch.tensor([1, 255], dtype=torch.uint8),
    "scalar": torch.tensor(3),
    "expanded": torch.zeros(()).expand(1),
    "half": torch.tensor([1.5], dtype=torch.bfloat16),
    "nothing": torch.zeros(2, 0, dtype=torch.float64),
    "empty": {},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def numbered(number):
    return {"weights": torch.full((3,), float(number)), "number": number}


def same(left, right):
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return left == right


def test_a_state_comes_back_as_it_was(tmp_path):
    save(tmp_path / "last", STATE)
    assert same(load(tmp_path / "last"), STATE)


def test_the_file_is_one_that_safetensors_reads(tmp_path):
    save(tmp_path / "last", STATE)
    assert torch.equal(load_file(tmp_path / "last")["learner/weights"], STATE["learner"]["weights"])


def test_tensors_that_share_memory_are_saved_apart(tmp_path):
    matrix = torch.arange(6.0).reshape(2, 3)
    save(tmp_path / "last", {"whole": matrix, "row": matrix[1], "transposed": matrix.T, "again": matrix})
    loaded = load(tmp_path / "last")
    assert torch.equal(loaded["row"], matrix[1])
    assert torch.equal(loaded["transposed"], matrix.T)
    assert torch.equal(loaded["again"], matrix)


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o027)
    try:
        Checkpoints(tmp_path).save_last(STATE)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "last").stat().st_mode) == 0o640


def test_damage_is_noticed_and_the_whole_one_offered(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(STATE)
    checkpoints.save_last(STATE)
    path = tmp_path / "last"
    content = bytearray(path.read_bytes())
    content[-1] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="last is damaged.*previous is whole: add --checkpoint previous"):
        checkpoints.load("last")
    assert same(checkpoints.load("previous"), STATE)
    path.replace(tmp_path / "previous")
    checkpoints.save_last(STATE)
    with pytest.raises(CheckpointError, match="previous is damaged.*last is whole: add --checkpoint last"):
        checkpoints.load("previous")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_a_byte_gives_another_state(tmp_path, data):
    if not (tmp_path / "whole").exists():
        save(tmp_path / "whole", STATE)
    content = bytearray((tmp_path / "whole").read_bytes())
    kind = data.draw(st.sampled_from(["change", "cut", "insert", "remove"]))
    place = data.draw(st.integers(0, len(content) - 1))
    if kind == "change":
        content[place] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del content[place:]
    elif kind == "insert":
        content[place:place] = data.draw(st.binary(min_size=1, max_size=9))
    else:
        del content[place : place + data.draw(st.integers(1, 9))]
    (tmp_path / "changed").write_bytes(content)
    try:
        found = load(tmp_path / "changed")
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        assert same(found, STATE)  # white space of the header, say


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)


def forge(path, values, tensors):
    """A file whose checksum fits although no run ever wrote it."""
    with patch.object(checkpoint, "_split", lambda *given: given[2].update(tensors) or given[3].update(values)):
        save(path, {})


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(st.text(max_size=5), VALUES, max_size=4),
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), max_size=3, unique=True),
)
def test_hostile_files_with_a_fitting_checksum_are_states_or_refused(tmp_path, values, names):
    forge(tmp_path / "forged", values, {name: torch.zeros(2) for name in names})
    try:
        found = load(tmp_path / "forged")
    except CheckpointError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(found, dict)


@pytest.mark.parametrize("depth", [40, 100_000])
def test_absurd_nesting_is_refused(tmp_path, depth):
    forge(tmp_path / "forged", {}, {"/".join("a" * depth): torch.zeros(1)})
    with pytest.raises(CheckpointError, match="no place"):
        load(tmp_path / "forged")
    nested = "[" * depth + "]" * depth
    written = json.dumps
    with patch.object(checkpoint.json, "dumps", lambda value: nested if value == {} else written(value)):
        save(tmp_path / "forged", {})
    with pytest.raises(CheckpointError, match="does not hold what it should"):
        load(tmp_path / "forged")


def test_missing_foreign_and_earlier_checkpoints_are_refused(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        load(tmp_path / "missing")
    monkeypatch.setattr(checkpoint, "FORMAT", 99)
    save(tmp_path / "last", STATE)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 99"):
        load(tmp_path / "last")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match="written by an earlier version"):
        load(tmp_path / "folder")
    with pytest.raises(ValueError, match="there is no checkpoint '../other'"):
        Checkpoints(tmp_path).load("../other")


class Crash(BaseException):
    """The process is gone: nothing is tidied up."""


def intercepted(operation, left):
    @functools.wraps(operation)
    def counted(*given, **options):
        left[0] -= 1
        if left[0] < 0:
            raise Crash
        return operation(*given, **options)

    return counted


def crashes(action, number):
    """Whether ``action`` does more than ``number`` file operations; it crashes before the next one."""
    left = [number]
    names = {os: ("replace", "fsync", "open"), Path: ("unlink",)}
    with pytest.MonkeyPatch.context() as patching:
        for owner, operations in names.items():
            for name in operations:
                patching.setattr(owner, name, intercepted(getattr(owner, name), left))
        try:
            action()
        except Crash:
            return True
    return False


def test_a_crash_at_any_file_operation_leaves_the_newest_whole_state(tmp_path):
    folder = tmp_path / "run"
    newest = [0]

    def fresh_start():
        Checkpoints(folder).save_last(numbered(0))
        Checkpoints(folder).save_best(numbered(0))
        newest[0] = 0

    def save_three():
        checkpoints = Checkpoints(folder)
        for number in range(1, 4):
            checkpoints.save_best(numbered(number))
            checkpoints.save_last(numbered(number))
            newest[0] = number

    fresh_start()
    points = 0
    while crashes(save_three, points):
        points += 1
        found = {name: Checkpoints(folder).load(name)["number"] for name in ("last", "best")}
        assert newest[0] <= found["last"] <= found["best"] <= newest[0] + 1
        # What goes on from there, as often as it may crash again, ends as if nothing had happened.
        Checkpoints(folder).save_last(numbered(9))
        assert Checkpoints(folder).load("last")["number"] == 9
        assert Checkpoints(folder).load("previous")["number"] == found["last"]
        assert sorted(os.listdir(folder)) == ["best", "last", "previous"]
        fresh_start()
    assert points > 20


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(STATE)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save_last({"other": torch.zeros(1)})
    assert same(checkpoints.load(), STATE)
    assert os.listdir(tmp_path) == ["last"]


def test_a_damaged_checkpoint_takes_the_place_of_no_whole_one(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(numbered(1))
    checkpoints.save_last(numbered(2))
    (tmp_path / "last").write_bytes(b"damaged")
    Checkpoints(tmp_path).save_last(numbered(3))
    assert checkpoints.load("last")["number"] == 3
    assert checkpoints.load("previous")["number"] == 1


@pytest.mark.parametrize("left", ["last", "next"])  # a crash may have left the later one under either name
def test_who_goes_back_drops_the_later_one_once_something_is_saved(left, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(numbered(1))
    checkpoints.save_last(numbered(2))
    os.rename(tmp_path / "last", tmp_path / left)
    resumed = Checkpoints(tmp_path)
    resumed.go_back()
    assert checkpoints.load("last")["number"] == 2
    resumed.save_last(numbered(3))
    assert [checkpoints.load(name)["number"] for name in ("last", "previous")] == [3, 1]
    resumed.save_last(numbered(4))
    assert [checkpoints.load(name)["number"] for name in ("last", "previous")] == [4, 3]
    assert sorted(os.listdir(tmp_path)) == ["last", "previous"]


def test_who_goes_back_from_a_damaged_one_can_save(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(numbered(1))
    checkpoints.save_last(numbered(2))
    (tmp_path / "last").write_bytes(b"damaged")
    resumed = Checkpoints(tmp_path)
    resumed.go_back()
    resumed.save_last(numbered(3))
    assert [checkpoints.load(name)["number"] for name in ("last", "previous")] == [3, 1]


def test_readers_have_one_whole_checkpoint_while_a_trainer_saves(tmp_path):
    checkpoints, over = Checkpoints(tmp_path), threading.Event()
    checkpoints.save_last(numbered(0))
    checkpoints.save_best(numbered(0))

    def train():
        number = 0
        while not over.is_set():
            number += 1
            checkpoints.save_last(numbered(number))
            checkpoints.save_best(numbered(number))

    trainer = threading.Thread(target=train)
    trainer.start()
    try:
        for _ in range(200):
            state = Checkpoints(tmp_path).load(random.choice(["last", "best"]))
            assert state["weights"].tolist() == [state["number"]] * 3
    finally:
        over.set()
        trainer.join()


def test_a_clock_that_is_none_is_refused():
    assert clock({"clock": {"env_steps": 3, "updates": 2, "wall_seconds": 1.5}}).env_steps == 3
    with pytest.raises(CheckpointError, match="holds a learner"):
        clock({"learner": {}})
    for env_steps in (-1, True, 2**70, "3", None, 1.5):
        with pytest.raises(CheckpointError, match="clock/env_steps is not a count"):
            clock({"clock": {"env_steps": env_steps, "updates": 2, "wall_seconds": 1.5}})


def test_the_last_line_of_metrics_is_a_clock_too():
    assert logged_until({}) is None
    assert logged_until({"logged_until": {"env_steps": 3, "updates": 2, "wall_seconds": 1.5}}).env_steps == 3
    with pytest.raises(CheckpointError, match="logged_until has no entries"):
        logged_until({"logged_until": 7})


def test_whatever_goes_wrong_while_a_state_is_taken_over_is_one_line():
    with pytest.raises(CheckpointError, match="^last does not fit this run: first line$"), fitting("last"):
        raise RuntimeError("first line\nsecond line")
    with pytest.raises(ZeroDivisionError), fitting("last", ZeroDivisionError):
        raise ZeroDivisionError


def test_rows_are_selected_by_seed():
    new = {"rows": torch.ones(3, 2), "count": 5, "updates": 5}
    old = {"rows": torch.zeros(3, 2), "count": 1, "updates": 1}
    chosen = select_seeds(torch.tensor([True, False, True]), new, old)
    assert chosen["rows"].tolist() == [[1, 1], [0, 0], [1, 1]]
    assert chosen["count"] == 5 and chosen["updates"] == 5

import json
import os

import pytest
import torch

from rlsuite.training import checkpoint
from rlsuite.training.checkpoint import CheckpointError, Checkpoints, load, save
from rlsuite.training.rows import select_rows

STATE = {
    "learner": {
        "weights": torch.arange(6.0).reshape(2, 3),
        "updates": 7,
        "nested": {"flags": torch.tensor([True, False])},
    },
    "name": "run",
    "best": None,
    "pixels": torch.tensor([1, 255], dtype=torch.uint8),
    "empty": {},
}


def same(left, right):
    if isinstance(left, torch.Tensor):
        return left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    return left == right


def test_a_state_comes_back_as_it_was(tmp_path):
    save(tmp_path / "last", STATE)
    assert same(load(tmp_path / "last"), STATE)


def test_tensors_that_share_memory_are_saved_apart(tmp_path):
    matrix = torch.arange(6.0).reshape(2, 3)
    save(tmp_path / "last", {"whole": matrix, "row": matrix[1], "transposed": matrix.T, "again": matrix})
    loaded = load(tmp_path / "last")
    assert torch.equal(loaded["row"], matrix[1])
    assert torch.equal(loaded["transposed"], matrix.T)
    assert torch.equal(loaded["again"], matrix)


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
def test_a_flipped_byte_is_noticed_and_the_previous_one_offered(tmp_path, file):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(STATE)
    checkpoints.save_last(STATE)
    path = tmp_path / "last" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if file == "tensors.safetensors" else 0] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged.*--checkpoint previous"):
        checkpoints.load_last()
    assert same(load(tmp_path / "previous"), STATE)


def test_half_written_and_foreign_folders_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        load(tmp_path / "missing")
    save(tmp_path / "last", STATE)
    document = json.loads((tmp_path / "last" / "state.json").read_text())
    (tmp_path / "last" / "state.json").write_text(json.dumps(document | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99"):
        load(tmp_path / "last")
    (tmp_path / "last" / "tensors.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no complete checkpoint"):
        load(tmp_path / "last")


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_last(STATE)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save_last({"other": torch.zeros(1)})
    assert same(checkpoints.load_last(), STATE)
    assert sorted(os.listdir(tmp_path)) == ["last"]


def test_rows_are_selected_by_seed():
    new = {"rows": torch.ones(3, 2), "count": torch.tensor(5), "updates": 5}
    old = {"rows": torch.zeros(3, 2), "count": torch.tensor(1), "updates": 1}
    chosen = select_rows(torch.tensor([True, False, True]), new, old)
    assert chosen["rows"].tolist() == [[1, 1], [0, 0], [1, 1]]
    assert chosen["count"] == 5 and chosen["updates"] == 5

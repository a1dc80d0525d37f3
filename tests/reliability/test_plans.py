"""Two runs are the same, or the harness says where they are not."""

import json

import torch
from plans import differences

from rlsuite.training.checkpoint import save


def make(folder, weight=1.0, score=3.0, **row):
    run = folder / "runs" / "run"
    state = {"learner": {"weight": torch.tensor([weight, float("nan")])}, "updates": 5, "wall_seconds": id(folder)}
    for name in ("last", "best"):
        save(run / "checkpoint" / name, state)
    row = {"env_steps": 10, "wall_seconds": id(folder), "speed/env_steps_per_second": id(folder)} | row
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    (run / "evaluation.json").write_text(json.dumps({"mean": score}))
    return folder


def test_times_may_differ_and_nothing_else(tmp_path):
    whole = make(tmp_path / "whole")
    assert differences(whole, make(tmp_path / "same")) == []
    [last, best] = differences(whole, make(tmp_path / "weight", weight=1.0000001))
    assert last == "checkpoint last: learner/weight" and best == "checkpoint best: learner/weight"
    assert "evaluation.json" in differences(whole, make(tmp_path / "score", score=3.1))[0]
    assert "metrics.jsonl" in differences(whole, make(tmp_path / "row", loss=1))[0]
    (whole / "runs" / "run" / "evaluation.json").unlink()
    assert "evaluation.json" in differences(whole, make(tmp_path / "without"))[0]

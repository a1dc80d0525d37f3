"""Abuse in a flow of orders at small size: the flow, the schemes in it, the detectors and their alarms."""

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from small_runs import learned, small

from rlsuite import random
from rlsuite.supervised import run
from rlsuite.supervised.experiments import abuse
from rlsuite.supervised.order_flow import CANCEL, LIMIT, SCHEMES, TRADE, Flow, honest
from rlsuite.tracking.jsonl import read_metrics


@pytest.fixture
def few_windows(monkeypatch):
    monkeypatch.setattr(abuse, "_CALIBRATED", 200)
    monkeypatch.setattr(abuse, "_SUSPECTED", 40)


_SMALL = {"examples": 400, "batch_size": 40, "hidden": (8,), "code": 8}


def test_a_detector_learns_and_is_drawn(few_windows, tmp_path):
    assert run.train("abuse-autoencoder", small("abuse-autoencoder", tmp_path, "a", epochs=2, **_SMALL)) == 0
    folder = tmp_path / "a"
    losses = read_metrics(folder / "metrics.jsonl")["loss/train"].values[0]
    assert losses[-3:].mean() < losses[:3].mean()
    report = json.loads((folder / "evaluation.json").read_text())
    assert set(report["detector"]["alarm rate 0.01"]["recall"]) == set(SCHEMES)
    assert (folder / "abuse.png").exists()


def test_an_lstm_that_has_seen_a_little_honest_flow_finds_stuffing(few_windows):
    found = learned("abuse-lstm", 60, seeds=2, **_SMALL | {"learning_rate": 1e-2})
    assert found["recall"].shape == (2,)
    assert found["recall_quote_stuffing"].min() > 0.5


def _keys(count):
    return random.key(torch.arange(count), 99)


def test_honest_events_come_as_often_as_a_self_exciting_process_has_them():
    flow = honest(_keys(2_000), 200)
    # In the long run mu / (1 - alpha / beta) = 1 a second; gaps vary more than those of a Poisson process.
    gaps = flow.gap[:, 100:]
    assert float(gaps.mean()) == pytest.approx(1.0, rel=0.05)
    assert float(gaps.std()) > 1.3
    assert set(flow.kind.unique().tolist()) == {LIMIT, CANCEL, TRADE}
    assert bool((flow.level[flow.kind == TRADE] == 0).all())
    assert int(flow.level.max()) == 4 and int(flow.level.min()) == 0


def test_a_flow_is_that_of_its_key_alone():
    for make in (honest, *SCHEMES.values()):
        whole, part = make(_keys(5), 64), make(_keys(5)[3:], 64)
        assert all(torch.equal(one[3:], other) for one, other in zip(whole, part, strict=True))


@pytest.mark.parametrize("name", list(SCHEMES))
def test_a_scheme_is_a_few_events_of_honest_flow_in_their_order(name):
    keys = _keys(50)
    clean, flow = honest(keys, 64), SCHEMES[name](keys, 64)
    differs = torch.stack([one != other for one, other in zip(clean, flow, strict=True)]).any(dim=0)
    longest = {"spoofing": 10, "quote stuffing": 24, "wash trades": 8}[name]
    changed = differs.sum(dim=1)
    assert int(changed.min()) >= 1 and int(changed.max()) <= longest
    for window in range(50):
        place = differs[window].nonzero().squeeze(1)
        kinds, sides, sizes = (column[window, place].tolist() for column in (flow.kind, flow.side, flow.size))
        if name == "wash trades" and len(place) == 8:
            assert kinds == [TRADE] * 8 and len(set(sizes)) == 1
            assert all(one != other for one, other in pairwise(sides))
        if name == "spoofing" and len(place) == 10:
            assert kinds == [LIMIT] * 4 + [TRADE] * 2 + [CANCEL] * 4
            assert sizes[:4] == sizes[:5:-1]
            assert set(sides[:4]) == set(sides[6:]) != set(sides[4:6])


def test_windows_that_are_too_short_for_a_scheme_are_refused():
    with pytest.raises(ValueError, match="windows of 20 events are too short for a scheme of 24"):
        SCHEMES["quote stuffing"](_keys(4), 20)


def test_repeated_sizes_are_seen():
    sizes = torch.tensor([[1.0, 1.0, 2.0, 3.0, 2.0, 1.0]])
    sides = torch.tensor([[0, 0, 1, 1, 1, 1]])
    zeros = torch.zeros_like(sides)
    seen = Flow(zeros, sides, zeros, sizes, torch.ones_like(sizes)).features()[0, :, -3:]
    assert (seen > 0).T.tolist() == [
        [False, True, False, False, False, False],
        [False, False, False, False, True, False],
        [False, False, False, False, False, True],
    ]


def test_alarms_at_fixed_rates():
    calibration = np.arange(1_000.0)[None]
    assert abuse.recalls(calibration, np.array([[985.0, 995.0, 2_000.0, 0.0]]), 0.01).tolist() == [0.5]
    found = abuse.table(calibration[0], {"honest": calibration[0], "a": np.full(4, 2_000.0), "b": np.zeros(4)})
    one = found["alarm rate 0.01"]
    assert one["recall"] == {"a": 1.0, "b": 0.0}
    assert one["false_alarms"] == pytest.approx(0.01)
    assert one["precision_at_1_percent_abuse"] == pytest.approx(0.01 * 0.5 / (0.01 * 0.5 + 0.99 * 0.01))


def test_surprise_is_least_where_events_are_foretold():
    features = honest(_keys(3), 64).features()
    outputs = torch.zeros(*features.shape[:2], 16)
    told = outputs.clone()
    told[..., :3] = 20.0 * features[..., :3]
    told[..., 3] = 20.0 * features[..., 3]
    told[..., 9:11] = features[..., 5:7]
    assert bool((abuse.surprise(told, features) < abuse.surprise(outputs, features)).all())
    scores = torch.tensor([[0.0] * 20 + [16.0] * 16 + [0.0] * 4])
    assert abuse.worst(scores).tolist() == [16.0]

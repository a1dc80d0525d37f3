"""Heads are feasible for any raw output."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rlsuite.deqn import heads

raws = st.floats(-30, 30).map(lambda x: torch.tensor(x, dtype=torch.float64))


@settings(deadline=None, max_examples=50)
@given(raw=raws, at_zero=st.floats(0.01, 0.99))
def test_share_is_a_share_and_starts_where_told(raw: torch.Tensor, at_zero: float) -> None:
    assert 0 < heads.share(raw, at_zero) < 1 or raw.abs() > 25
    assert heads.share(torch.zeros(()).double(), at_zero).item() == pytest.approx(at_zero, rel=1e-12)


@settings(deadline=None, max_examples=50)
@given(raw=raws)
def test_complementarity_is_exact(raw: torch.Tensor) -> None:
    slack, multiplier = heads.complementarity(raw)
    assert slack >= 0
    assert multiplier >= 0
    assert slack * multiplier == 0
    assert slack - multiplier == raw
    assert heads.fischer_burmeister(slack, multiplier).abs() < 1e-12


def test_complementarity_always_has_a_gradient() -> None:
    for value in (-2.0, -1e-6, 1e-6, 2.0):
        raw = torch.tensor(value, requires_grad=True)
        slack, multiplier = heads.complementarity(raw)
        (slope,) = torch.autograd.grad(slack - multiplier, raw)
        assert slope == 1


@settings(deadline=None, max_examples=50)
@given(amount=st.floats(0, 1e3), limit=st.floats(1e-3, 1e3))
def test_bounded_stays_below_its_limit(amount: float, limit: float) -> None:
    value = heads.bounded(torch.tensor(amount, dtype=torch.float64), torch.tensor(limit, dtype=torch.float64))
    assert 0 <= value <= min(amount, limit) * (1 + 1e-12)


def test_bounded_leaves_small_amounts_alone() -> None:
    half = heads.bounded(torch.tensor(0.5).double(), torch.tensor(1.0).double()).item()
    assert 0.98 * 0.5 < half < 0.5
    assert heads.bounded(torch.tensor(1e-6).double(), torch.tensor(1.0).double()).item() == pytest.approx(
        1e-6, rel=1e-6
    )


def test_positive_bends_smoothly_at_its_floor() -> None:
    amounts = torch.tensor([-100.0, -1.0, 0.0, 0.1 - 1e-9, 0.1 + 1e-9, 5.0], dtype=torch.float64, requires_grad=True)
    bent = heads.positive(amounts, 0.1)
    assert (bent > 0).all() or bent.min() == 0  # exp(-1000) underflows
    assert bent[-1] == amounts[-1]
    (slopes,) = torch.autograd.grad(bent.sum(), amounts)
    assert slopes[3].item() == pytest.approx(slopes[4].item(), abs=1e-6)
    assert slopes.isfinite().all()


def test_fischer_burmeister_sees_every_violation() -> None:
    slack, multiplier = torch.tensor([[0.0, 1.0, -0.5, 0.5], [1.0, 0.0, 0.2, 0.5]]).double()
    found = heads.fischer_burmeister(slack, multiplier)
    assert found[:2].tolist() == [0, 0]
    assert (found[2:].abs() > 0.1).all()
    corner = heads.fischer_burmeister(torch.zeros(()).double(), torch.zeros(()).double(), smoothing=1e-4)
    assert corner.item() == pytest.approx(-1e-4)

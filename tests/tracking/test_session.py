"""Sessions: how they begin and end."""

import pytest

from rlsuite.tracking.record import Clock
from rlsuite.tracking.session import session


def _session(folder, **options):
    (folder / "config.json").write_text("{}")
    return session(folder, "dqn on CartPole-v1", 1_000, {}, [0], wandb="disabled", **options)


def test_a_resumed_run_is_where_it_was_even_if_nothing_is_left_to_do(tmp_path, capsys):
    with _session(tmp_path, resume_at=Clock(env_steps=1_000, updates=10, wall_seconds=5.0)) as opened:
        opened.tracker.summary({"iqm": 1.0})
        opened.status = "finished"
    assert "1.00k of 1.00k env steps, 10 updates" in capsys.readouterr().out


def test_who_interrupts_the_final_evaluation_is_not_told_that_it_failed(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt), _session(tmp_path):
        raise KeyboardInterrupt
    shown = capsys.readouterr().out
    assert "interrupted at" in shown and "failed" not in shown


def test_a_run_says_that_it_has_begun_before_its_first_step(tmp_path, capsys):
    with _session(tmp_path):
        title, line = capsys.readouterr().out.splitlines()
    assert title == f"dqn on CartPole-v1  {tmp_path}" and "0 of 1.00k env steps" in line

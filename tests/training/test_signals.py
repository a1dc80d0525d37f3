"""Signals that ask a run to stop."""

import os
import signal

import pytest

from rlsuite.training.signals import StopRequest, ignore_stops, is_stop_requested

HANGUP = getattr(signal, "SIGHUP", None)
STOPS = [signal.SIGINT, signal.SIGTERM, *([HANGUP] if HANGUP else [])]


@pytest.mark.parametrize("number", STOPS)
def test_the_first_signal_is_a_request_and_another_one_interrupts(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not is_stop_requested()
        os.kill(os.getpid(), number)
        assert stop.requested and is_stop_requested()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(number) is before and not is_stop_requested()


@pytest.mark.skipif(HANGUP is None, reason="there is no SIGHUP here")
def test_a_closing_terminal_may_say_so_twice():
    with StopRequest() as stop:
        for _ in range(2):
            os.kill(os.getpid(), HANGUP)
        assert stop.requested


@pytest.mark.skipif(HANGUP is None, reason="there is no SIGHUP here")
def test_a_run_under_nohup_outlives_its_terminal():
    before = signal.signal(HANGUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), HANGUP)
            assert not stop.requested
    finally:
        signal.signal(HANGUP, before)


def test_a_process_that_ignores_signals_is_asked_otherwise():
    before = {number: signal.getsignal(number) for number in STOPS}
    asked = []
    pid = os.fork() if hasattr(os, "fork") else pytest.skip("forks to try it")
    if pid == 0:
        ignore_stops(instead=lambda: bool(asked))
        for number in STOPS:
            os.kill(os.getpid(), number)
        first = is_stop_requested()
        asked.append(True)
        os._exit(0 if not first and is_stop_requested() else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert {number: signal.getsignal(number) for number in STOPS} == before

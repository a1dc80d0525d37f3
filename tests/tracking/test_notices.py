import io
import sys

import pytest

from rlsuite.tracking.notices import reason, say, without


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ImportError("no fonts"), ValueError()])
def test_what_a_run_can_do_without_costs_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    with without("learning curve"):
        raise error
    assert capsys.readouterr().err == f"no learning curve: {reason(error)}\n"


def test_ctrl_c_is_not_swallowed() -> None:
    with pytest.raises(KeyboardInterrupt), without("learning curve"):
        raise KeyboardInterrupt


class Full(io.StringIO):
    def write(self, text: str, /) -> int:
        raise OSError(28, "No space left on device")


def test_saying_something_to_nobody_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (Full(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        say("a line")

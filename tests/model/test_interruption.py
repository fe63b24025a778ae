"""Signals: the first is a wish, the second SIGINT an order."""

import signal

import pytest

from model.interruption import Interruption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption() as stop:
        assert not stop.wanted
        signal.raise_signal(number)
        assert stop.wanted
    assert signal.getsignal(number) is before


def test_a_second_sigint_interrupts_at_once() -> None:
    with Interruption() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.wanted
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

"""What holds for the whole suite."""

import signal


def pytest_configure() -> None:
    """A shell has what it starts in the background ignore SIGINT: the tests of interruptions send it all the same."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

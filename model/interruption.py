"""Leaving at a moment of our choice: a signal only notes the wish, the training asks for it between two steps.

Enters: SIGTERM and SIGINT. Leaves: `wanted`. A second SIGINT interrupts at once. Limit: signals reach the main thread
only; elsewhere nothing is installed, and whoever started the thread must stop it by `on_event`.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """`with Interruption() as stop: … if stop.wanted: save and leave`."""

    def __init__(self) -> None:
        self.wanted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.wanted and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.wanted = True

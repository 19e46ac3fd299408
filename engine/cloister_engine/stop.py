"""The stop flag."""

from __future__ import annotations

from .failures import Stopped


class StopFlag:
    """Set by SIGTERM, by {"cmd":"stop"} and by a control plane that has gone; safe from any thread."""

    def __init__(self) -> None:
        self.asked = False
        self.steps = 0  # optimizer steps taken so far

    def set(self, *_: object) -> None:
        """Ask for a stop. The arguments are a signal handler's, and unused."""
        self.asked = True

    def check(self) -> None:
        """Raise Stopped if a stop was asked for."""
        if self.asked:
            raise Stopped

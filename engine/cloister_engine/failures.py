"""How a run can end, and the exceptions that say so.

No message here may carry content of the data: a failure names a file's role, a line and a fault.
"""

from __future__ import annotations

EXIT_CODES = {
    "completed": 0,
    "internal": 1,
    "data": 2,
    "oom": 3,
    "non_finite": 4,
    "no_effect": 5,
    "stopped": 10,
}
"""Exit status of each outcome. 64 is a wrong command line."""


class Failure(Exception):
    """A failure that the control plane can explain to the customer."""

    reason = "internal"

    def __init__(self, message: str, *, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.file = file  # "train", "validation-N", "prompts" or "records"; empty if no file is at fault
        self.line = line  # from 1; 0 if no line is at fault


class InternalError(Failure):
    """The control plane, the base model or this program is at fault."""


class DataError(Failure):
    """The customer's data cannot be trained on."""

    reason = "data"


class OutOfMemoryError(Failure):
    """The job does not fit in the sandbox's memory."""

    reason = "oom"


class NonFiniteError(Failure):
    """A loss, a gradient or a weight stopped being a number."""

    reason = "non_finite"


class NoEffectError(Failure):
    """Training ended and no trainable tensor had changed."""

    reason = "no_effect"


class Stopped(Exception):
    """The control plane asked for a stop, and the work ended early."""

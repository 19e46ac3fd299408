"""One run: read the specification, do the work, report how it ended."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType

from . import environment
from .events import Channel, peak_rss_mb
from .failures import EXIT_CODES, Failure, InternalError, OutOfMemoryError, Stopped
from .spec import Check, Evaluate, ImportGguf, MakeTiny, Spec, Train, load
from .stop import StopFlag

EVENT_FD = 3


def run(command: str, spec_path: Path) -> int:
    """Run a command to its end and return the exit status."""
    stop = StopFlag()
    try:
        channel = Channel(EVENT_FD, stop.set)
    except OSError:
        sys.stderr.write("cloister_engine: descriptor 3 is not open: the control plane passes it\n")
        return EXIT_CODES["internal"]
    signal.signal(signal.SIGTERM, stop.set)
    try:
        spec = load(command, spec_path)
        environment.prepare(spec.threads)
        dispatch(spec, channel, stop)
        outcome = "completed"
    except Stopped:
        outcome = "stopped"
        channel.emit("stopped", steps=stop.steps)
    except Exception as error:  # the last resort, and it reports
        failure = _explain(error)
        outcome = failure.reason
        channel.emit("failed", reason=outcome, message=failure.message, file=failure.file, line=failure.line)
    finally:
        channel.close()
    return EXIT_CODES[outcome]


def dispatch(spec: Spec, channel: Channel, stop: StopFlag) -> None:
    """Run the work of a specification. torch is imported here, after the environment is set."""
    started = time.monotonic()
    files: dict[str, int] = {}
    match spec:
        case Train():
            environment.configure_torch(spec.threads)
            from .training import train

            train(spec, channel, stop)
            return
        case Check():
            from .loading import load_tokenizer
            from .preflight import read_data

            read_data(spec, load_tokenizer(spec.base), channel, stop)
        case Evaluate():
            environment.configure_torch(spec.threads)
            from .evaluation import evaluate

            files = evaluate(spec, channel, stop)
        case ImportGguf():
            environment.configure_torch(spec.threads)
            from .importing import import_gguf

            files = import_gguf(spec, channel)
        case MakeTiny():
            environment.configure_torch(spec.threads)
            from .tiny import make_tiny

            files = make_tiny(spec, channel)
    channel.emit(
        "completed",
        steps=0,
        trainable=0,
        loss_last=0.0,
        loss_mean=0.0,
        files=files,
        seconds=round(time.monotonic() - started, 2),
        rss_peak_mb=peak_rss_mb(),
    )


def _explain(error: Exception) -> Failure:
    """Turn any exception into a failure whose message carries no content.

    Texts of foreign exceptions may quote data, so only their type and place are reported.
    """
    if isinstance(error, Failure):
        return error
    if _out_of_memory(error):
        return OutOfMemoryError(
            "the job does not fit in its memory: use shorter records, a smaller batchSize or cloister.method=lora"
        )
    _write_places(error.__traceback__)
    return InternalError(f"{type(error).__name__} in {_place(error.__traceback__)}")


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    # PyTorch's CPU allocator has no exception type of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def _write_places(trace: TracebackType | None) -> None:
    """A traceback without the exception's text, for the engine's log."""
    sys.stderr.write("".join(traceback.format_tb(trace)))

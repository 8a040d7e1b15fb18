"""How far a run has come, on stderr: a bar on a terminal, plain lines otherwise.

Counted by the workers of this process; a run elsewhere shows only that it goes on.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

REFRESH_SECONDS = 0.2
PLAIN_SECONDS = 10.0

_done_bytes = 0
_all_bytes = 0


def expect(size: int) -> None:
    """Sets the bytes that a run is going to decode, and starts again from none."""
    global _all_bytes, _done_bytes
    _all_bytes, _done_bytes = size, 0


def advance(size: int) -> None:
    """Adds decoded bytes."""
    global _done_bytes  # noqa: PLW0603
    _done_bytes += size


@contextmanager
def show_progress() -> Iterator[None]:
    """Shows progress while its body runs."""
    console = Console(stderr=True)
    ended = threading.Event()
    watch = _draw if console.is_terminal else _print
    thread = threading.Thread(target=watch, args=(console, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _phase() -> str:
    return "reading" if _done_bytes < _all_bytes or not _all_bytes else "attributing"


def _draw(console: Console, ended: threading.Event) -> None:
    columns = (TextColumn("{task.description:12}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        while not ended.wait(REFRESH_SECONDS):
            bar.update(task, description=_phase(), total=_all_bytes or None, completed=_done_bytes)


def _print(console: Console, ended: threading.Event) -> None:
    while not ended.wait(PLAIN_SECONDS):
        megabytes = f"{_done_bytes / 1e6:.0f} of about {_all_bytes / 1e6:.0f} MB read"
        console.print(f"attribeam: {_phase()}, {megabytes}", highlight=False)

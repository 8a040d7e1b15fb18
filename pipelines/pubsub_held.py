"""Messages that are held: a thread extends their deadlines until they are let go."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from google.api_core.exceptions import GoogleAPICallError

LOG = logging.getLogger(__name__)
IDS_PER_REQUEST = 1000  # a request may have 512 KiB; an id has about 200 bytes


class HeldMessages:
    """Acknowledgement ids whose deadlines are extended while they are here.

    A message that is held for less than half of the first deadline costs no request.

    Args:
        set_deadline: Tells the server of some ids that they are held for so many seconds more.
        first_deadline_seconds: The deadline that a delivered message has by itself, or less.
    """

    def __init__(
        self,
        set_deadline: Callable[[Sequence[str], int], None],
        first_deadline_seconds: float,
    ) -> None:
        self._set_deadline = set_deadline
        self._first_seconds = first_deadline_seconds
        self._hold_seconds = round(6 * first_deadline_seconds)
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._is_told = False
        self._thread = threading.Thread(target=self._run, name="pubsub-deadlines", daemon=True)
        self._thread.start()

    def add(self, ids: Sequence[str]) -> None:
        """Holds messages that were just delivered."""
        end = time.monotonic() + self._first_seconds
        with self._lock:
            self._ends.update(dict.fromkeys(ids, end))

    def remove(self, ids: Sequence[str]) -> None:
        """Lets messages go."""
        with self._lock:
            for id_ in ids:
                self._ends.pop(id_, None)

    def stop(self) -> list[str]:
        """Ends the thread; gives the ids that were still held, and lets them go."""
        self._stopped.set()
        self._thread.join()
        held, self._ends = list(self._ends), {}
        return held

    def _run(self) -> None:
        while not self._stopped.wait(self._first_seconds / 2):
            try:
                self._extend()
            except GoogleAPICallError as error:
                # An outage is told by who pulls; this says why messages may come twice.
                if not self._is_told:
                    LOG.warning("deadlines were not extended: %s", type(error).__name__)
                self._is_told = True
            else:
                self._is_told = False

    def _extend(self) -> None:
        """Extends the deadlines of what is new, and of what has used half of its extension."""
        soon = time.monotonic() + self._hold_seconds / 2
        with self._lock:
            due = [id_ for id_, end in self._ends.items() if end <= soon]
        for ids in in_requests(due):
            end = time.monotonic() + self._hold_seconds
            self._set_deadline(ids, self._hold_seconds)
            with self._lock:
                self._ends.update((id_, end) for id_ in ids if id_ in self._ends)


def in_requests(ids: Sequence[str]) -> list[Sequence[str]]:
    """The ids by as many as a request may have."""
    return [ids[start : start + IDS_PER_REQUEST] for start in range(0, len(ids), IDS_PER_REQUEST)]

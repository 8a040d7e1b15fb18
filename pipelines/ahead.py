"""Work done ahead on other cores while a bundle goes on.

Beam's local runners do a bundle's elements one after the other; polars, Arrow and files let other
threads of Python run meanwhile.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Ahead(Generic[Result]):
    """Calls on threads of their own; results come in the order of the calls.

    So many calls may be under way or waiting (`most`): what they hold is in memory.
    """

    def __init__(self, threads: int, most: int) -> None:
        self._threads = ThreadPoolExecutor(threads)
        self._most = most
        self._calls: deque[Future[Result]] = deque()

    def add(self, call: Callable[[], Result]) -> Iterator[Result]:
        """Begins a call; gives results, waiting for them, until no more than `most` are left.

        Raises what a call raised.
        """
        self._calls.append(self._threads.submit(call))
        while len(self._calls) > self._most:
            yield self._calls.popleft().result()

    def rest(self) -> Iterator[Result]:
        """Waits for all results that are left, and ends the threads."""
        while self._calls:
            yield self._calls.popleft().result()
        self._threads.shutdown()

"""A subscription that keeps Pub/Sub's word and no more: every message until it is acknowledged.

It delivers some again, some late, some in another order; now and then nothing comes or no
acknowledgement arrives for a while. Its clock, which the stream goes by, follows the events and
jumps. What is acknowledged is in a file, so it outlives the killed reader.
"""

import os
import pickle
import random
import resource
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from faults.events import DAY, HOUR, MINUTE, SECOND

from pipelines.pubsub import Message

MESSAGES, ACKNOWLEDGED, TOLD = "messages.pickle", "acknowledged", "told"
# So many pulls later a message that was not acknowledged is delivered again.
DEADLINE_PULLS = 3


class Channel:
    """The subscription of one life of the stream.

    folder: with MESSAGES. pace: about so many messages a pull. is_calm: each once, in order.
    """

    def __init__(self, folder: Path, seed: int, pace: int, is_calm: bool) -> None:
        self.folder, self.pace, self.is_calm = folder, pace, is_calm
        self.draw = random.Random(seed)
        self.messages = pickle.loads((folder / MESSAGES).read_bytes())
        append(folder / ACKNOWLEDGED, "")
        self.done = [int(number) for number in (folder / ACKNOWLEDGED).read_text().split()]
        known = set(self.done)
        self.waiting = [n for n in range(len(self.messages)) if n not in known]
        self.held: dict[int, int] = {}
        self.pulls = 0
        self.is_full = False
        self.is_away = False
        self._jump = self._deaf = 0
        self._now = self.messages[max(self.done, default=0)][0]

    def clock(self) -> int:
        """The moment by a clock that follows the events, and jumps by hours."""
        return self._now + SECOND + self._jump

    @property
    def is_empty(self) -> bool:
        """Whether every message has been acknowledged."""
        return not self.waiting and not self.held

    def pull(self, max_messages: int, seconds: float) -> list[Message]:
        """The next messages, and some others."""
        del max_messages, seconds
        self.pulls += 1
        if not self.is_calm:
            self._disturb()
        late = [n for n, since in self.held.items() if self.pulls - since > DEADLINE_PULLS]
        for number in late:
            del self.held[number]
        numbers = [*late, *self._next()]
        self.held |= dict.fromkeys(numbers, self.pulls)
        self._now = max([self._now, *(self.messages[n][0] for n in numbers)])
        self.is_full = bool(self.waiting) and self.draw.random() < 0.1
        return [self._message(number) for number in numbers]

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Takes note, unless it is deaf at the moment."""
        if self._deaf:
            self._tell("unheard acknowledgements", len(messages))
            return
        numbers = [int(message.id[1:]) for message in messages]
        append(self.folder / ACKNOWLEDGED, "".join(f"{number}\n" for number in numbers))
        self.done += numbers
        for number in numbers:
            self.held.pop(number, None)

    def let_go(self, messages: Sequence[Message]) -> None:
        """Takes no note: what is not acknowledged comes again in any case."""

    def _next(self) -> list[int]:
        draw = self.draw
        count = self.pace if self.is_calm else draw.randrange(2 * self.pace)
        numbers, self.waiting = self.waiting[:count], self.waiting[count:]
        if self.is_calm:
            return numbers
        delayed = [number for number in numbers if draw.random() < 0.03]
        for number in delayed:
            self.waiting.insert(draw.randrange(len(self.messages) // 10), number)
        # Not older than a day: what is beyond the lateness would rightly be a dead letter.
        recent = [n for n in self.done if self._now - self.messages[n][0] < DAY]
        again = draw.sample(recent, min(3, len(recent))) if draw.random() < 0.3 else []
        self._tell("delayed", len(delayed))
        self._tell("delivered again", len(again))
        chosen = [number for number in numbers if number not in delayed] + again
        if draw.random() < 0.5:
            draw.shuffle(chosen)
            self._tell("reordered pulls", 1)
        return chosen

    def _disturb(self) -> None:
        """Begins and ends what lasts for some pulls."""
        draw = self.draw
        if draw.random() < 0.15:
            self._jump = draw.choice((0, draw.randrange(-6 * HOUR, 6 * HOUR)))
            self._tell("clock jumps", 1)
        self._deaf = max(0, self._deaf - 1)
        if draw.random() < 0.05:
            self._deaf = draw.randint(1, 5)

    def _message(self, number: int) -> Message:
        moment, data = self.messages[number]
        old = self._now - self.draw.choice((0, 0, 0, 10 * MINUTE))
        return Message(f"m{number}", data, min(moment, old), f"{number}/{self.pulls}")

    def _tell(self, what: str, count: int) -> None:
        if count:
            tell(self.folder, what, count)


def tell(folder: Path, what: str, count: int = 1) -> None:
    """Adds to what is told of faults; it counts even if this process is killed at once."""
    append(folder / TOLD, f"{count} {what}\n")


def append(path: Path, text: str) -> None:
    """Appends to a file that is not the stream's: no limit of its disk counts here."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits[1], limits[1]))
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(handle, text.encode())
    os.close(handle)
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def told(folder: Path) -> Counter[str]:
    """How often each thing was told."""
    counts: Counter[str] = Counter()
    if (folder / TOLD).exists():
        for line in (folder / TOLD).read_text().splitlines():
            count, what = line.split(" ", 1)
            counts[what] += int(count)
    return counts

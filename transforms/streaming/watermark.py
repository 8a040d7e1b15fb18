"""The watermark of a local stream, from what was seen and the clock (SPEC section 12)."""

from dataclasses import dataclass, replace

# Before every event; nothing is too late yet.
BEGINNING = -(1 << 62)


@dataclass(frozen=True)
class Watermark:
    """value: no event before it is expected any more; latest: the latest event time seen;
    quiet_since: the clock when events were last seen. All us."""

    value: int = BEGINNING
    latest: int = BEGINNING
    quiet_since: int = BEGINNING

    def seen(
        self, latest: int | None, clock: int, backlog: bool, out_of_order: int, idle: int
    ) -> "Watermark":
        """The watermark after a pull.

        latest: the latest event time in it, None if nothing came. backlog: more is waiting, so
        older events may still come, and the watermark is held.
        """
        now = self
        if latest is not None:
            now = replace(self, latest=max(self.latest, latest), quiet_since=clock)
        elif not BEGINNING < self.quiet_since <= clock:  # or the clock was put back
            now = replace(self, quiet_since=clock)
        if backlog:
            return now
        reached = min(now.latest - out_of_order, clock)
        if clock - now.quiet_since >= idle:
            reached = max(reached, clock - out_of_order)
        return replace(now, value=max(now.value, reached))

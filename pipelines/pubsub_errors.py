"""What is said when Pub/Sub does not deliver, and for how long an outage is waited out."""

import logging
import time

from google.api_core.exceptions import (
    GoogleAPICallError,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)

LOG = logging.getLogger(__name__)
QUIET_SECONDS = 60.0


class SourceError(Exception):
    """The subscription cannot be read; the message says why and what to do."""


class Outage:
    """Since when the server has not answered; says so once, and gives up after a time."""

    def __init__(self, give_up_seconds: float) -> None:
        self._give_up_seconds = give_up_seconds
        self._since: float | None = None
        self._last = 0.0

    @property
    def is_on(self) -> bool:
        """Whether the last that was heard was an error."""
        return self._since is not None

    def go_on(self, error: Exception) -> None:
        """Takes note of an error that may pass; raises SourceError once it has lasted too long."""
        self.be_quiet()
        self._last = time.monotonic()
        if self._since is None:
            self._since = self._last
            LOG.warning(
                "Pub/Sub does not answer (%s); trying again for up to %g s",
                type(error).__name__,
                self._give_up_seconds,
            )
        if self._last - self._since > self._give_up_seconds:
            raise SourceError(
                f"Pub/Sub has not answered for {self._give_up_seconds:g} s "
                f"({type(error).__name__}: {error.args[0]}); look at the network and the service "
                "and start again: what was not acknowledged comes again"
            ) from None

    def be_quiet(self) -> None:
        """Takes note of silence: a server that is there does not answer while nothing comes.

        Of one that is not there gRPC tells each time it fails to connect, after at most 20 s.
        """
        if time.monotonic() - self._last > QUIET_SECONDS:
            self.end()

    def end(self) -> None:
        """Takes note of an answer."""
        if self._since is not None:
            LOG.warning("Pub/Sub answers again after %.0f s", time.monotonic() - self._since)
            self._since = None


def in_words(error: GoogleAPICallError, name: str) -> str:
    """What an error that waiting does not mend means for a subscription, and what to do."""
    if isinstance(error, NotFound):
        return f"Pub/Sub knows no subscription {name}: correct the name, or create it"
    if isinstance(error, PermissionDenied):
        return (
            f"Pub/Sub gives no permission to read {name}: the account that runs this needs the "
            "role roles/pubsub.subscriber on the subscription"
        )
    if isinstance(error, Unauthenticated):
        return f"Pub/Sub does not accept the credentials ({error.message}): renew them"
    return f"Pub/Sub refuses to deliver {name} ({type(error).__name__}: {error.message})"

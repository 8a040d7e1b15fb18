"""Jobs that are done once: ids follow from what is done, so whoever comes again finds them."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from google.api_core import exceptions
from google.api_core.retry import Retry

from pipelines.bigquery.errors import reason_of
from pipelines.bigquery.service import Service

# What another try of the same job may mend.
PASSING_REASONS = frozenset(
    ("backendError", "badGateway", "jobBackendError", "jobRateLimitExceeded", "rateLimitExceeded")
)
# The same, but for the emulator, which says so of wrong SQL.
PASSING_INTERNAL = frozenset(("internalError", "jobInternalError"))
PASSING_WORDS = "due to concurrent update"
# What the emulator says in place of Conflict. It forgets whether a job has failed; what is tried
# again is what has, as a transaction that was done has noted so.
TAKEN_WORDS = "is already created"


def run_job(service: Service, start: Callable[[str], Any], job_id: str, location: str) -> Any:
    """Starts a job, waits for its end and tries again, with a limit, what passes.

    `start` is given the id of the try. A job of that id that somebody started before is waited for
    instead, so that nothing is done twice; one that has failed did nothing, and the next id is
    tried. Raises the service's errors.
    """
    attempt_ids = (f"{job_id}-{number}" for number in count())

    def run() -> Any:
        job = _start(service, start, attempt_ids, location)
        return job.result(retry=service.retry, timeout=None, **_no_job_retry(job))

    again = Retry(
        predicate=lambda error: is_passing(error, service),
        initial=1,
        maximum=30,
        timeout=service.patience_seconds,
    )
    return again(run)()


def is_passing(error: Exception, service: Service) -> bool:
    """True for an error of a job that another try may not meet."""
    if not isinstance(error, exceptions.GoogleAPICallError):
        return False
    reason = reason_of(error)
    return (
        reason in PASSING_REASONS
        or (reason in PASSING_INTERNAL and not service.is_emulator)
        or PASSING_WORDS in str(error.message)
    )


def _start(
    service: Service, start: Callable[[str], Any], attempt_ids: Iterator[str], location: str
) -> Any:
    """The job of the first id that is free, or that did not fail."""
    for attempt_id in attempt_ids:
        try:
            return start(attempt_id)
        except exceptions.Conflict:
            job = service.client.get_job(attempt_id, location=location, retry=service.retry)
            if not (job.state == "DONE" and job.error_result):
                return job
        except exceptions.GoogleAPICallError as error:
            if TAKEN_WORDS not in str(error.message):
                raise
    raise AssertionError("ids do not end")


def _no_job_retry(job: Any) -> dict[str, None]:
    """A query's client would start it again under an id of its own."""
    return {"job_retry": None} if job.job_type == "query" else {}

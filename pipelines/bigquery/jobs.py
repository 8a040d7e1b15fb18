"""Jobs that run once: their ids follow from what they do, so whoever comes again finds them."""

from collections.abc import Callable
from itertools import count
from typing import Any

from google.api_core import exceptions
from google.api_core.retry import Retry

from pipelines.bigquery.errors import reason_of
from pipelines.bigquery.service import Service

# What another try of the same job may mend. The emulator says jobInternalError of wrong SQL.
PASSING_REASONS = frozenset(("backendError", "jobBackendError", "rateLimitExceeded"))
PASSING_WORDS = "due to concurrent update"


def run_job(service: Service, start: Callable[[str], Any], job_id: str, location: str) -> Any:
    """Starts a job, waits for its end and tries again, with a limit, what passes.

    `start` is given the id of the try. A job of that id that somebody started before is waited for
    instead, so that nothing is done twice. Raises the service's errors.
    """
    tries = count()

    def run() -> Any:
        attempt_id = f"{job_id}-{next(tries)}"
        try:
            job = start(attempt_id)
        except exceptions.Conflict:
            job = service.client.get_job(attempt_id, location=location, retry=service.retry)
        return job.result(retry=service.retry, timeout=None, **_no_job_retry(job))

    again = Retry(predicate=is_passing, initial=1, maximum=30, timeout=service.patience_seconds)
    return again(run)()


def is_passing(error: Exception) -> bool:
    """True for an error of a job that another try may not meet."""
    if not isinstance(error, exceptions.GoogleAPICallError):
        return False
    return reason_of(error) in PASSING_REASONS or PASSING_WORDS in str(error.message)


def _no_job_retry(job: Any) -> dict[str, None]:
    """A query's client would start it again under an id of its own."""
    return {"job_retry": None} if job.job_type == "query" else {}

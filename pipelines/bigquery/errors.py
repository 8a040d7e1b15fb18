"""One clear message for whatever keeps BigQuery from doing what was asked."""

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from google.api_core import exceptions
from google.auth import exceptions as auth

from pipelines.output import OutputError

QUOTA_REASONS = frozenset(
    ("quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "responseTooLarge")
)
GONE = (
    exceptions.RetryError,
    exceptions.ServerError,
    exceptions.TooManyRequests,
    requests.exceptions.ConnectionError,
    requests.exceptions.Timeout,
    auth.TransportError,
    ConnectionError,
    TimeoutError,
)
SERVICE_ERRORS = (auth.GoogleAuthError, exceptions.GoogleAPIError, *GONE)
NO_CREDENTIALS = (
    "no Google credentials found: run gcloud auth application-default login, or let "
    "GOOGLE_APPLICATION_CREDENTIALS name a service account's key file"
)


@contextmanager
def clear_service_errors(doing: str, state: str) -> Iterator[None]:
    """Turns the service's errors into OutputError: while doing what, what to do, and the state.

    state: what is left behind, such as "nothing was written".
    """
    try:
        yield
    except SERVICE_ERRORS as error:
        raise OutputError(f"BigQuery, {doing}: {explain(error)}; {state}") from error


def explain(error: Exception) -> str:
    """What an error of the service means and what to do."""
    if isinstance(error, exceptions.RetryError) and isinstance(error.cause, Exception):
        return f"given up after many tries: {explain(error.cause)}"
    if isinstance(error, auth.GoogleAuthError):
        return _explain_auth(error)
    if isinstance(error, exceptions.GoogleAPICallError):
        return _explain_call(error)
    if isinstance(error, GONE):
        return _explain_gone(error)
    return _first_line(error)


def _explain_auth(error: auth.GoogleAuthError) -> str:
    # Where tokens are given out may be out of reach too; a machine of the cloud wraps that.
    if isinstance(error, auth.TransportError) or isinstance(error.__cause__, auth.TransportError):
        return _explain_gone(error)
    if isinstance(error, auth.RefreshError):
        return f"the Google credentials are no longer good ({_first_line(error)}); sign in again"
    return NO_CREDENTIALS


def _explain_gone(error: Exception) -> str:
    return f"the service cannot be reached ({type(error).__name__}); try again when it can"


def _explain_call(error: exceptions.GoogleAPICallError) -> str:
    reason = reason_of(error)
    said = _first_line(error)
    if reason in QUOTA_REASONS or isinstance(error, exceptions.TooManyRequests):
        return f"a quota is used up ({said}); wait, or ask for a larger one in the project's quotas"
    if isinstance(error, exceptions.Forbidden):
        return f"no permission ({said}); give the run's account the roles of docs/bigquery.md"
    if isinstance(error, exceptions.Unauthorized):
        return f"the Google credentials are not accepted ({said}); sign in again"
    if isinstance(error, exceptions.NotFound):
        return (
            f"not found ({said}); something was removed or lies in another location, see "
            "attribeam tables diff"
        )
    if isinstance(error, exceptions.ServerError):
        return f"the service failed ({said}); try again later"
    return f"refused ({said}); see attribeam tables diff"


def reason_of(error: exceptions.GoogleAPICallError) -> str:
    """The service's own word for an error; empty where it gave none."""
    for detail in error.errors or ():
        if isinstance(detail, dict) and detail.get("reason"):
            return str(detail["reason"])
    return ""


def _first_line(error: Exception) -> str:
    """What the service said, without the address and identifiers of the request."""
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return str(text).strip().splitlines()[0][:300].rstrip(".;: ")

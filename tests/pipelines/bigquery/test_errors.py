"""What errors of Google's libraries are told as."""

import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth

from pipelines.bigquery.errors import NO_CREDENTIALS, clear_service_errors, explain
from pipelines.output import OutputError


def refreshing(cause: Exception) -> Exception:
    """How a machine of the cloud says that its token could not be had."""
    error = auth.RefreshError("cannot refresh")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        auth.TransportError("no route to host"),
        refreshing(auth.TransportError("no route to host")),
        exceptions.RetryError("late", cause=auth.TransportError("no route to host")),
        ConnectionError("reset"),
    ],
)
def test_a_network_that_is_down_is_not_a_matter_of_credentials(error: Exception) -> None:
    """Nobody is sent to sign in again."""
    said = explain(error)
    assert "the service cannot be reached" in said
    assert "credentials" not in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (auth.DefaultCredentialsError("none"), NO_CREDENTIALS),
        (auth.RefreshError("expired"), "the Google credentials are no longer good"),
    ],
)
def test_credentials_that_are_missing_or_old_are_told(error: Exception, said: str) -> None:
    """With what to do."""
    assert explain(error).startswith(said)


def test_an_error_says_what_was_done_and_what_is_left() -> None:
    """One message, with its cause for whoever asks."""
    cause = auth.TransportError("no route to host")
    with (
        pytest.raises(OutputError, match=r"BigQuery, signing in: the service .*; nothing") as found,
        clear_service_errors("signing in", "nothing was written"),
    ):
        raise cause
    assert found.value.__cause__ is cause

"""What `attribeam stream` is asked and cannot do is said in one message, before it begins."""

from pathlib import Path

import pytest
from cli_runs import Command

SUBSCRIPTION = "--subscription=projects/p/subscriptions/events"
DATAFLOW = ("--runner=DataflowRunner", "--region=europe-west3")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--output=bigquery://project/EU",), "needs --state, a folder"),
        (("--output=gs://bucket", "--state=state"), "write a folder or bigquery://"),
        (("--output=bigquery://project/EU", *DATAFLOW), "the parameter key_secret is missing"),
        (("--output=folder", *DATAFLOW), "write bigquery://PROJECT[/LOCATION]"),
        (("--output=folder", "--forever"), "unrecognized arguments: --forever"),
        (("--output=folder", "--metrics-port=0"), "is no port"),
    ],
)
def test_what_a_stream_cannot_be_asked_is_told(
    options: tuple[str, ...],
    said: str,
    attribeam: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Exit 2 with what is wrong, and no folder is made."""
    monkeypatch.chdir(tmp_path)
    done = attribeam("stream", SUBSCRIPTION, *options)
    assert done.code == 2
    assert said in done.errors[-1]
    assert not any(tmp_path.iterdir())


def test_a_name_that_is_no_subscriptions_is_told(attribeam: Command, tmp_path: Path):
    """Exit 1 with how a subscription's name is written."""
    done = attribeam("stream", "--subscription=events", f"--output={tmp_path / 'folder'}")
    assert done.code == 1
    assert "projects/PROJECT/subscriptions/NAME" in done.errors[-1]

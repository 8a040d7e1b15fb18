"""The stream into BigQuery, by real clients against real servers: the backfill's rows."""

import base64
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bigquery_runs import Row, local_rows, rows_in
from emulators.servers import BigQueryAddresses, bigquery_server
from emulators.topics import make_topic
from oracle.cases import KEY
from stream_commands import in_messages

from pipelines.bigquery.service import EMULATOR, connect
from pipelines.bigquery.stream_sink import WRITE_EMULATOR
from pipelines.views import VIEWS

T = 1_772_452_800_000


@pytest.fixture
def addresses(
    bigquery_addresses: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BigQueryAddresses]:
    """An empty BigQuery of the test's own; skipped without Go."""
    with bigquery_server() as found:
        monkeypatch.setenv(EMULATOR, found.rest)
        monkeypatch.setenv(WRITE_EMULATOR, found.grpc)
        monkeypatch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())
        yield found


def make_events(folder: Path) -> list[bytes]:
    """Files of a day of visits and calls; their lines."""
    draw = random.Random(7)
    events: dict[str, list[str]] = {"pageviews": [], "engagements": [], "calls": []}
    for visitor in range(60):
        moment = T + draw.randint(0, 40_000_000)
        number = f"+45701010{visitor % 5:02}"
        common = f'"account":"shop","visitor_id":"v{visitor % 40}"'
        events["pageviews"] += [
            f'{{"type":"pageview",{common},"time":{moment + step * 20_000},'
            f'"url":"https://shop.dk/?utm_source=s{visitor % 3}","tracking_numbers":["{number}"]}}'
            for step in range(3)
        ]
        events["engagements"].append(
            f'{{"type":"engagement",{common},"time":{moment + 30_000},"kind":"action",'
            f'"fields":{{"phone":"2020{visitor % 30:04}"}}}}'
        )
        if visitor % 2:
            events["calls"].append(
                f'{{"type":"call","account":"shop","call_id":"c{visitor}",'
                f'"start":{moment + draw.randint(0, 600_000)},"b_number":"{number}",'
                f'"a_number":"2020{visitor % 12:04}"}}'
            )
    for name, lines in events.items():
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return [line.encode() for lines in events.values() for line in lines]


def attribeam(*options: str, **env: str) -> None:
    command = [sys.executable, "-m", "pipelines.cli", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def without_moments(rows: list[Row]) -> list[Row]:
    return [
        {name: value for name, value in row.items() if name not in ("emitted_at", "revision")}
        for row in rows
    ]


def test_a_stream_leaves_the_rows_of_a_backfill_in_bigquery(
    addresses: BigQueryAddresses,
    pubsub_address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    """Views on what a stream wrote to BigQuery equal those on a backfill in a folder."""
    lines = make_events(tmp_path)
    topic = make_topic(pubsub_address)
    topic.publish(in_messages(lines, random.Random(1)))
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_address)
    stream = ["--subscription", topic.subscription, "--state", str(tmp_path / "state"), "--drain"]
    attribeam("stream", "--output", f"bigquery://{addresses.project}/EU", *stream)
    inputs = [f"--{name}={tmp_path / name}.jsonl" for name in ("pageviews", "engagements", "calls")]
    attribeam("backfill", *inputs, "--output", str(tmp_path / "folder"), "--keep-expired")
    service = connect(addresses.project)
    for view in VIEWS:
        theirs = without_moments(rows_in(service, "shop", view))
        ours = without_moments(local_rows(tmp_path / "folder", view, "shop"))
        assert theirs == ours, view
        assert ours

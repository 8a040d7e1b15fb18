"""Whole runs of `attribeam stream`, as a process, from a real Pub/Sub server to rows."""

import base64
import json
import random
import subprocess
import sys
import time
import tomllib
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import polars as pl
import pytest
from emulators.servers import pubsub_server
from emulators.topics import Topic, make_topic
from oracle.cases import KEY
from polars.testing import assert_frame_equal
from pure import run_flow
from stream_commands import drained, in_messages, running
from stream_runs import assert_latest, assert_no_double, warehouse_rows

from pipelines.ledger import imbalances
from pipelines.warehouse import COVERED, REPORT, LocalWarehouse
from schemas.config import parse_config
from scripts.publish_examples import read_events
from transforms.settings import DAY, MICROSECONDS, MINUTE
from transforms.steps import Tables

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "scripts" / "make_examples.py"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())


@pytest.fixture
def topic(pubsub_address: str) -> Topic:
    return make_topic(pubsub_address)


@pytest.fixture
def eager(tmp_path: Path) -> str:
    """The option for a configuration with which a silence begins soon."""
    config = tmp_path / "eager.toml"
    config.write_text("idle_seconds = 1\nout_of_order_seconds = 1\n")
    return f"--config={config}"


def now_us() -> int:
    return time.time_ns() // 1000


def visit_and_call(call_id: str, moment: int, **more: object) -> list[bytes]:
    """A page that shows a number, and a call to it a minute later."""
    page = {"type": "pageview", "account": "shop", "visitor_id": "v", "time": moment}
    page |= {"url": "https://shop.example/?gclid=1", "tracking_numbers": ["+4570101010"]}
    call = {"type": "call", "account": "shop", "call_id": call_id, "start": moment + MINUTE}
    call |= {"b_number": "+4570101010", "a_number": "+4520202020"} | more
    return [json.dumps(event).encode() for event in (page, call)]


def rows_equal(one: Tables, other: Tables) -> None:
    for name, rows in one.items():
        columns = ["account", "revision", "emitted_at"]
        ids = [c for c in rows.columns if c.endswith("_id") or c == "tracking_number"]
        order = [*columns, *ids]
        assert_frame_equal(rows.sort(order), other[name].sort(order), check_exact=True)


def test_a_stream_leaves_the_rows_of_a_backfill(tmp_path: Path, topic: Topic):
    """Shuffled, twice, killed, stopped, gone on and replayed: the rows stay those of a backfill.

    The demo's events, days in any order, so the lateness is as long as they are.
    """
    made = tmp_path / "events"
    subprocess.run(
        [sys.executable, EXAMPLES, "--output", made, "--days", "2", "--seed", "7"], check=True
    )
    text = "allowed_lateness_hours = 168\n" + (made / "attribeam.toml").read_text()
    config = tmp_path / "attribeam.toml"
    config.write_text(text)
    lines = [line for _, line in read_events(made)]
    sent = in_messages(lines, random.Random(7))
    topic.publish(sent)
    with running(tmp_path, topic, "--config", str(config)) as stream:
        stream.until(lambda: list(stream.state.glob("segments/*")))
        stream.kill()
    with running(tmp_path, topic, "--config", str(config)) as stream:
        stream.until((stream.output / REPORT).exists)
        assert stream.stop() == 0
    report = drained(tmp_path, topic, "--config", str(config))
    expected, counts = run_flow([(None, lines)], parse_config(tomllib.loads(text)), KEY, now_us())
    # What the killed stream held comes again when its deadline is over.
    while report["ledger"]["pageview"]["accepted"] < counts["pageview", "accepted"]:
        report = drained(tmp_path, topic, "--config", str(config))
    assert_no_double(stream.output)
    assert_latest(stream.output, expected)
    assert imbalances(report) == []
    assert report["rows"]["conversions"]["waiting"] == 0
    assert "too_late" not in report["dead_letters"]
    before = warehouse_rows(stream.output)
    topic.publish(in_messages(lines, random.Random(8)))
    again = drained(tmp_path, topic, "--config", str(config))
    assert again["ledger"]["call"]["duplicates"] > report["ledger"]["call"]["duplicates"]
    assert imbalances(again) == []
    assert json.loads((stream.output / REPORT).read_text())["ledger"] == again["ledger"]
    rows_equal(warehouse_rows(stream.output), before)


def test_a_second_stream_of_one_state_is_refused(tmp_path: Path, topic: Topic):
    """The second says who is in its way, the first goes on."""
    with running(tmp_path, topic) as first:
        first.until((first.state / "outbox").exists)
        with running(tmp_path, topic) as second:
            assert second.wait() == 1
        assert "another stream is using this state; stop it, or give --state" in first.said()
        assert first.stop() == 0


def test_rows_wait_while_a_backfill_writes(tmp_path: Path, topic: Topic, eager: str):
    """It is said once who holds the warehouse; what waited is there once it is let go."""
    topic.publish(visit_and_call("c1", now_us() - DAY))
    output = tmp_path / "output"
    with LocalWarehouse(output).open_run() as run, running(tmp_path, topic, eager) as stream:
        stream.until(lambda: "is writing there" in stream.said())
        assert "rows wait" in stream.said()
        run.commit(pl.DataFrame(schema=COVERED), {})
        assert warehouse_rows(output)["conversions"].is_empty()
    with running(tmp_path, topic, eager) as stream:
        stream.until(lambda: warehouse_rows(output)["conversions"].height)
        assert stream.stop() == 0
    assert stream.said().count("is writing there") == 1
    assert warehouse_rows(output)["conversions"]["call_id"].to_list() == ["c1"]


def test_calls_are_decided_when_the_source_falls_silent(tmp_path: Path, topic: Topic, eager: str):
    """Without --drain and without a later event, the last call is written all the same."""
    topic.publish(visit_and_call("last", now_us() - 2 * MINUTE))
    with running(tmp_path, topic, eager) as stream:
        stream.until(lambda: warehouse_rows(stream.output)["conversions"].height)
        assert stream.stop() == 0
    [row] = warehouse_rows(stream.output)["conversions"].to_dicts()
    assert (row["call_id"], row["reason"], row["revision"]) == ("last", "number_pool", 1)


def test_an_event_of_2099_and_ten_megabytes_hold_nothing_up(tmp_path: Path, topic: Topic):
    """They become dead letters, and the watermark is where it was: nothing else is too late."""
    future = visit_and_call("future", 4_070_908_800 * MICROSECONDS)
    large = b'{"type":"pageview","account":"shop","title":"%s"}' % (b"x" * 9_900_000)
    topic.publish(future)
    topic.publish([large])
    topic.publish(visit_and_call("c1", now_us() - DAY))
    report = drained(tmp_path, topic)
    assert report["dead_letters"] == {"bad_time": 2, "too_large": 1}
    assert report["ledger"]["call"]["accepted"] == 1
    assert imbalances(report) == []
    assert warehouse_rows(tmp_path / "output")["conversions"]["call_id"].to_list() == ["c1"]


@pytest.mark.usefixtures("pubsub_binary")
def test_a_server_that_was_gone_is_waited_for(tmp_path: Path, eager: str):
    """The stream says so once, goes on when the server is back, and no silence was concluded."""
    names = ("projects/test/topics/t", "projects/test/subscriptions/sub")
    with ExitStack() as stack:
        with pubsub_server(0, *names) as address:
            topic = Topic(address, *names)
            topic.publish(visit_and_call("before", now_us() - DAY))
            stream = stack.enter_context(running(tmp_path, topic, eager))
            stream.until(lambda: warehouse_rows(stream.output)["conversions"].height)
        stream.until(lambda: "does not answer" in stream.said())
        with pubsub_server(int(address.rpartition(":")[2]), *names):
            topic.publish(visit_and_call("after", now_us() - 2 * MINUTE))
            stream.until(lambda: warehouse_rows(stream.output)["conversions"].height == 2)
            assert stream.stop() == 0
    assert stream.said().count("does not answer") == 1
    assert stream.report()["dead_letters"] == {}


def test_an_unknown_subscription_is_an_error_in_words(tmp_path: Path, topic: Topic):
    """Exit 1 at once, with what to do."""
    unknown = Topic(topic.address, topic.topic, "projects/test/subscriptions/nowhere")
    with running(tmp_path, unknown) as stream:
        assert stream.wait() == 1
        assert "Pub/Sub knows no subscription" in stream.said()
        assert "Traceback" not in stream.said()


def test_without_credentials_it_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Exit 1, with what to set."""
    for name in ("PUBSUB_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    with running(
        tmp_path, None, CLOUDSDK_CONFIG=str(tmp_path / "none"), NO_GCE_CHECK="true"
    ) as stream:
        assert stream.wait() == 1
        assert "there are no Google credentials for Pub/Sub" in stream.said()


def test_no_personal_value_is_left_anywhere(tmp_path: Path, topic: Topic, eager: str):
    """A phone number, a mail address and an IP address are in no log, metric, state or row."""
    port = random.Random().randrange(20_000, 60_000)
    moment = now_us() - DAY
    form = {"type": "engagement", "account": "shop", "visitor_id": "v", "time": moment + 1}
    form |= {
        "kind": "action",
        "fields": {"phone": "31 41 59 26", "email": "Planted@Secret.Example"},
    }
    form |= {"ip": "203.0.113.77"}
    bad = {"type": "call", "account": "shop", "call_id": "bad", "start": "never"}
    bad |= {"a_number": "+4531415926", "b_number": "+4570101010", "note": "planted@secret.example"}
    late = visit_and_call("late", moment - 40 * DAY, a_number="+4531415926", ip="203.0.113.77")
    lines = [json.dumps(form).encode(), json.dumps(bad).encode()]
    lines += visit_and_call("c1", moment, a_number="tel:+4531415926", ip="203.0.113.77")
    topic.publish(lines)
    options = (eager, f"--metrics-port={port}")
    with running(tmp_path, topic, *options, ATTRIBEAM_LOG="DEBUG") as stream:
        stream.until(lambda: warehouse_rows(stream.output)["conversions"].height)
        topic.publish(late)
        with LocalWarehouse(stream.output).open_run():
            stream.until(lambda: "is writing there" in stream.said())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                metrics = answer.read()
            assert b"attribeam_state_bytes" in metrics
            assert stream.stop() == 0
    texts = {"metrics": metrics, "log": stream.said().encode()}
    for path in filter(Path.is_file, tmp_path.rglob("*")):
        texts[str(path)] = path.read_bytes()
        if path.suffix == ".parquet":
            texts[f"{path} read"] = str(pl.read_parquet(path).to_dicts()).encode()
        if path.suffix == ".arrow":
            texts[f"{path} read"] = str(pl.read_ipc(path).to_dicts()).encode()
    assert any("outbox" in name for name in texts)
    planted = (b"31415926", b"31 41 59 26", b"planted@secret", b"203.0.113.77")
    found = [
        (name, value) for name, text in texts.items() for value in planted if value in text.lower()
    ]
    assert found == []

"""From a template's parameters to a job."""

import base64
import bz2
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.localfilesystem import LocalFileSystem
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from backfill_runs import NOW, backfill, everything, story_files, write
from bigquery_runs import query
from emulators.servers import bigquery_server
from tables import KEY
from warehouse_runs import call, conversions

from pipelines.backfill import UsageError
from pipelines.bigquery.service import EMULATOR, connect
from pipelines.bigquery.stream_sink import WRITE_EMULATOR
from pipelines.flex import backfill_arguments, launch, main, read_parameters
from pipelines.flex_jobs import (
    RunBackfill,
    local_config,
    open_writer,
    read_arguments,
    run_backfill_pipeline,
)
from schemas.config import ConfigError, parse_config

SECRET = "projects/my-project/secrets/attribeam-key/versions/1"
DATAFLOW = (
    "--runner=DataflowRunner",
    "--dry_run=True",
    "--project=my-project",
    "--region=europe-west3",
    "--temp_location=gs://my-bucket/temp",
    "--sdk_container_image=europe-west3-docker.pkg.dev/my-project/attribeam/attribeam:1",
    "--job_name=attribeam",
)
STREAM = (
    "--command=stream",
    "--output=bigquery://my-project/EU",
    f"--key_secret={SECRET}",
    "--subscription=projects/my-project/subscriptions/attribeam-stream",
)
BACKFILL = (
    "--command=backfill",
    "--output=bigquery://my-project/EU",
    f"--key_secret={SECRET}",
    "--pageviews=gs://b/p,gs://b/q",
    "--calls=gs://b/c",
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())


def test_parameters_become_the_options_of_a_backfill() -> None:
    """Lists are split at commas, flags are true or false, empty values are none given."""
    given = read_parameters(
        [*BACKFILL, "--detail=true", "--keep_expired=false", "--max_dead_letters=7", "--from="]
    )
    asked = read_arguments(backfill_arguments(given))
    assert asked.pageviews == ["gs://b/p", "gs://b/q"]
    assert asked.calls == ["gs://b/c"]
    assert (asked.detail, asked.keep_expired, asked.max_dead_letters) == (True, False, 7)
    assert (asked.first, asked.end) == (None, None)
    assert asked.output == "bigquery://my-project/EU"


def test_the_rest_is_beams() -> None:
    """What no parameter has the name of goes to Beam as it came, more than once where it does."""
    rest = ["--experiments=a", "--experiments=b", "--streaming", "--region=europe-west3"]
    given = read_parameters([*STREAM, *rest])
    assert given.beam == tuple(rest)
    assert "--region=europe-west3" in backfill_arguments(read_parameters([*BACKFILL, *rest]))


def test_a_backfill_knows_every_region_it_may_work_in() -> None:
    """That of the job and those of its workers: allowed_locations must hold them all."""
    rest = ["--region=europe-west3", "--worker_zone=us-central1-a"]
    asked = backfill_arguments(read_parameters([*BACKFILL, *rest]))
    assert "--region=europe-west3,us-central1" in asked
    assert read_arguments(asked).beam_options == ["--region=europe-west3,us-central1"]


def test_a_backfill_of_the_last_days_ends_with_the_last_complete_one() -> None:
    """last_days counts back from the day of the launch, which is not complete."""
    asked = read_arguments(backfill_arguments(read_parameters([*BACKFILL, "--last_days=3"])))
    assert asked.first is not None
    assert asked.end is not None
    assert (asked.end - asked.first).days == 3
    assert asked.end.toordinal() - 719163 == asked.now // 86_400_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--output=bigquery://p"], "command=: write backfill or stream, once"),
        (["--command=both"], "command=both: write backfill or stream, once"),
        ([*STREAM, "--output=warehouse"], r"output=warehouse: write bigquery://PROJECT"),
        (STREAM[:2], "the parameter key_secret is missing"),
        (STREAM[:3], "the parameter subscription is missing"),
        ([*STREAM, "--shards=0"], "shards=0: write a whole number"),
        ([*BACKFILL, "--detail=yes"], "detail=yes: write true or false"),
        ([*BACKFILL, "--detail"], "--detail: write --detail=VALUE"),
        ([*BACKFILL, "--last_days=2", "--to=2026-01-01"], "last_days stands for from and to"),
    ],
)
def test_what_cannot_be_launched_is_told(arguments: list[str], message: str) -> None:
    """One message that names the parameter, before any job."""
    with pytest.raises(UsageError, match=message):
        launch(arguments)


def test_a_configuration_that_is_not_there_ends_the_launch(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Exit 2 with one message."""
    with pytest.raises(SystemExit) as ended:
        main([*STREAM, f"--config={tmp_path}/none.toml"])
    assert ended.value.code == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err


class Elsewhere(LocalFileSystem):
    """Files of this machine under another name, as Beam's file systems have them."""

    @classmethod
    def scheme(cls) -> str:
        return "elsewhere"

    def open(self, path: str, *given: Any, **named: Any) -> Any:
        return super().open(path.removeprefix("elsewhere://"), *given, **named)


def test_a_configuration_elsewhere_is_copied_here(tmp_path: Path) -> None:
    """A file of one of Beam's file systems is read like one of this machine."""
    (tmp_path / "a.toml").write_text("retention_days = 30\n", "utf-8")
    with local_config(f"elsewhere://{tmp_path}/a.toml") as path:
        assert path is not None
        assert path.read_text("utf-8") == "retention_days = 30\n"
    for missing in (f"elsewhere://{tmp_path}/b.toml", "nowhere://a.toml"):
        with pytest.raises(ConfigError, match="cannot be read"), local_config(missing):
            pass


def test_without_access_to_the_secret_a_launch_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exit 2 with one message that names the version and the role."""
    monkeypatch.delenv("ATTRIBEAM_KEY")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(SystemExit) as ended:
        main([*STREAM, *DATAFLOW])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"attribeam: error: {SECRET}: no key can be had (DefaultCredentialsError)"
    )
    assert "roles/secretmanager.secretAccessor" in said


def test_the_streams_writer_makes_an_accounts_tables_and_appends(
    bigquery_addresses: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account that comes for the first time gets its dataset, and its rows."""
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        monkeypatch.setenv(WRITE_EMULATOR, addresses.grpc)
        writer = open_writer("bigquery://test/EU", parse_config({}), "europe-west3")
        writer.append("conversions", conversions(call("1"), call("2"))["conversions"])
        rows = query(connect("test"), "SELECT call_id FROM `test.shop.conversions_latest`")
    assert sorted(rows) == [("1",), ("2",)]


@pytest.mark.parametrize("arguments", [STREAM, BACKFILL])
def test_a_launch_makes_the_job_and_no_key_is_in_it(arguments: tuple[str, ...]) -> None:
    """The job's graph is made without a network; the key is fetched where it is used."""
    result = launch([*arguments, *DATAFLOW])
    assert result.state == "DONE"
    functions = b"".join(functions_of(result.job.proto_pipeline))
    assert SECRET.encode() in functions
    assert KEY not in functions
    assert base64.b64encode(KEY) not in functions


def test_a_streams_workers_know_every_region_they_may_work_in() -> None:
    """They check the accounts' allowed_locations, which the job's region alone would pass."""
    result = launch([*STREAM, *DATAFLOW, "--worker_region=us-central1"])
    functions = b"".join(functions_of(result.job.proto_pipeline))
    assert b"europe-west3,us-central1" in functions


def functions_of(graph: Any) -> Iterator[bytes]:
    """The pickled functions of a job's graph."""
    for transform in graph.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            pardo = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            yield bz2.decompress(base64.b64decode(pardo.do_fn.payload))


def test_a_backfill_on_one_worker_writes_what_the_command_writes(tmp_path: Path) -> None:
    """The same rows, and a report that adds up."""
    folder = write(tmp_path / "in", story_files())
    backfill(folder, tmp_path / "direct")
    paths = {
        f"{kind}s": str(next(folder.glob(f"{kind}s*")))
        for kind in ("pageview", "engagement", "call")
    }
    arguments = [*(f"--{kind}={path}" for kind, path in paths.items())]
    arguments += [f"--output={tmp_path}/job", f"--now={NOW / 1e6:.0f}"]
    work = RunBackfill(arguments, None, SECRET)
    result = run_backfill_pipeline(work, PipelineOptions(["--runner=FnApiRunner"]))
    result.wait_until_finish()
    assert everything(tmp_path / "job") == everything(tmp_path / "direct")
    report = json.loads((tmp_path / "job" / "run_report.json").read_text("utf-8"))
    assert report["ledger"]["call"]["read"] == report["ledger"]["call"]["accepted"] + sum(
        report["ledger"]["call"][name] for name in ("duplicates", "dead_letters", "no_consent")
    )


def test_a_backfill_that_fails_says_why_and_no_value(tmp_path: Path) -> None:
    """The job's error is the command's message."""
    arguments = [f"--pageviews={tmp_path}/none.jsonl", f"--calls={tmp_path}/none.jsonl"]
    arguments += [f"--output={tmp_path}/job"]
    options = PipelineOptions(["--runner=FnApiRunner"])
    with pytest.raises(Exception, match=r"none\.jsonl: no such file"):
        run_backfill_pipeline(RunBackfill(arguments, None, SECRET), options).wait_until_finish()
    assert not (tmp_path / "job" / "warehouse.duckdb").exists()

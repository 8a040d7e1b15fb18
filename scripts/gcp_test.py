"""Tests in a real Google Cloud project: the BigQuery sink, then a short stream on Dataflow.

python scripts/gcp_test.py PROJECT REGION IMAGE

The project holds nothing but what steps 2, 3 and 5 of docs/deploy.md made (keys, secret, buckets,
network, accounts, image), and no job and no dataset. Never run where this was written.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.cloud import bigquery, pubsub_v1
from google.cloud import dataflow_v1beta3 as dataflow

ROOT = Path(__file__).resolve().parent.parent
NAME = "attribeam-gcp-test"
LOCATION = "EU"
SINK_TESTS = [
    f"tests/pipelines/bigquery/test_{part}.py"
    for part in ("sink", "recovery", "views_bigquery", "stream_sink")
]
MOST_SECONDS = 1800
STATES = dataflow.JobState
RUNNING = {STATES.JOB_STATE_RUNNING}
OVER = {STATES.JOB_STATE_DRAINED, STATES.JOB_STATE_UPDATED}
FAILED = {STATES.JOB_STATE_FAILED, STATES.JOB_STATE_CANCELLED}


def main() -> None:
    """Runs all, or says in one message what is missing."""
    missing = why_not(sys.argv[1:])
    if missing:
        sys.exit(f"gcp-test: {missing}")
    project, region, image = sys.argv[1:]
    tests = [sys.executable, "-m", "pytest", "-q", "-m", "not emulator", *SINK_TESTS]
    run("env", f"ATTRIBEAM_GCP_PROJECT={project}", *tests)
    stream(project, region, image)
    print("gcp-test: the sink's tests and the stream's job passed; look at the rows, then remove "
          f"the datasets of {project}")  # fmt: skip


def why_not(arguments: list[str]) -> str | None:
    """What keeps the tests from running, None where nothing does."""
    given = [argument for argument in arguments if argument]
    if len(given) != 3:
        return (
            "make gcp-test PROJECT=my-project REGION=europe-west3 IMAGE=…/attribeam:1 (a project "
            "of its own, made as docs/deploy.md says); nothing was done"
        )
    try:
        google.auth.default()
    except GoogleAuthError:
        return "no credentials: gcloud auth application-default login; nothing was done"
    return None


def stream(project: str, region: str, image: str) -> None:
    """Launches a stream of example events, updates it, drains it; rows must have come."""
    topic, subscription = (
        f"projects/{project}/{kind}/{NAME}" for kind in ("topics", "subscriptions")
    )
    jobs = dataflow.JobsV1Beta3Client()
    options = [
        f"--output=bigquery://{project}/{LOCATION}", f"--subscription={subscription}",
        f"--key_secret=projects/{project}/secrets/attribeam-key/versions/1", "--command=stream",
        "--shards=4", "--runner=DataflowRunner", f"--project={project}", f"--region={region}",
        f"--job_name={NAME}", f"--temp_location=gs://{project}-attribeam-temp/temp",
        f"--sdk_container_image={image}", "--max_num_workers=1", "--no_use_public_ips",
        f"--service_account_email=attribeam-worker@{project}.iam.gserviceaccount.com",
        f"--subnetwork=regions/{region}/subnetworks/attribeam-workers",
    ]  # fmt: skip
    launch = [sys.executable, "deploy/main.py", *options]
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "scripts/make_examples.py", "--output", folder)
        publish = [sys.executable, "scripts/publish_examples.py", "--events", folder]
        publish += ["--topic", topic, "--subscription", subscription]
        run(*publish)
        try:
            run(*launch)
            wait("rows in BigQuery", lambda: rows(project) > 0)
            first = job_id(jobs, project, region, RUNNING)
            run(*launch, "--update")
            wait("the update", lambda: state(jobs, project, region, first) in OVER)
            wait("the new job", lambda: job_id(jobs, project, region, RUNNING) is not None)
        finally:
            drain(jobs, project, region)
            pubsub_v1.SubscriberClient().delete_subscription(subscription=subscription)
            pubsub_v1.PublisherClient().delete_topic(topic=topic)


def drain(jobs: dataflow.JobsV1Beta3Client, project: str, region: str) -> None:
    """Drains the running job, if there is one, and waits for its end."""
    running = job_id(jobs, project, region, RUNNING)
    if running is None:
        return
    asked = dataflow.Job(requested_state=STATES.JOB_STATE_DRAINED)
    jobs.update_job(
        request={"project_id": project, "location": region, "job_id": running, "job": asked}
    )
    wait("the drain", lambda: state(jobs, project, region, running) in OVER)


def job_id(
    jobs: dataflow.JobsV1Beta3Client, project: str, region: str, states: set[int]
) -> str | None:
    """The test's job that is in one of these states."""
    found = jobs.list_jobs(request={"project_id": project, "location": region})
    return next((j.id for j in found if j.name == NAME and j.current_state in states), None)


def state(jobs: dataflow.JobsV1Beta3Client, project: str, region: str, job: str | None) -> int:
    """A job's state. Exits where it has failed."""
    found = jobs.get_job(request={"project_id": project, "location": region, "job_id": job})
    if found.current_state in FAILED:
        sys.exit(f"gcp-test: the job {job} has failed; its log says why")
    return int(found.current_state)


def rows(project: str) -> int:
    """Rows of conversions in all datasets of accounts."""
    client = bigquery.Client(project=project)
    names = [
        d.dataset_id for d in client.list_datasets() if not d.dataset_id.startswith("attribeam_")
    ]
    counts = (client.query(f"SELECT COUNT(*) AS n FROM `{n}.conversions`").result() for n in names)
    return sum(row["n"] for count in counts for row in count)


def wait(what: str, is_there: Callable[[], bool]) -> None:
    """Asks every 20 seconds until something is there. Exits when it takes too long."""
    end = time.monotonic() + MOST_SECONDS
    while not is_there():
        if time.monotonic() > end:
            sys.exit(f"gcp-test: {what} did not come within {MOST_SECONDS // 60} minutes")
        time.sleep(20)
    print(f"gcp-test: {what}: there", flush=True)


def run(*command: str) -> None:
    """A command; exits where it fails."""
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"gcp-test: failed: {' '.join(command[:3])} …")


if __name__ == "__main__":
    main()

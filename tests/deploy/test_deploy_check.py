"""attribeam deploy-check: what it lets pass, and what it says of the rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.deploy_check import JOBS, check_deploy, check_names, make_graph, transform_names
from schemas.config import ConfigError, parse_config

ROOT = Path(__file__).parents[2]
NAMES = ROOT / "tests" / "data" / "deploy"
OUTPUT = "bigquery://my-project/EU"
GIVEN = {
    "--project": "my-project",
    "--region": "europe-west3",
    "--temp_location": "gs://my-bucket/temp",
    "--sdk_container_image": "europe-west3-docker.pkg.dev/my-project/attribeam/attribeam:1",
    "--service_account_email": "attribeam-worker@my-project.iam.gserviceaccount.com",
    "--max_num_workers": "4",
}


def options(**changed: str | None) -> list[str]:
    """The right options with some changed, or left out (None)."""
    given = GIVEN | {f"--{name}": value for name, value in changed.items()}
    return [f"{flag}={value}" for flag, value in given.items() if value is not None]


def wrong(*more: str, config: Path | None = None, **changed: str | None) -> list[tuple[str, str]]:
    found = check_deploy(config, OUTPUT, [*options(**changed), *more])
    assert not found.is_right
    return [(each.subject, each.words) for each in found.findings if not each.is_right]


def test_what_is_right_passes() -> None:
    """Both jobs are made, and all their transforms have names."""
    found = check_deploy(None, OUTPUT, options())
    assert found.is_right, found.text()
    assert [each.subject for each in found.findings][-2:] == list(JOBS)
    assert found.text().count("\n") == len(found.findings) - 1


def test_a_job_may_write_into_another_project_and_is_told_so() -> None:
    """It is right, and its line names both."""
    found = check_deploy(None, "bigquery://my-data/EU", options())
    assert found.is_right
    assert "the job runs in my-project and writes to my-data" in found.text()
    assert "writes to" not in check_deploy(None, OUTPUT, options()).text()


@pytest.mark.parametrize("job", JOBS)
def test_the_names_of_transforms_stay(job: str) -> None:
    """A running job is updated by its transforms' names: where one must change, say it in
    docs/deploy.md (--transform_name_mapping) and change the list."""
    names = transform_names(make_graph(job, parse_config({}), OUTPUT, options()))
    assert names == (NAMES / f"{job}_transforms.txt").read_text("utf-8").splitlines()


def test_the_names_do_not_go_by_accounts_or_workers() -> None:
    """Another configuration and other machines make the same graph."""
    config = parse_config({"accounts": {"a": {"retention_days": 3}, "b": {}}})
    given = options(machine_type="n2-standard-16", max_num_workers="50", region="us-east1")
    other = transform_names(make_graph("stream", config, "bigquery://your-project/US", given))
    assert other == (NAMES / "stream_transforms.txt").read_text("utf-8").splitlines()


def test_names_that_could_be_others_tomorrow_are_found() -> None:
    """Double names, addresses, lambdas and numbered names."""
    said = list(
        check_names(["A", "A", "B/Map(<lambda at x.py:3>)", "C at 0x7f3e7863", "D_1", "E2"])
    )
    assert [words.partition(":")[0] for words in said] == [
        "A",
        "B/Map(<lambda at x.py",
        "C at 0x7f3e7863",
        "D_1",
    ]


@pytest.mark.parametrize(
    ("changed", "subject", "words"),
    [
        ({"project": None}, "job", "--project is missing"),
        ({"temp_location": None}, "job", "--temp_location None: name a folder"),
        ({"temp_location": "/tmp"}, "job", "--temp_location /tmp: name a folder"),
        ({"temp_location": "gs://b/temp"}, "job", "--temp_location gs://b/temp: name a folder"),
        ({"service_account_email": None}, "job", "--service_account_email is missing"),
        ({"runner": "FnApiRunner"}, "job", "--runner FnApiRunner: jobs are for DataflowRunner"),
        ({"sdk_container_image": None}, "image", "--sdk_container_image is missing"),
        ({"sdk_container_image": "host:5000/a"}, "image", "has no tag"),
        ({"sdk_container_image": "a/b:latest"}, "image", "latest is another tomorrow"),
        ({"max_num_workers": None}, "workers", "--max_num_workers is missing"),
        ({"num_workers": "5"}, "workers", "--num_workers 5 is more than --max_num_workers 4"),
        ({"machine_type": "e2-small"}, "workers", "shares a core"),
        ({"disk_size_gb": "10"}, "workers", "--disk_size_gb 10"),
        ({"region": None}, "region", "--region is missing"),
    ],
)
def test_what_is_wrong_is_said(changed: dict[str, str | None], subject: str, words: str) -> None:
    """One finding, which names the option; no graph is made then."""
    [(found, said)] = wrong(**changed)
    assert found == subject
    assert words in said


def test_a_digest_is_as_good_as_a_tag() -> None:
    """An image named by its digest stays what it is."""
    image = f"a/b@sha256:{'0' * 64}"
    assert check_deploy(None, OUTPUT, options(sdk_container_image=image)).is_right


def test_workers_without_addresses_need_a_network() -> None:
    """They would reach neither Google's services nor each other."""
    assert wrong("--no_use_public_ips")[0][0] == "workers"
    network = options(subnetwork="regions/europe-west3/subnetworks/attribeam-workers")
    assert check_deploy(None, OUTPUT, [*network, "--no_use_public_ips"]).is_right


def test_options_that_nobody_knows_are_told_with_the_closest() -> None:
    """A misspelt option ends the check."""
    assert wrong("--max_nun_workers=4") == [
        ("options", "unknown option --max_nun_workers: did you mean --max_num_workers?")
    ]


def test_jobs_and_datasets_stay_where_accounts_allow(tmp_path: Path) -> None:
    """The region, and each dataset's location, is among allowed_locations."""
    config = tmp_path / "attribeam.toml"
    config.write_text(
        'allowed_locations = ["EU", "europe-west3"]\n[accounts.a]\n[accounts.b]\nlocation = "US"\n'
    )
    found = wrong(config=config, region="us-east1")
    assert {subject for subject, _ in found} == {"region"}
    assert any("US" in words and "account b" in words for _, words in found)
    assert any("us-east1" in words and "account a" in words for _, words in found)


@pytest.mark.parametrize("option", ["worker_region=us-east1", "worker_zone=us-east1-b"])
def test_workers_stay_where_accounts_allow(option: str, tmp_path: Path) -> None:
    """A region that is allowed does not speak for workers elsewhere."""
    config = tmp_path / "attribeam.toml"
    config.write_text('allowed_locations = ["EU", "europe-west3"]\n[accounts.a]\n')
    assert check_deploy(config, OUTPUT, options()).is_right
    found = wrong(f"--{option}", config=config)
    assert found[0] == (
        "region",
        "account a: this run works in us-east1, which is not one of allowed_locations "
        "(EU, europe-west3)",
    )


def test_a_wrong_output_or_configuration_is_a_usage_error(tmp_path: Path) -> None:
    """Not a finding but an error: nothing could be checked."""
    with pytest.raises(ConfigError, match="write bigquery://PROJECT"):
        check_deploy(None, "bigquery://My_Project", options())
    with pytest.raises(ConfigError, match=r"--output warehouse: .* write bigquery://PROJECT"):
        check_deploy(None, "warehouse", options())
    with pytest.raises(ConfigError, match="cannot be read"):
        check_deploy(tmp_path / "none.toml", OUTPUT, options())


def test_the_command_needs_no_key_and_exits_1_where_something_is_wrong() -> None:
    """The command line: JSON on stdout, the exit code, no ATTRIBEAM_KEY."""
    command = [sys.executable, "-m", "pipelines.cli", "deploy-check", "--output", OUTPUT, "--json"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ATTRIBEAM_")}
    for given, code in ((options(), 0), (options(region=None), 1)):
        done = subprocess.run(
            [*command, *given],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert json.loads(done.stdout)["is_right"] is (code == 0)

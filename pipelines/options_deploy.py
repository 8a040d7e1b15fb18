"""The options of attribeam deploy-check."""

from pathlib import Path

from pipelines.options_command import Commands, add_command

EXAMPLES = """example:
  attribeam deploy-check --config attribeam.toml --output bigquery://my-project/EU \\
      --project my-project --region europe-west3 \\
      --temp_location gs://my-project-attribeam-temp/temp \\
      --sdk_container_image europe-west3-docker.pkg.dev/my-project/attribeam/attribeam:1 \\
      --service_account_email attribeam-worker@my-project.iam.gserviceaccount.com \\
      --max_num_workers 4
"""


def add_deploy_check(commands: Commands) -> None:
    """Adds the command to the parser."""
    check = add_command(
        commands,
        "deploy-check",
        "make the jobs for Dataflow without submitting them, and check them",
        EXAMPLES,
        description="Checks the options given (those of Beam), the region and the names of all "
        "transforms. Needs no network, no key and no credentials; submits nothing.",
    )
    add = check.add_argument
    add("--config", type=Path, metavar="FILE", help="TOML configuration (defaults without one)")
    add("--output", required=True, metavar="bigquery://PROJECT[/LOCATION]", help="the warehouse")
    add("--json", action="store_true", help="print JSON")

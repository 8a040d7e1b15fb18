"""make gcp-test refuses what it cannot do, in one message; the rest of it needs a project."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("", "", ""), "make gcp-test PROJECT=my-project REGION=europe-west3 IMAGE="),
        (("my-project", "europe-west3", ""), "make gcp-test PROJECT=my-project"),
        (("my-project", "europe-west3", "image:1"), "no credentials: gcloud auth"),
    ],
)
def test_it_refuses_without_project_image_or_credentials(
    arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """One line on stderr, exit code 1, nothing done."""
    nobody = {"HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), "NO_GCE_CHECK": "true"}
    without = {k: v for k, v in os.environ.items() if not k.startswith("GOOGLE_")}
    done = subprocess.run(
        [sys.executable, "scripts/gcp_test.py", *arguments],
        cwd=ROOT,
        env=without | nobody,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"gcp-test: {said}")
    assert done.stderr.count("\n") == 1
    assert "nothing was done" in done.stderr

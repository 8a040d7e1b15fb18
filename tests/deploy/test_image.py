"""The image of launcher and workers, read as text: no container engine is needed."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text("utf-8")
LINES = [
    line.strip()
    for line in DOCKERFILE.replace("\\\n", " ").splitlines()
    if line.strip() and not line.startswith("#")
]
STEPS = [tuple(line.split(None, 1)) for line in LINES]


def steps(name: str) -> list[str]:
    return [rest for step, rest in STEPS if step == name]


def bases() -> list[str]:
    return [rest.split()[0] for rest in steps("FROM")]


def test_the_image_has_the_beam_that_the_project_pins() -> None:
    """Beam's boot program, requirements.lock and pyproject.toml name one version of Beam."""
    [image] = [base for base in bases() if base.startswith("apache/beam_python")]
    version = image.rpartition(":")[2]
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    [pin] = [need for need in project["dependencies"] if need.startswith("apache-beam")]
    assert re.search(rf"^apache-beam(\[\w+\])?=={re.escape(version)} ", lock, re.MULTILINE)
    assert pin == f"apache-beam[gcp]~={version}"


def test_all_parts_of_the_image_have_the_python_that_the_lock_was_made_for() -> None:
    """Boot program, launcher and interpreter are those of Python 3.11."""
    assert sorted(re.search(r"python:?(\d\.?\d\d)", base)[1] for base in bases()) == [
        "3.11",
        "3.11",
        "311",
    ]


def test_every_base_has_a_version_that_stays() -> None:
    """No base is named without a tag, or by one that moves from release to release."""
    tags = [base.rpartition(":")[2] for base in bases()]
    assert all(":" in base for base in bases())
    assert all(re.search(r"\d", tag) for tag in tags)
    assert "latest" not in DOCKERFILE


def test_the_entry_is_the_workers_and_the_launcher_finds_its_file() -> None:
    """The image starts as a worker; the variable of the launcher names a file that is copied."""
    assert steps("ENTRYPOINT") == ['["/opt/apache/beam/boot"]']
    [file] = [v for v in steps("ENV") if v.startswith("FLEX_TEMPLATE_PYTHON_PY_FILE=")]
    assert file.partition("=")[2] == "/template/main.py"
    assert "deploy/main.py main.py" in steps("COPY")
    assert (ROOT / "deploy" / "main.py").exists()
    copied = " ".join(steps("COPY"))
    assert "/opt/apache/beam/boot".rpartition("/")[0] in copied
    assert "/opt/google/dataflow/python_template_launcher" in copied


def test_dependencies_are_installed_by_hash_and_nothing_at_a_launch() -> None:
    """pip takes requirements.lock with hashes; no file of requirements is given to the launcher."""
    installs = [rest for rest in steps("RUN") if "pip install" in rest]
    assert "--no-deps --require-hashes --requirement requirements.lock" in installs[0]
    assert all("--no-deps" in rest for rest in installs[1:])
    assert "REQUIREMENTS_FILE=" not in DOCKERFILE


def test_what_the_image_copies_goes_to_the_builder_and_nothing_else() -> None:
    """.dockerignore leaves out all but what is copied; no events, keys or state."""
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    kept = {line.removeprefix("!").rstrip("/") for line in ignore if line.startswith("!")}
    sources = [rest.split()[:-1] for rest in steps("COPY") if not rest.startswith("--from")]
    assert ignore[1] == "*"
    assert kept == {source for copied in sources for source in copied}
    assert all((ROOT / source).exists() for source in kept)

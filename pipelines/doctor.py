"""`attribeam doctor`: whether this machine, configuration, input and output are fit for a run."""

import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

DISTRIBUTION = "attribeam"
PYTHON = SpecifierSet(">=3.11,<3.13")
# What a small run writes; larger input needs about its own size again.
LEAST_FREE_BYTES = 500_000_000


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; advice says what to do where it is not ok."""

    name: str
    ok: bool
    detail: str
    advice: str = ""

    def line(self) -> str:
        """The check as a line for people."""
        word = "ok     " if self.ok else "problem"
        return f"{word}  {self.name}: {self.detail}" + (f"; {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class Diagnosis:
    """All checks of one call of the doctor."""

    checks: list[Check]

    @property
    def exit_code(self) -> int:
        """1 where there is any problem."""
        return 0 if all(check.ok for check in self.checks) else 1

    def text(self) -> str:
        """One line for each check."""
        return "\n".join(check.line() for check in self.checks)

    def json(self) -> str:
        """The same for a script."""
        checks = [asdict(check) for check in self.checks]
        return json.dumps({"ok": not self.exit_code, "checks": checks}, indent=2)


def diagnose(
    config: Path | None = None,
    output: str | None = None,
    inputs: Mapping[str, Sequence[str]] | None = None,
) -> Diagnosis:
    """Looks at everything that is given; inputs: paths by the kind of event they hold."""
    given = {kind: paths for kind, paths in (inputs or {}).items() if paths}
    checks = [check_python(), *check_libraries(), *_check_data(config, given)]
    if output is not None:
        checks += check_output(output, _input_bytes(given))
    return Diagnosis(checks)


def check_python(version: str | None = None) -> Check:
    """The interpreter's version."""
    version = version or platform.python_version()
    if PYTHON.contains(version, prereleases=True):
        return Check("Python", True, version)
    return Check("Python", False, version, f"needs {PYTHON}; make setup PYTHON=python3.11")


def check_libraries() -> Iterator[Check]:
    """Installed libraries against what the project asks for: one line where all fit."""
    advice = "run make setup"
    try:
        wanted = [Requirement(text) for text in importlib.metadata.requires(DISTRIBUTION) or []]
    except importlib.metadata.PackageNotFoundError:
        yield Check("libraries", False, f"{DISTRIBUTION} is not installed here", advice)
        return
    needed = [w for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})]
    problems = [(w.name, library_problem(w)) for w in needed]
    for name, detail in problems:
        if detail is not None:
            yield Check(name, False, detail, advice)
    if all(detail is None for _, detail in problems):
        yield Check("libraries", True, f"{len(needed)} as asked for")


def library_problem(wanted: Requirement) -> str | None:
    """What is wrong with the installed version of a library, None where it fits."""
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return f"is missing, {wanted.specifier} is needed"
    if wanted.specifier.contains(version, prereleases=True):
        return None
    return f"{version} is installed, {wanted.specifier} is needed"


def check_output(output: str, input_bytes: int) -> Iterator[Check]:
    """Whether the output folder can be written, and has room."""
    if "://" in output:
        yield Check("output", True, f"{output}: checked when a run starts")
        return
    folder = Path(output)
    place = next((p for p in (folder, *folder.absolute().parents) if os.path.lexists(p)), folder)
    advice = "allow writing there or choose another --output"
    if not place.is_dir():
        yield Check("output", False, f"{place} is not a folder", advice)
        return
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"\0")
    except OSError as error:
        yield Check("output", False, f"{place} cannot be written: {error.strerror}", advice)
        return
    yield Check("output", True, f"{place} can be written")
    free, wanted = shutil.disk_usage(place).free, max(LEAST_FREE_BYTES, input_bytes)
    detail = f"{free / 1e9:,.1f} GB free"
    if free >= wanted:
        yield Check("disk", True, detail)
    else:
        yield Check("disk", False, detail, f"free some space: {wanted / 1e9:,.1f} GB are wanted")


def _check_data(config: Path | None, inputs: Mapping[str, Sequence[str]]) -> Iterator[Check]:
    """Key, configuration and input samples; these need libraries that may be missing."""
    try:
        from pipelines import doctor_data as data  # noqa: PLC0415  its absence is a finding
    except ImportError as error:
        yield Check("libraries", False, str(error), "run make setup")
        return
    yield Check("key", *data.check_key())
    yield Check("configuration", *data.check_configuration(config))
    for kind, paths in inputs.items():
        yield Check(f"{kind} input", *data.check_sample(kind, paths, config))


def _input_bytes(inputs: Mapping[str, Sequence[str]]) -> int:
    given = [Path(path) for paths in inputs.values() for path in paths]
    files = [file for path in given for file in (path, *path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files)

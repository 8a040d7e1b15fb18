"""Runs of the local warehouse that fail: one clear message, the old output as it was."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from table_rows import DAY, table_rows
from warehouse_runs import backfill, call, calls_in, conversions, warehouse_files

from pipelines.output import explain_output_error
from pipelines.warehouse import LocalWarehouse, OutputError, Run, write_rows
from schemas.tables import CONVERSIONS


def test_a_failed_run_leaves_the_output_as_it_was(tmp_path: Path) -> None:
    """An exception in the run removes what it staged and changes nothing else."""
    backfill(tmp_path, conversions(call("1")))
    before = warehouse_files(tmp_path)
    with (
        pytest.raises(ValueError, match="without call_date"),
        LocalWarehouse(tmp_path).open_run() as run,
    ):
        _stage_then_fail(run)
    assert warehouse_files(tmp_path) == before
    assert not (tmp_path / ".staging").exists()


def _stage_then_fail(run: Run) -> None:
    write_rows(run.staging, CONVERSIONS, table_rows(CONVERSIONS, call("2")), "part")
    write_rows(run.staging, CONVERSIONS, table_rows(CONVERSIONS, {"call_date": None}), "part")


def test_a_failed_first_run_leaves_no_folder(tmp_path: Path) -> None:
    """A run that made the folder and committed nothing takes it away again."""
    with pytest.raises(KeyError), LocalWarehouse(tmp_path / "out").open_run():
        raise KeyError("anything")
    assert not (tmp_path / "out").exists()


def test_two_runs_at_once_cannot_mix(tmp_path: Path) -> None:
    """The second run says which process writes, where and since when, and changes nothing."""
    script = (
        "import sys, time; from pathlib import Path\n"
        "from pipelines.warehouse import LocalWarehouse\n"
        "with LocalWarehouse(Path(sys.argv[1])).open_run():\n"
        "    print('open', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        with (
            pytest.raises(OutputError, match=rf"process {child.pid} on \S+ since \d{{4}}-"),
            LocalWarehouse(tmp_path).open_run(),
        ):
            pass
    finally:
        child.kill()
        child.wait()
    backfill(tmp_path, conversions(call("1")))
    assert calls_in(tmp_path) == [("shop", "1", DAY)]


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A file where the folder should be, or above it, gives one clear message."""
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with (
            pytest.raises(OutputError, match=r"is a file.*must name a folder.*as it was"),
            LocalWarehouse(folder).open_run(),
        ):
            pass
    assert (tmp_path / "file").read_text() == "mine"


def test_other_errors_are_not_taken_for_the_outputs(tmp_path: Path) -> None:
    """An input file that is missing stays the error it is."""
    with pytest.raises(FileNotFoundError), LocalWarehouse(tmp_path / "out").open_run():
        (tmp_path / "in" / "missing.jsonl").read_text()


CHILD = """
import resource, sys
from pathlib import Path
from pipelines.warehouse import LocalWarehouse, OutputError, Run, write_rows
from schemas.tables import CONVERSIONS
from table_rows import table_rows
from warehouse_runs import staged_keys
rows = table_rows(CONVERSIONS, *({"call_id": str(n) * 20} for n in range(5000)))
BEFORE
try:
    with LocalWarehouse(Path(sys.argv[1])).open_run() as run:
        write_rows(run.staging, CONVERSIONS, rows, "part")
        print("staged")
        run.commit(staged_keys({"conversions": rows}), {})
except OutputError as error:
    print(error)
"""
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]


def in_child(folder: Path, before: str = "", wrapper: Sequence[str] = ()) -> str:
    """What a process says that stages many rows and commits them, after running `before`."""
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", CHILD.replace("BEFORE", before), folder],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the lock, with its bytes."""
    names = [name for name in warehouse_files(folder) if name != ".lock"]
    return {name: (folder / name).read_bytes() for name in names}


def test_a_file_that_may_not_grow_is_a_clear_error(tmp_path: Path) -> None:
    """The kernel's refusal to write on (RLIMIT_FSIZE, like a quota) leaves the old output."""
    backfill(tmp_path, conversions(call("1")))
    before = contents(tmp_path)
    said = in_child(
        tmp_path, "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))"
    )
    assert "no space left to write there" in said
    assert "The output is as it was before." in said
    assert "Traceback" not in said
    assert contents(tmp_path) == before


@pytest.mark.skipif(
    not shutil.which("unshare")
    or subprocess.run([*NAMESPACE, "true"], check=False).returncode != 0,
    reason="needs a user namespace in which to mount a small disk",
)
@pytest.mark.parametrize("room", [20_000, 60_000, 100_000])
def test_a_full_disk_is_a_clear_error(tmp_path: Path, room: int) -> None:
    """ENOSPC of a real, small disk, early or late in a run, leaves the old output."""
    disk, old = tmp_path / "disk", tmp_path / "old"
    disk.mkdir()
    backfill(old, conversions(call("1"), *(call(str(n), "bank") for n in range(3000))))
    before = contents(old)
    size = room + sum(len(content) + 4096 for content in before.values())
    # Copies the warehouse to a disk of that size, runs, and copies what is there then back.
    script = (
        f'mount -t tmpfs -o size={size} tmpfs {disk} && cp -r {old}/. {disk} && "$@"; '
        f"rm -rf {old} && cp -r {disk}/. {old}"
    )
    said = in_child(disk, wrapper=[*NAMESPACE, "sh", "-c", script, "sh"])
    assert "no space left to write there" in said
    assert "The output is as it was before." in said
    assert contents(old) == before


def test_a_folder_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """Without permission to write there, the message names the place and says so."""
    folder = tmp_path / "closed" / "out"
    folder.parent.mkdir(mode=0o755)
    tmp_path.parent.chmod(0o755)
    before = "import os; os.getuid() or os.setuid(65534)"
    folder.parent.chmod(0o555)
    said = in_child(folder, before)
    assert "no permission to write there" in said
    assert str(tmp_path) in said
    assert not folder.exists()


def test_an_error_in_a_workers_words_is_understood() -> None:
    """A runner that hands on only the text of a full disk's error is understood too."""
    error = RuntimeError("worker failed: OSError: [Errno 28] No space left on device")
    assert "no space left to write there" in str(explain_output_error(error, Path("/out")))
    quota = OSError("File too large (os error 27)")  # as polars says it, without errno
    assert "no space left to write there" in str(explain_output_error(quota, Path("/out")))
    cause = RuntimeError("worker failed")
    cause.__cause__ = OSError(errno.ENOSPC, "whatever")
    assert "no space left to write there" in str(explain_output_error(cause, Path("/out")))

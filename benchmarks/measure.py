"""Whole processes measured from outside: wall time, processor time, peak memory."""

import importlib.metadata
import os
import platform
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

MIB = 2**20
SAMPLE_S = 0.05
PACKAGES = ("attribeam", "apache-beam", "polars", "duckdb", "pyarrow")


@dataclass
class Result:
    """What several runs of one program took."""

    name: str
    walls_s: list[float] = field(default_factory=list)
    cpus_s: list[float] = field(default_factory=list)
    peaks_mib: list[float] = field(default_factory=list)
    events_per_second: list[float] = field(default_factory=list)
    stages_s: dict[str, float] = field(default_factory=dict)

    @property
    def wall_s(self) -> float:
        """The median wall time, start-up included."""
        return median(self.walls_s)

    @property
    def rate(self) -> float:
        """The median events a second."""
        return median(self.events_per_second)


def tree_rss_bytes(pid: int) -> int:
    """Resident memory of a process and all below it; what has ended meanwhile counts nothing."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = " ".join((task / "children").read_text(encoding="ascii") for task in tasks)
    except (OSError, IndexError):
        return 0
    below = sum(tree_rss_bytes(int(child)) for child in children.split())
    return pages * os.sysconf("SC_PAGE_SIZE") + below


def measure(command: list[str], result: Result, environment: dict[str, str]) -> str:
    """Run a command as a process of its own, add what it took; its standard output."""
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=complained, env=environment)
        sampled_bytes = 0
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            sampled_bytes = max(sampled_bytes, tree_rss_bytes(process.pid))
            time.sleep(SAMPLE_S)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        said.seek(0)
        complained.seek(0)
        if process.returncode:
            complaint = complained.read()[-3000:]
            raise SystemExit(f"{result.name} ended with {process.returncode}:\n{complaint}")
        usage = ended[2]
        result.walls_s.append(wall_s)
        result.cpus_s.append(usage.ru_utime + usage.ru_stime)
        result.peaks_mib.append(max(usage.ru_maxrss * 1024, sampled_bytes) / MIB)
        return said.read()


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    meminfo = Path("/proc/meminfo").read_text(encoding="ascii").split()
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(": ")[2] for line in cpuinfo if line.startswith("model name")), "")
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": model,
        "memory_gib": round(int(meminfo[1]) / 2**20, 1),
        "load_1_minute": round(os.getloadavg()[0], 1),
        "versions": versions,
    }

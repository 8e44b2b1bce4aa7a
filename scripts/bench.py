#!/usr/bin/env python3
"""Times the river, whole processes as a user would start them, and says how much memory they took.

    POLDER=target/release/polder scripts/bench.py [--runs 3]

Each run renders the demo's flight, stitches it and searches the orthophoto; with POLDER_TEST_DATA=DIR (a folder of real
photos) those are stitched and searched too. Printed is a Markdown table, ready for docs/benchmarks.md: the median wall time and CPU
time of the runs, and the highest peak of memory. The machine is named above it: times of a busy machine are worth little, CPU
time and memory more. Nothing is kept; POLDER_BENCH_DIR=DIR keeps what was made.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

POLDER = os.environ.get("POLDER", "target/release/polder")
PHOTOS = {".jpg", ".jpeg", ".tif", ".tiff"}


def say(text):
    print(f"bench: {text}", file=sys.stderr)


def measure(*command):
    """Runs a command and returns its wall seconds, CPU seconds and peak memory in MB, its children's included."""
    start = time.monotonic()
    log = tempfile.TemporaryFile()
    process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=subprocess.STDOUT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        log.seek(0)
        sys.stderr.write(log.read().decode(errors="replace")[-2000:])
        sys.exit(f"bench: failed with {process.returncode}: {' '.join(map(str, command))}")
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def photos_of(folder):
    """Returns the folder, at or below the given one, that holds the most photos, and how many."""
    counts = {}
    for path in Path(folder).rglob("*"):
        if path.suffix.lower() in PHOTOS and "truth" not in path.parts:
            counts[path.parent] = counts.get(path.parent, 0) + 1
    if not counts:
        sys.exit(f"bench: no photos in {folder}")
    return max(counts.items(), key=lambda item: item[1])


class Figures:
    """Rows in the order in which they were first seen; each holds one value a run."""

    def __init__(self):
        self.rows = {}

    def add(self, flight, what, wall, cpu=None, memory=None):
        self.rows.setdefault((flight, what), []).append((wall, cpu, memory))

    def table(self):
        yield "| flight | step | wall s | CPU s | peak memory MB |"
        yield "| --- | --- | ---: | ---: | ---: |"
        for (flight, what), runs in self.rows.items():
            walls, cpus, memories = zip(*runs)
            yield f"| {flight} | {what} | {median(walls)} | {median(cpus)} | {highest(memories)} |"


def median(values):
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.1f}" if known else ""


def highest(values):
    known = [value for value in values if value is not None]
    return f"{max(known):.0f}" if known else ""


def stitch_and_detect(figures, flight, photos, out):
    out.mkdir(parents=True, exist_ok=True)
    ortho, report = out / "ortho.tif", out / "report.json"
    figures.add(flight, "**stitch**", *measure(POLDER, "stitch", photos, "--out", ortho, "--report", report))
    for stage in json.loads(report.read_text()).get("stages", []):
        memory = stage.get("peak_memory_bytes")
        figures.add(flight, f"stitch: {stage['name']}", stage["seconds"], None, memory and memory / 1024 / 1024)
    figures.add(flight, "**detect**", *measure(POLDER, "detect", ortho, "--out", out / "detections.geojson"))


def machine():
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal")) / 1024 / 1024
    load = os.getloadavg()[0]
    return f"{len(os.sched_getaffinity(0))} cores of {cpu}, {memory:.0f} GB, {platform.system()}; load {load:.1f} at the start"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=int(os.environ.get("RUNS") or 3))
    runs = parser.parse_args().runs
    if not shutil.which(POLDER):
        sys.exit(f"bench: {POLDER} is not there: run `make bench`, or name the binary with POLDER")

    kept = os.environ.get("POLDER_BENCH_DIR")
    work = Path(kept or tempfile.mkdtemp(prefix="polder-bench-"))
    work.mkdir(parents=True, exist_ok=True)
    about, figures = machine(), Figures()
    try:
        for run in range(1, runs + 1):
            say(f"run {run} of {runs}: the demo's flight")
            flight = work / f"demo-{run}"
            shutil.rmtree(flight, ignore_errors=True)
            wall = measure(POLDER, "simulate", "--out", flight)
            photos, count = photos_of(flight)
            figures.add(f"demo, {count} photos", "**simulate**", *wall)
            stitch_and_detect(figures, f"demo, {count} photos", photos, work / f"demo-out-{run}")
            if real := os.environ.get("POLDER_TEST_DATA"):
                photos, count = photos_of(real)
                say(f"run {run} of {runs}: {count} real photos")
                stitch_and_detect(figures, f"real, {count} photos", photos, work / f"real-out-{run}")
    finally:
        if not kept:
            shutil.rmtree(work, ignore_errors=True)
    if not os.environ.get("POLDER_TEST_DATA"):
        say("SKIPPED: real photos, because POLDER_TEST_DATA names no folder")
    version = subprocess.run([POLDER, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"{version}; {about}; median of {runs} runs, highest memory.\n")
    print("\n".join(figures.table()))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Stitches flights with polder and, in the same run, adjusts them with COLMAP; judges each orthophoto by the simulator's truth.

    scripts/bench_stitch/main.py --polder target/release/polder --seeds 301,302 [--photos 24] [--gps standard,rtk]
    scripts/bench_stitch/main.py --seeds "" --real DIR [--rounds 3] [--skip-peer] [--docs docs/benchmarks.md]

A seed is a dike, a season, a camera and a flight of their own. Each flight is stitched by GPS, and once more with its control points.
Told are wall and CPU seconds and the highest memory of whole processes; for COLMAP up to the adjusted cameras only, since it makes
no orthophoto. `--keep DIR` keeps the flights, and a PNG of each orthophoto beside that of the truth, to be looked at.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import venv
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import machine, measure, photos_of, say  # noqa: E402  (it lies one folder up)

MARKERS = "<!-- bench-stitch: begin -->", "<!-- bench-stitch: end -->"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polder"


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polder", default=os.environ.get("POLDER", "target/release/polder"), help="the release binary")
    parser.add_argument("--seeds", default="301,302", help="the simulated flights, e.g. 301,302; empty for none")
    parser.add_argument("--photos", type=int, default=24, help="photos of a simulated flight")
    parser.add_argument("--gps", default="standard,rtk", help="standard, rtk or both; seeds take turns")
    parser.add_argument("--real", metavar="DIR", default=os.environ.get("POLDER_TEST_DATA"), help="a folder of real photos")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--skip-peer", action="store_true", help="polder alone")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep flights and pictures here")
    parser.add_argument("--docs", type=Path, help="the document to write into [default: the table is printed]")
    return parser.parse_args()


def peer_python():
    """Returns the Python that has COLMAP, installing it on first use; nothing when it cannot be installed."""
    wanted = HERE / "requirements.txt"
    home = CACHE / "peers-stitch-1"
    python, mark = home / "bin" / "python", home / "ready"
    if not mark.exists() or mark.read_text() != wanted.read_text():
        say("installing pycolmap (once)")
        venv.create(home, clear=True, with_pip=True)
        done = subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], capture_output=True, text=True)
        if done.returncode:
            say(f"SKIPPED: COLMAP, because pycolmap cannot be installed: {done.stderr.strip()[-300:]}")
            return None
        mark.write_text(wanted.read_text())
    return python


class Table:
    """Rows in the order in which they were first seen, each with one set of figures a round."""

    def __init__(self):
        self.rows = {}

    def add(self, flight, what, figures):
        self.rows.setdefault((flight, what), []).append(figures)

    def spread(self, rounds, key, form):
        values = [one[key] for one in rounds if one.get(key) is not None]
        if not values:
            return "–"
        middle = form.format(statistics.median(values))
        return middle if len(values) < 2 else f"{middle} ({form.format(min(values))}–{form.format(max(values))})"

    def costs(self):
        yield "| flight | program | used | reprojection px | wall s | CPU s | peak MB |"
        yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
        for (flight, what), rounds in self.rows.items():
            cells = [rounds[0]["used"], self.spread(rounds, "px", "{:.3f}")]
            cells += [self.spread(rounds, key, form) for key, form in (("wall", "{:.1f}"), ("cpu", "{:.1f}"), ("mb", "{:.0f}"))]
            yield f"| {flight} | {what} | {' | '.join(cells)} |"

    def scores(self):
        judged = {key: rounds[0] for key, rounds in self.rows.items() if "score" in rounds[0]}
        if not judged:
            return
        kinds = sorted({kind for one in judged.values() for kind in one["score"]["kinds"]})
        yield ""
        yield "| flight | by | where it is, GSD | after affine, GSD | scale ppm | rotation mrad | covered | outliers | " + " | ".join(f"{kind}, GSD" for kind in kinds) + " |"
        yield "| --- | --- |" + " ---: |" * (6 + len(kinds))
        for (flight, what), one in judged.items():
            score = one["score"]
            cells = [f"{score['absolute_rmse_gsd']:.2f}", f"{score['affine_rmse_gsd']:.2f}", f"{score['scale_ppm']:+.0f}", f"{score['rotation_mrad']:+.1f}",
                     f"{100 * score['coverage']:.1f} %", f"{score['outliers']} of {score['matched']}"]
            for kind in kinds:
                found = score["kinds"].get(kind)
                cells.append(f"{found['affine_rmse_m'] / score['gsd_m']:.2f}" if found and found["matched"] else "–")
            yield f"| {flight} | {what.removeprefix('polder, ')} | {' | '.join(cells)} |"


def stitch(polder, photos, out, truth, *more):
    """Stitches with nothing kept from before; returns the figures, and the score where there is a truth."""
    out.mkdir(parents=True, exist_ok=True)
    ortho, report, work = out / "ortho.tif", out / "report.json", out / "work"
    shutil.rmtree(work, ignore_errors=True)
    wall, cpu, mb = measure(polder, "stitch", photos, "--out", ortho, "--report", report, "--work-dir", work, *more)
    made = json.loads(report.read_text())
    figures = {"wall": wall, "cpu": cpu, "mb": mb, "px": made["reprojection_rmse_px"],
               "used": f"{made['photos']['used']} of {made['photos']['total']}",
               "stages": {stage["name"]: stage["seconds"] for stage in made["stages"]}}
    if truth:
        said = subprocess.run([polder, "simulate", "--json", "--out", truth, "--judge", ortho], capture_output=True, text=True, check=True).stdout
        events = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
        figures["score"] = next(event for event in events if "absolute_rmse_gsd" in event)
        for name, source in (("ortho", ortho), ("truth", truth / "truth" / "ortho.tif")):
            picture(source, out / f"{name}.png")
    return figures


def picture(source, target):
    """Writes a picture of at most 1,600 pixels, to be looked at."""
    if shutil.which("gdal_translate"):
        subprocess.run(["gdal_translate", "-q", "-of", "PNG", "-outsize", "1600", "0", source, target], check=False)


def adjust(python, photos, out):
    shutil.rmtree(out, ignore_errors=True)
    wall, cpu, mb = measure(python, HERE / "colmap.py", photos, out)
    made = json.loads((out / "colmap.json").read_text())
    return made["version"], {"wall": wall, "cpu": cpu, "mb": mb, "px": made["reprojection_px"], "used": f"{made['used']} of {photos_of(photos)[1]}"}


def flights(chosen, work):
    """Yields name, photos and, for simulated flights, their folder."""
    systems = chosen.gps.split(",")
    for number, seed in enumerate(filter(None, chosen.seeds.split(","))):
        gps = systems[number % len(systems)]
        folder = work / f"seed-{seed}-{gps}-{chosen.photos}"
        if not (folder / "truth").exists():
            say(f"rendering seed {seed}, {chosen.photos} photos, {gps}")
            measure(chosen.polder, "simulate", "--out", folder, "--seed", seed, "--photos", chosen.photos, "--gps", gps)
        yield f"seed {seed}, {chosen.photos} photos, {gps}", folder / "images", folder
    if chosen.real:
        photos, count = photos_of(chosen.real)
        yield f"{count} real photos", photos, None


def run(chosen, work):
    """Returns the section's lines."""
    about = machine()
    python = None if chosen.skip_peer else peer_python()
    table, versions = Table(), [subprocess.run([chosen.polder, "--version"], capture_output=True, text=True, check=True).stdout.strip()]
    for name, photos, folder in flights(chosen, work):
        out = work / "out" / name.replace(", ", "-").replace(" ", "-")
        for round_ in range(1, chosen.rounds + 1):
            say(f"{name}: round {round_} of {chosen.rounds}")
            by_gps = "polder, GPS" if folder else "polder"
            table.add(name, by_gps, stitch(chosen.polder, photos, out / "gps", folder))
            if folder:
                table.add(name, "polder, control points", stitch(chosen.polder, photos, out / "gcp", folder, "--gcp", folder / "gcp_list.txt"))
            if python:
                version, figures = adjust(python, photos, out / "colmap")
                table.add(name, "COLMAP, cameras only", figures)
                if f"pycolmap {version}" not in versions:
                    versions.append(f"pycolmap {version}")
    words = [part if not part.startswith("/") else "DIR" for part in sys.argv[1:]]
    yield (f"`scripts/bench_stitch/main.py {' '.join(words)}`, {date.today():%-d %B %Y}; {about}; "
           f"{', '.join(versions)}; median (lowest–highest) of {chosen.rounds} rounds.")
    yield ""
    yield from table.costs()
    yield from table.scores()


def write(path, lines):
    begin, end = MARKERS
    before, found, rest = path.read_text().partition(begin)
    if not found or end not in rest:
        raise SystemExit(f"bench: {path} has no place for the table: {begin} … {end}")
    path.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + end + rest.partition(end)[2])


def main():
    chosen = options()
    if not shutil.which(chosen.polder):
        sys.exit(f"bench: {chosen.polder} is not there: run `make bench-stitch`, or name the binary with --polder")
    chosen.polder = str(Path(shutil.which(chosen.polder)).resolve())
    work = chosen.keep or Path(tempfile.mkdtemp(prefix="polder-bench-stitch-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        lines = list(run(chosen, work))
    finally:
        if not chosen.keep:
            shutil.rmtree(work, ignore_errors=True)
    if chosen.docs:
        write(chosen.docs, lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()

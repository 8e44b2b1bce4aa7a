#!/usr/bin/env python3
"""Stitches flights with polder, judges each orthophoto by the simulator's truth, and adjusts the same photos with COLMAP in the same run.

    scripts/bench_stitch/main.py --polder target/release/polder --seeds 601,602 [--cases standard,rtk,gcp,rough,rolling-shutter,pond,thin]
    scripts/bench_stitch/main.py --seeds "" --speed 0 --real DIR [--rounds 3] [--skip-peer] [--docs docs/benchmarks.md]
    scripts/bench_stitch/main.py --seeds 601 --cases "" --speed 0 --skip-peer --linear 50,100,200,400

A seed is a dike, a season, a camera and a flight of their own; each case flies it in its way. The accuracy table says of each what the
orthophoto must reach, and marks with ✗ what it does not. Pictures of each (`beside.jpg`: the truth, the orthophoto; `seams.jpg`: too bright
is red, too dark is blue, missing is pink) go into a folder that is named at the end: figures do not see everything.

Costs are wall and CPU seconds and the highest memory of whole processes, each with nothing kept from before; for COLMAP up to the adjusted
cameras only, since it makes no orthophoto. `--linear` stitches flights of growing size, of smaller photos. It takes long and is not done by default.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import tables  # noqa: E402  (these lie beside this file, and one folder up)
from bench import machine, photos_of, say  # noqa: E402
from cases import CASES  # noqa: E402
from runs import adjust, judge, peer_python, render, stitch  # noqa: E402

MARKERS = "<!-- bench-stitch: begin -->", "<!-- bench-stitch: end -->"
# What the issue of the engine asks of flights of these sizes on two cores: wall seconds, CPU seconds, megabytes.
SPEED_LIMITS = {99: {"wall": 90, "cpu": 150, "mb": 1000}}
REAL_LIMITS = {18: {"px": 0.5, "wall": 15, "cpu": 25, "mb": 700}}


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polder", default=os.environ.get("POLDER", "target/release/polder"), help="the release binary")
    parser.add_argument("--seeds", default="301,302", help="the simulated flights, e.g. 301,302; empty for none")
    parser.add_argument("--cases", default=",".join(CASES), help="rows of the accuracy table [all: %(default)s]")
    parser.add_argument("--photos", type=int, default=24, help="photos of a flight that is judged [%(default)s]")
    parser.add_argument("--speed", type=int, default=99, help="photos of the flight that is timed, of the first seed; 0 for none [%(default)s]")
    parser.add_argument("--real", metavar="DIR", default=os.environ.get("POLDER_TEST_DATA"), help="a folder of real photos")
    parser.add_argument("--real-height", type=float, default=40.0, help="how high they were taken, metres above the ground [%(default)s]")
    parser.add_argument("--linear", default="", help="sizes of the growing flights, e.g. 50,100,200,400 [none]")
    parser.add_argument("--linear-size", default="800x600", help="size of their photos [%(default)s]")
    parser.add_argument("--rounds", type=int, default=1, help="how often what is timed is run [%(default)s]")
    parser.add_argument("--skip-peer", action="store_true", help="polder alone")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="keep flights and orthophotos here, and use those that are there")
    parser.add_argument("--pictures", metavar="DIR", type=Path, default=Path("target/bench-stitch"), help="pictures go here [%(default)s]")
    parser.add_argument("--docs", type=Path, help="the document to write into [default: the tables are printed]")
    chosen = parser.parse_args()
    unknown = [name for name in words(chosen.cases) if name not in CASES]
    if unknown:
        parser.error(f"there is no case {', '.join(unknown)}: take of {', '.join(CASES)}")
    return chosen


def words(text):
    return [word for word in text.split(",") if word]


class Bench:
    def __init__(self, chosen, work):
        self.chosen, self.work = chosen, work
        self.python = None if chosen.skip_peer else peer_python()
        self.versions = [subprocess.run([chosen.polder, "--version"], capture_output=True, text=True, check=True).stdout.strip()]
        self.judged, self.timed, self.grown = [], [], []
        self.real = None

    def judge_all(self):
        for seed in words(self.chosen.seeds):
            for case in (CASES[name] for name in words(self.chosen.cases)):
                say(f"seed {seed}: {case.name}")
                self.judged.append((case, seed, self.judge_one(case, seed)))

    def judge_one(self, case, seed):
        """Returns the score of a case, or in a word what went wrong: a failed row must not take the others with it."""
        flight = render(self.chosen.polder, self.work, seed, self.chosen.photos, case.profile, case.gps)
        control = ["--gcp", flight / "gcp_list.txt"] if case.control_points else []
        try:
            made = stitch(self.chosen.polder, flight / "images", self.work / "out" / f"{seed}-{case.name}", *control)
        except SystemExit as error:
            say(str(error))
            return "not stitched"
        try:
            return judge(self.chosen.polder, flight, made, self.chosen.pictures / f"{seed}-{case.name}")
        except ValueError as error:
            say(str(error))
            return "not judged"

    def time(self, name, photos, limits):
        """Times polder and COLMAP over the same photos, in turns; returns polder's figures of the last round.

        The limits are of an orthophoto over the surface of the tie points, which is what `--fast` makes: the dense surface, which COLMAP's
        adjustment has not either, stands on its own line.
        """
        fast, ours, theirs = [], [], []
        out = self.work / "out" / name.replace(" ", "-")
        for round_ in range(1, self.chosen.rounds + 1):
            say(f"{name}: round {round_} of {self.chosen.rounds}")
            fast.append(stitch(self.chosen.polder, photos, out, "--fast"))
            ours.append(stitch(self.chosen.polder, photos, out))
            if self.python:
                version, figures = adjust(self.python, photos, self.work / "out" / "colmap")
                theirs.append(figures)
                if f"pycolmap {version}" not in self.versions:
                    self.versions.append(f"pycolmap {version}")
        self.timed.append((name, "polder --fast", limits, fast))
        self.timed.append((name, "polder, with the dense surface", {"px": limits["px"]} if "px" in limits else {}, ours))
        if theirs:
            self.timed.append((name, "COLMAP, cameras only", {}, theirs))
        return ours[-1]

    def time_all(self):
        seeds = words(self.chosen.seeds)
        if self.chosen.speed and seeds:
            flight = render(self.chosen.polder, self.work, seeds[0], self.chosen.speed)
            self.time(f"{self.chosen.speed} photos of 1600 × 1200", flight / "images", SPEED_LIMITS.get(self.chosen.speed, {}))
        if self.chosen.real:
            photos, count = photos_of(self.chosen.real)
            self.real = self.time(f"{count} real photos", photos, REAL_LIMITS.get(count, {}))

    def grow(self):
        size = tuple(int(side) for side in self.chosen.linear_size.split("x"))
        seed = (words(self.chosen.seeds) or ["301"])[0]
        for count in map(int, words(self.chosen.linear)):
            # The ground that a photo shows, and the height it is taken from, stay those of 1600 pixels at 3 cm.
            flight = render(self.chosen.polder, self.work, seed, count, size=size, gsd=0.03 * 1600 / size[0])
            say(f"linear: {count} photos")
            self.grown.append((count, stitch(self.chosen.polder, flight / "images", self.work / "out" / f"linear-{count}")))
            if not self.chosen.keep:
                shutil.rmtree(flight)

    def lines(self, about):
        """Yields the section."""
        said = [part if not part.startswith("/") else "DIR" for part in sys.argv[1:]]
        yield (f"`scripts/bench_stitch/main.py {shlex.join(said)}`, {date.today():%-d %B %Y}; {about}; "
               f"{', '.join(self.versions)}; costs: median (lowest–highest) of {self.chosen.rounds} rounds; ✗ misses its limit.")
        parts = [tables.accuracy(self.judged), self.tell_real(), tables.costs(self.timed), tables.linear(self.grown)]
        for part in parts:
            found = list(part)
            if found:
                yield ""
                yield from found

    def tell_real(self):
        if not self.real:
            return
        height, flown = self.real["report"]["height_above_ground_m"], self.chosen.real_height
        off = height / flown - 1
        text = f"{height:.1f} m above the ground, {off:+.1%} of the {flown:g} m flown (within ±5 %)"
        yield f"Real photos: {self.real['used']} used; {text if abs(off) <= 0.05 else f'**{text}** ✗'}."


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
    chosen.pictures = chosen.pictures.resolve()
    work = chosen.keep or Path(tempfile.mkdtemp(prefix="polder-bench-stitch-"))
    work.mkdir(parents=True, exist_ok=True)
    about = machine()
    try:
        bench = Bench(chosen, work)
        bench.judge_all()
        bench.time_all()
        bench.grow()
    finally:
        if not chosen.keep:
            shutil.rmtree(work, ignore_errors=True)
    lines = list(bench.lines(about))
    if chosen.docs:
        write(chosen.docs, lines)
    print("\n".join(lines))
    if bench.judged:
        say(f"pictures of each orthophoto beside the truth: {chosen.pictures}")


if __name__ == "__main__":
    main()

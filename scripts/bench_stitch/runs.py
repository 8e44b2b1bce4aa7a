"""Single runs: render a flight, stitch it, judge it, adjust it with COLMAP."""

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench import measure, photos_of, say  # noqa: E402  (it lies one folder up)

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polder"


def render(polder, work, seed, photos, profile="standard", gps="standard", size=None, gsd=None):
    """Returns the folder of a simulated flight, rendering it unless it is there already."""
    name = f"seed-{seed}-{profile.replace(',', '+')}-{gps}-{photos}" + (f"-{size[0]}" if size else "")
    folder = work / name
    # The summary is the last thing that is written: without it the flight was cut off.
    if not (folder / "rendered").exists():
        say(f"rendering seed {seed}, {photos} photos, {profile}, {gps}")
        more = ["--width", size[0], "--height", size[1], "--gsd", gsd] if size else []
        measure(polder, "simulate", "--out", folder, "--seed", seed, "--photos", photos, "--profile", profile, "--gps", gps, *more)
        (folder / "rendered").write_text("")
    return folder


def stitch(polder, photos, out, *more):
    """Stitches with nothing kept from before; returns the figures."""
    out.mkdir(parents=True, exist_ok=True)
    ortho, report, work = out / "ortho.tif", out / "report.json", out / "work"
    shutil.rmtree(work, ignore_errors=True)
    wall, cpu, mb = measure(polder, "stitch", photos, "--out", ortho, "--report", report, "--work-dir", work, *more)
    shutil.rmtree(work, ignore_errors=True)
    made = json.loads(report.read_text())
    return {"wall": wall, "cpu": cpu, "mb": mb, "px": made["reprojection_rmse_px"], "report": made,
            "used": f"{made['photos']['used']} of {made['photos']['total']}", "ortho": ortho}


def judge(polder, flight, made, pictures):
    """Returns the score of what `stitch` made, with the number of photos that it did not use; raises what the judge says otherwise."""
    done = subprocess.run([polder, "simulate", "--json", "--out", flight, "--judge", made["ortho"], "--pictures", pictures],
                          capture_output=True, text=True)
    events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    score = next((event for event in events if "absolute_rmse_gsd" in event), None)
    if done.returncode or not score:
        raise ValueError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "the judge said nothing")
    counts = made["report"]["photos"]
    return {**score, "unused": counts["total"] - counts["used"]}


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


def adjust(python, photos, out):
    """Adjusts the cameras with COLMAP; returns its version and the figures."""
    shutil.rmtree(out, ignore_errors=True)
    wall, cpu, mb = measure(python, HERE / "colmap.py", photos, out)
    made = json.loads((out / "colmap.json").read_text())
    return made["version"], {"wall": wall, "cpu": cpu, "mb": mb, "px": made["reprojection_px"],
                             "used": f"{made['used']} of {photos_of(photos)[1]}"}

#!/usr/bin/env python3
"""Lets rustac, a client in Rust that is not ours, search what fill.py made, and counts what it wrote.

    rustac_story.py http://127.0.0.1:8080

It also reads the stac-geoparquet that polder writes. Its program stands beside this Python. Exits 1 on any complaint.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

import fill

RUSTAC = Path(sys.executable).with_name("rustac")


def rustac(*arguments):
    done = subprocess.run([RUSTAC, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"rustac {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def names(path):
    return sorted(json.loads(line)["id"] for line in path.read_text().splitlines())


def main(base):
    stac = f"{base.rstrip('/')}/stac"
    complaints = []

    def expect(what, found, wanted):
        if found != wanted:
            complaints.append(f"{what}: wanted {wanted!r}, found {found!r}")

    everything = sorted(fill.item(i)["id"] for i in range(fill.ITEMS))
    search = ("search", stac, "--collections", fill.COLLECTION)
    with tempfile.TemporaryDirectory() as folder:
        lines, table, back = (Path(folder) / name for name in ("a.ndjson", "a.parquet", "b.ndjson"))
        rustac(*search[:2], lines, *search[2:], "--limit", "4")
        expect("ids in pages of 4", names(lines), everything)
        rustac(*search[:2], table, *search[2:])
        rustac("translate", table, back)
        expect("ids in its parquet", names(back), everything)
        ours, ours_back = Path(folder) / "ours.parquet", Path(folder) / "ours.ndjson"
        ours.write_bytes(requests.get(f"{stac}/collections/{fill.COLLECTION}/items?f=parquet").content)
        rustac("translate", ours, ours_back)
        expect("ids in polder's parquet", names(ours_back), everything)
    found = json.loads(rustac(*search, "--filter", "gsd < 0.015", "--sortby=-datetime", "--max-items", "3"))["features"]
    expect("the filter, backwards in time", [item["id"] for item in found], ["post-09", "post-08", "post-07"])
    found = json.loads(rustac(*search, "--bbox", "5.9,51.9,5.9045,51.9025", "--datetime", "2025-03-01T00:00:00Z/.."))["features"]
    expect("place and time", [item["id"] for item in found], ["post-00"])

    for complaint in complaints:
        print(complaint)
    print(f"rustac_story: {len(complaints)} complaints", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

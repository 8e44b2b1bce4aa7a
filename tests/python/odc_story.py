#!/usr/bin/env python3
"""Lets odc-stac, a client that is not ours, read the pixels of what fill.py made, as an xarray.

    odc_story.py http://127.0.0.1:8080

It takes the grid from the item's metadata alone (`proj:code`, `proj:shape`, `proj:transform`) and the pixels from the href
that the API gives. Exits 1 on any complaint.
"""

import sys

import odc.stac
from pystac_client import Client

import fill


def main(base):
    client = Client.open(f"{base.rstrip('/')}/stac")
    items = list(client.search(collections=["drone-ortho"], ids=[fill.ORTHO]).items())
    # Bands of one file are counted: it takes their names from an older extension.
    loaded = odc.stac.load(items, bands=["ortho.1", "ortho.2"], bbox=items[0].bbox)
    complaints = []

    def expect(what, found, wanted):
        if found != wanted:
            complaints.append(f"{what}: wanted {wanted!r}, found {found!r}")

    expect("items", len(items), 1)
    expect("the coordinate system", loaded.odc.crs.epsg, fill.EPSG)
    expect("the resolution", abs(loaded.odc.geobox.resolution.x), 0.5)
    # The bbox in degrees lies askew in RD, so a row or a column more may be asked for; the picture is where it is.
    x, y = fill.TRANSFORM.c + 100.25, fill.TRANSFORM.f - 50.25
    pixel = loaded.isel(time=0).sel(x=x, y=y, method="nearest")
    expect("red is the column", int(pixel["ortho.1"]), 200)
    expect("green is the row", int(pixel["ortho.2"]), 100)
    expect("the day", str(loaded.time.values[0])[:10], "2025-06-23")

    for complaint in complaints:
        print(complaint)
    print(f"odc_story: {dict(loaded.sizes)}, {len(complaints)} complaints", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

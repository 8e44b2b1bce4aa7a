#!/usr/bin/env python3
"""Makes STAC 1.1 items as a water board would have them: the same from the same seed, as many as are wanted.

    scripts/bench_stac/generate.py --items 200000 --out DIR [--seed 1]

A flight is a hundred photos along a stretch of dike; four collections lie in the Netherlands, the fifth anywhere on
Earth. Flights come back to the same 200 stretches, so a place holds more items the more there are, as in life.

What the workload leans on:

- Number `n` says all: its flight is `n // 100`, its collection is the flight's, its id ends in a million plus `n`.
- No two items have one `datetime`, so every server has one right order of pages. `eo:cloud_cover` has ties.
- `polder:flight` has one value per hundred items (2,000 of them in 200,000), `platform` six, uneven.
- Everything about a flight comes from one generator seeded with the flight: any part can be made without the rest.
"""

import argparse
import json
import math
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

COLLECTIONS = ["dike-friesland", "dike-zeeland", "dike-rivierenland", "dike-noorderkwartier", "survey-worldwide"]
PHOTOS_PER_FLIGHT = 100
FIRST_ID = 1_000_000
START = datetime(2023, 1, 1, tzinfo=timezone.utc)
SECONDS = 3 * 365 * 86400
STRETCHES = 200
METRES_PER_DEGREE = 111_320

# uneven, as fleets are
PLATFORMS = ["dji-m350"] * 8 + ["dji-m3e"] * 6 + ["wingtra-one"] * 3 + ["dji-m300"] * 2 + ["senseFly-ebee"] + ["anafi-ai"]
CAMERAS = {"dji-m350": "zenmuse-p1", "dji-m3e": "m3e-wide", "wingtra-one": "rx1r2", "dji-m300": "zenmuse-p1",
           "senseFly-ebee": "soda-3d", "anafi-ai": "anafi-48mp"}
PROVIDERS = [{"name": "Example Water Board", "roles": ["licensor", "producer"], "url": "https://waterboard.example.org"},
             {"name": "Example Drone Service", "roles": ["processor"], "url": "https://drones.example.org"}]
PILOTS = [f"pilot-{n:02}" for n in range(40)]
EXTENSIONS = ["https://stac-extensions.github.io/eo/v1.1.0/schema.json",
              "https://stac-extensions.github.io/view/v1.0.0/schema.json",
              "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
              "https://stac-extensions.github.io/file/v2.1.0/schema.json"]
ITEM_ASSETS = {
    "photo": {"type": "image/jpeg", "title": "Photo as the camera wrote it", "roles": ["data"]},
    "thumbnail": {"type": "image/jpeg", "title": "Small picture", "roles": ["thumbnail"]},
}


def collections():
    """Returns the collections' JSON, in the order in which flights take turns."""
    for name in COLLECTIONS:
        place = [-180, -60, 180, 70] if name == "survey-worldwide" else [3.2, 50.7, 7.3, 53.6]
        yield {
            "type": "Collection", "stac_version": "1.1.0", "stac_extensions": [], "id": name,
            "title": name.replace("-", " ").title(), "description": f"Drone photos: {name}.", "license": "CC-BY-4.0",
            "keywords": ["drone", "dike"],
            "extent": {"spatial": {"bbox": [place]},
                       "temporal": {"interval": [["2023-01-01T00:00:00Z", "2026-01-01T00:00:00Z"]]}},
            "item_assets": ITEM_ASSETS, "links": [],
        }


def collection_of(n):
    """Returns the collection of item number `n`."""
    return COLLECTIONS[n // PHOTOS_PER_FLIGHT % len(COLLECTIONS)]


def id_of(n):
    """Returns the id of item number `n`."""
    return f"{collection_of(n)}-{FIRST_ID + n}"


def flight_name(flight):
    """Returns the value of `polder:flight` of flight number `flight`."""
    return f"flight-{flight:06}"


def items_of(flight, count=PHOTOS_PER_FLIGHT, seed=1):
    """Yields the first `count` items of a flight."""
    rng = random.Random(seed * 1_000_003 + flight)
    collection = COLLECTIONS[flight % len(COLLECTIONS)]
    lon, lat, heading, zone = stretch(rng, collection, seed)
    began = START + timedelta(seconds=rng.randrange(SECONDS), microseconds=flight % 1000)
    platform = rng.choice(PLATFORMS)
    height = rng.choice([40, 60, 60, 80, 100, 120])
    about = {
        "gsd": round(height * 0.000125 * rng.uniform(1.8, 2.4), 4), "height": height, "platform": platform,
        "camera": CAMERAS[platform], "clouds": min(100, max(0, rng.gauss(45, 35))), "zone": zone,
        "sun": rng.uniform(8, 60), "pilot": rng.choice(PILOTS), "uploaded": timedelta(seconds=rng.randrange(600, 86400)),
        "project": f"{collection}-{rng.randrange(STRETCHES // 5):02}", "flight": flight_name(flight),
        "collection": collection, "heading": heading,
    }
    east, north = math.cos(heading), math.sin(heading)
    for photo in range(count):
        along, aside = (photo % 50) * 14.0, (photo // 50) * 22.0
        x, y = along * east - aside * north, along * north + aside * east
        place = (lon + x / METRES_PER_DEGREE / math.cos(math.radians(lat)), lat + y / METRES_PER_DEGREE)
        taken = began + timedelta(milliseconds=photo * 2300 + rng.randrange(40))
        yield item(rng, flight * PHOTOS_PER_FLIGHT + photo, place, taken, about)


def stretch(rng, collection, seed):
    """Returns where a flight begins (lon, lat), where it heads (radians) and its UTM zone or RD."""
    if collection == "survey-worldwide":
        lon, lat = rng.uniform(-175, 175), rng.uniform(-55, 65)
        return lon, lat, rng.uniform(0, math.pi), (32600 if lat > 0 else 32700) + int((lon + 180) // 6) + 1
    number = COLLECTIONS.index(collection) * STRETCHES // 4 + rng.randrange(STRETCHES // 4)
    dike = random.Random(seed * 7919 + number)
    lon, lat, heading = dike.uniform(3.6, 6.9), dike.uniform(51.3, 53.3), dike.uniform(0, math.pi)
    along = rng.uniform(0, 3000)
    lon += along * math.cos(heading) / METRES_PER_DEGREE / math.cos(math.radians(lat))
    return lon, lat + along * math.sin(heading) / METRES_PER_DEGREE, heading, 28992


def item(rng, n, place, taken, about):
    """Returns item number `n`: one photo, its footprint turned with the flight."""
    half_width, half_height = 4096 * about["gsd"] / 2, 2730 * about["gsd"] / 2
    east, north = math.cos(about["heading"]), math.sin(about["heading"])
    scale = METRES_PER_DEGREE * math.cos(math.radians(place[1]))
    ring = []
    for x, y in [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]:
        x, y = x * half_width, y * half_height
        ring.append([round(place[0] + (x * east - y * north) / scale, 8),
                     round(place[1] + (x * north + y * east) / METRES_PER_DEGREE, 8)])
    lons, lats = [corner[0] for corner in ring], [corner[1] for corner in ring]
    stamp = (taken + about["uploaded"]).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    properties = {
        "datetime": taken.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "created": stamp, "updated": stamp, "title": f"Photo {n % PHOTOS_PER_FLIGHT + 1} of {about['flight']}",
        "platform": about["platform"], "instruments": [about["camera"]], "gsd": about["gsd"],
        "eo:cloud_cover": round(min(100, max(0, about["clouds"] + rng.gauss(0, 6))), 2),
        "view:off_nadir": round(abs(rng.gauss(0, 4)), 2), "view:azimuth": round(rng.uniform(0, 360), 2),
        "view:sun_elevation": round(about["sun"] + rng.uniform(-0.5, 0.5), 3),
        "view:sun_azimuth": round(rng.uniform(90, 270), 2),
        "proj:code": f"EPSG:{about['zone']}", "proj:shape": [5460, 8192],
        "polder:project": about["project"], "polder:flight": about["flight"], "polder:pilot": about["pilot"],
        "polder:height_m": round(about["height"] + rng.gauss(0, 0.6), 2), "polder:rtk": rng.random() < 0.7, "providers": PROVIDERS,
    }
    if rng.random() < 0.002:
        properties["polder:remark"] = rng.choice(["burrow seen", "high water", "crane in view", "birds"])
    return {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": EXTENSIONS, "id": id_of(n),
        "collection": about["collection"], "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [min(lons), min(lats), max(lons), max(lats)], "properties": properties,
        "links": [{"rel": "license", "href": "https://creativecommons.org/licenses/by/4.0/", "type": "text/html"}],
        "assets": assets(rng, n, about),
    }


def assets(rng, n, about):
    """Returns two to four assets."""
    at = f"https://data.example.org/projects/{about['project']}/{about['flight']}/image_{n % PHOTOS_PER_FLIGHT:04}"
    made = {
        "photo": {"href": f"{at}.jpg", **ITEM_ASSETS["photo"], "file:size": rng.randrange(9_000_000, 24_000_000),
                  "file:checksum": f"1220{rng.getrandbits(256):064x}",
                  "bands": [{"name": name, "eo:common_name": name} for name in ("red", "green", "blue")]},
        "thumbnail": {"href": f"{at}.thumb.jpg", **ITEM_ASSETS["thumbnail"], "proj:shape": [256, 384], "file:size": rng.randrange(9000, 24000),
                      "file:checksum": f"1220{rng.getrandbits(256):064x}"},
    }
    if n % 2 == 0:
        made["metadata"] = {"href": f"{at}.xmp", "type": "application/rdf+xml", "title": "Metadata of the camera",
                            "roles": ["metadata"], "file:size": rng.randrange(4000, 9000)}
    if n % 4 == 0:
        made["raw"] = {"href": f"{at}.dng", "type": "image/x-adobe-dng", "title": "Raw", "roles": ["source"],
                       "file:size": rng.randrange(40_000_000, 60_000_000), "file:checksum": f"1220{rng.getrandbits(256):064x}"}
    return made


def item_number(n, seed=1):
    """Returns item number `n` alone; its flight is made up to it."""
    flight, photo = divmod(n, PHOTOS_PER_FLIGHT)
    return list(items_of(flight, photo + 1, seed))[-1]


def write(folder, count, seed=1):
    """Writes one NDJSON file per collection and `collections.json` into a folder; returns how many bytes of items."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "collections.json").write_text(json.dumps(list(collections())))
    files = {name: open(folder / f"{name}.ndjson", "w", encoding="utf-8") for name in COLLECTIONS}
    size = 0
    for flight in range(math.ceil(count / PHOTOS_PER_FLIGHT)):
        for made in items_of(flight, min(PHOTOS_PER_FLIGHT, count - flight * PHOTOS_PER_FLIGHT), seed):
            size += files[made["collection"]].write(json.dumps(made, separators=(",", ":")) + "\n")
    for file in files.values():
        file.close()
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    size = write(args.out, args.items, args.seed)
    print(f"{args.items} items, {size / args.items:.0f} bytes each on average, in {args.out}")


if __name__ == "__main__":
    main()

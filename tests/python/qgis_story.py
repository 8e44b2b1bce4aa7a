#!/usr/bin/env python3
"""Does what QGIS (3.40 and later) does with a STAC API, and is as strict as it is.

    qgis_story.py http://127.0.0.1:8080

QGIS reads the landing page and the first page of `/collections`, searches with GET in all of them, follows `next` by its
href alone, writes times with milliseconds and without a zone, and offers an asset as a layer only if its media type is the
one of a COG, to the letter. What its parser refuses is left out of its list without a word, so here it is a complaint.
Exits 1 on any.
"""

import re
import sys
from urllib.parse import urlencode

import rasterio
import requests

import fill

COGS = {"image/tiff; application=geotiff; profile=cloud-optimized", "image/vnd.stac.geotiff; cloud-optimized=true"}
VERSION = re.compile(r"1\.\d+\.\d+.*")


def get(url):
    # QGIS sends no Accept header of its own for STAC.
    answer = requests.get(url)
    answer.raise_for_status()
    return answer.json()


def is_box(box):
    return isinstance(box, list) and len(box) in (4, 6) and all(isinstance(n, (int, float)) for n in box)


def faults_of_collection(collection):
    extent = collection.get("extent", {})
    boxes, intervals = extent.get("spatial", {}).get("bbox", []), extent.get("temporal", {}).get("interval", [])
    for name in ("id", "description", "license"):
        if not isinstance(collection.get(name), str):
            yield f"has no {name}"
    if collection.get("type") != "Collection" or not VERSION.match(collection.get("stac_version", "")):
        yield "is no collection of STAC 1"
    if not boxes or not all(is_box(box) for box in boxes):
        yield "has no spatial extent of 4 or 6 numbers"
    if not intervals or not all(isinstance(interval, list) and len(interval) == 2 for interval in intervals):
        yield "has no temporal extent of two ends"
    yield from faults_of_links(collection)


def faults_of_item(item):
    properties = item.get("properties", {})
    if item.get("type") != "Feature" or not VERSION.match(item.get("stac_version", "")):
        yield "is no item of STAC 1"
    if item.get("geometry") is not None and not is_box(item.get("bbox")):
        yield "has a geometry and no bbox"
    if not properties.get("datetime") and not (properties.get("start_datetime") and properties.get("end_datetime")):
        yield "has no time"
    if not isinstance(item.get("assets"), dict) or not all(isinstance(asset.get("href"), str) for asset in item["assets"].values()):
        yield "has an asset without an href"
    yield from faults_of_links(item)


def faults_of_links(thing):
    if not isinstance(thing.get("links"), list):
        yield "has no links"
    elif not all(isinstance(link.get(name), str) for link in thing["links"] for name in ("href", "rel")):
        yield "has a link without href or rel"


class Qgis:
    def __init__(self, base):
        self.complaints = []
        landing = get(f"{base.rstrip('/')}/stac")
        links = landing["links"]
        self.collections_url = next(link["href"] for link in links if link["href"].endswith("/collections"))
        self.search_url = [link["href"] for link in links if link["rel"] == "search"][-1]

    def collections(self):
        """The first page is all that QGIS reads."""
        found = get(self.collections_url)["collections"]
        for collection in found:
            self.complaints += [f"collection {collection.get('id')} {fault}" for fault in faults_of_collection(collection)]
        return [collection["id"] for collection in found]

    def search(self, **question):
        url, items, pages = f"{self.search_url}?{urlencode(question)}", [], 0
        while url:
            page = get(url)
            pages += 1
            for item in page["features"]:
                self.complaints += [f"item {item.get('id')} {fault}" for fault in faults_of_item(item)]
            items += page["features"]
            url = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
        return items, pages

    def expect(self, what, found, wanted):
        if found != wanted:
            self.complaints.append(f"{what}: wanted {wanted!r}, found {found!r}")


def main(base):
    qgis = Qgis(base)
    collections = qgis.collections()
    qgis.expect("the collection is on the first page", fill.COLLECTION in collections, True)
    everywhere = {"collections": ",".join(collections), "bbox": "-180,-90,180,90"}
    month = {"datetime": "2025-03-01T00:00:00.000/2025-03-31T23:59:59.999"}

    items, pages = qgis.search(**everywhere, **month)
    qgis.expect("items of the month", len([item for item in items if item["collection"] == fill.COLLECTION]), fill.ITEMS)
    qgis.expect("no item comes twice", len({(item["collection"], item["id"]) for item in items}), len(items))
    qgis.expect("there is more than one page", pages > 1, True)
    items, _ = qgis.search(collections=fill.COLLECTION, datetime="2025-03-05T10:00:00.000/..")
    qgis.expect("items from the fifth on", len(items), fill.ITEMS - 4)
    # Zoomed out the map reaches beyond the edge of the world.
    items, _ = qgis.search(collections=fill.COLLECTION, bbox="-267.3,-101.2,267.3,101.2")
    qgis.expect("items of more than the whole world", len(items), fill.ITEMS)

    items, _ = qgis.search(**everywhere, datetime="2025-06-23T00:00:00.000/2025-06-23T23:59:59.999")
    layers = [asset["href"] for item in items if item["id"] == fill.ORTHO for asset in item["assets"].values() if asset.get("type") in COGS]
    qgis.expect("the orthophoto is a layer", len(layers), 1)
    for href in layers:
        with rasterio.open(f"/vsicurl/{href}") as raster:
            qgis.expect("the layer's size", (raster.width, raster.height), (fill.WIDTH, fill.HEIGHT))

    for complaint in qgis.complaints:
        print(complaint)
    print(f"qgis_story: {len(collections)} collections, {len(qgis.complaints)} complaints", file=sys.stderr)
    return 1 if qgis.complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))

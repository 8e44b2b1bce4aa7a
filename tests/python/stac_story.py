#!/usr/bin/env python3
"""Lets pystac-client, a client that is not ours, look through a running polder.

    stac_story.py http://127.0.0.1:8080 [--may-be-empty ai-models]

Opens the catalog, pages through the four collections, searches by bbox, datetime and id with GET and with POST, and validates
every collection and item with pystac. Each search is held against what the collections list: nothing may be missing and
nothing too much. Schemas of extensions come from $POLDER_SHARED/stac-schemas (../shared); without them that part is
skipped, loudly. Exits 1 on any complaint.
"""

import argparse
import logging
import sys
import urllib.error
from datetime import datetime, timedelta, timezone

import pystac_client
from pystac.extensions.mlm import MLMExtension

import schemas_on_disk

COLLECTIONS = ["drone-raw", "drone-ortho", "ai-results", "ai-models"]
# Small, so that a flight of a few photos needs several pages.
PAGE = 5


class Story:
    def __init__(self, base, may_be_empty):
        self.stac = base.rstrip("/") + "/stac"
        self.may_be_empty = may_be_empty
        self.complaints = []
        self.searches = 0
        self.client = pystac_client.Client.open(self.stac)
        self.items = {}

    def complain(self, about):
        self.complaints.append(about)

    def tell(self):
        self.read_collections()
        if self.items:
            self.search_by_bbox()
            self.search_by_datetime()
            self.search_by_id()

    def read_collections(self):
        self.validate("the landing page", self.client)
        found = {collection.id: collection for collection in self.client.get_collections()}
        for name in COLLECTIONS:
            if name not in found:
                self.complain(f"there is no collection {name}")
                continue
            self.validate(f"collection {name}", found[name])
            items = list(found[name].get_items())
            if not items and name not in self.may_be_empty:
                self.complain(f"collection {name} has no items")
            for item in items:
                self.validate(f"item {name}/{item.id}", item)
                if item.properties.get("polder:kind") == "model":
                    self.read_model(item)
                if item.collection_id != name:
                    self.complain(f"item {item.id} is listed by {name} and says {item.collection_id}")
                if (name, item.id) in self.items:
                    self.complain(f"item {name}/{item.id} is listed twice")
                self.items[name, item.id] = item
            print(f"stac_story: {name}: {len(items)} items", file=sys.stderr)

    def read_model(self, item):
        """Reads a model as pystac's own extension has it: what goes in, what comes out, which classes, which file."""
        model = MLMExtension.ext(item)
        shapes = [given.input.shape for given in model.input]
        if [len(shape) for shape in shapes] != [4] or shapes[0][1] != 3:
            self.complain(f"model {item.id} takes {shapes}, not one batch of RGB chips")
        classes = [one["title"] for one in model.output[0].to_dict()["classification:classes"]]
        if classes != item.properties["polder:classes"]:
            self.complain(f"model {item.id} gives the classes {classes}, and says {item.properties['polder:classes']}")
        if not model.total_parameters or not model.framework_version:
            self.complain(f"model {item.id} does not say how many weights it has and what ran it")
        if not [asset for asset in item.assets.values() if "mlm:model" in (asset.roles or [])]:
            self.complain(f"model {item.id} has no asset with its weights")

    def search_by_bbox(self):
        placed = [item.bbox for item in self.items.values() if item.bbox]
        west, south = min(box[0] for box in placed), min(box[1] for box in placed)
        east, north = max(box[2] for box in placed), max(box[3] for box in placed)
        first = next(item for item in self.items.values() if item.bbox)
        for box in ([west, south, east, north], first.bbox, [-10.0, -80.0, -9.0, -79.0]):
            everything = box == [west, south, east, north]
            # A box may meet an item's bbox and miss its footprint, so only the whole must find all.
            must = {key for key, item in self.items.items() if item.bbox and everything}
            may = {key for key, item in self.items.items() if item.bbox and meets(item.bbox, box)}
            if box is first.bbox:
                must.add((first.collection_id, first.id))
            self.search(must, may, bbox=box)

    def search_by_datetime(self):
        spans = {key: span(item) for key, item in self.items.items()}
        start, end = min(s for s, _ in spans.values()), max(e for _, e in spans.values())
        middle = sorted(s for s, _ in spans.values())[len(spans) // 2]
        second = timedelta(seconds=1)
        for low, high in ((start, end), (start - second, middle), (end + second, end + 2 * second)):
            hit = {key for key, (s, e) in spans.items() if s <= high and e >= low}
            self.search(hit, hit, datetime=f"{stamp(low)}/{stamp(high)}")
        after = {key for key, (_, e) in spans.items() if e >= middle}
        self.search(after, after, datetime=f"{stamp(middle)}/..")

    def search_by_id(self):
        for (collection, name), item in list(self.items.items())[::7]:
            self.search({(collection, name)}, {(collection, name)}, ids=[name], collections=[collection])
            alone = self.client.get_collection(collection).get_item(name)
            if alone is None:
                self.complain(f"item {collection}/{name} cannot be read by itself")
            elif alone.to_dict()["properties"] != item.to_dict()["properties"]:
                self.complain(f"item {collection}/{name} says something else by itself than in the list")

    def search(self, must, may, collections=COLLECTIONS, **query):
        for method in ("GET", "POST"):
            self.searches += 1
            search = self.client.search(method=method, collections=collections, limit=PAGE, **query)
            found = [(item.collection_id, item.id) for item in search.items()]
            what = f"{method} search {query}"
            if len(found) != len(set(found)):
                self.complain(f"{what}: an item comes twice")
            if missing := must - set(found):
                self.complain(f"{what}: {len(missing)} of {len(must)} items are missing, such as {sorted(missing)[0]}")
            if extra := set(found) - may:
                self.complain(f"{what}: {len(extra)} items do not belong, such as {sorted(extra)[0]}")

    def validate(self, what, thing):
        try:
            thing.validate()
        # Whatever pystac raises (it has no common class of error), it did not call the thing valid.
        except Exception as error:
            self.complain(f"{what}: {reason(error)[:600]}")


def reason(error):
    """The first line of an error of pystac, and the innermost place that its schema complains about."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    cause = error.__cause__
    while getattr(cause, "context", None):
        cause = max(cause.context, key=lambda inner: len(inner.absolute_path))
    if not hasattr(cause, "absolute_path"):
        return first
    return f"{cause.message[:200]} at {'.'.join(map(str, cause.absolute_path)) or 'the top'} ({first})"


def meets(a, b):
    return a[0] <= b[2] and a[2] >= b[0] and a[1] <= b[3] and a[3] >= b[1]


def span(item):
    start = item.common_metadata.start_datetime or item.datetime
    end = item.common_metadata.end_datetime or item.datetime
    return start.astimezone(timezone.utc), end.astimezone(timezone.utc)


def stamp(time: datetime):
    return time.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", help="where polder is, such as http://127.0.0.1:8080")
    parser.add_argument("--may-be-empty", action="append", default=[], metavar="COLLECTION", help="a collection without items is fine")
    arguments = parser.parse_args()
    logging.getLogger("pystac").setLevel(logging.CRITICAL)

    validator = schemas_on_disk.use()
    if validator.folder is None:
        print(f"stac_story: SKIPPED: extensions are not validated, because {schemas_on_disk.SHARED} is not there", file=sys.stderr)
    try:
        story = Story(arguments.base, arguments.may_be_empty)
        story.tell()
    except (pystac_client.exceptions.APIError, urllib.error.URLError, OSError) as error:
        print(f"stac_story: {arguments.base} does not answer as a STAC API: {error}")
        return 1
    for complaint in story.complaints:
        print(complaint)
    print(
        f"stac_story: {len(story.items)} items and {len(validator.extensions_seen)} extensions validated, "
        f"{story.searches} searches, {len(story.complaints)} complaints",
        file=sys.stderr,
    )
    return 1 if story.complaints else 0


if __name__ == "__main__":
    sys.exit(main())

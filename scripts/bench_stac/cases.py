"""The questions, each a named case: the same for every server, only the address of the API's root differs.

Searches go by POST with CQL2 JSON because that is what every server here understands (one answers GET searches with 500).
A case is many requests, drawn from the items with a fixed seed, so that no server can live off one remembered answer.
"""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable
from urllib.parse import urlparse

import generate

HOW_MANY = 200


@dataclass
class Case:
    """`kind` says how answers are compared: item, items, sorted (by value, for ties have no order) or plain."""

    name: str
    title: str
    kind: str
    requests: Callable
    sort: str = ""


class Sampler:
    """Draws from the items that were loaded, the same ones for each server."""

    def __init__(self, server, count, seed=7):
        self.server, self.count, self.rng = server, count, random.Random(seed)

    @property
    def root(self):
        return self.server.prefix

    def number(self):
        return self.rng.randrange(self.count)

    def item(self):
        return generate.item_number(self.number())

    def search(self, **body):
        return "POST", f"{self.root}/search", json.dumps(body)

    def filtered(self, limit, filter_):
        return self.search(limit=limit, **{"filter-lang": "cql2-json", "filter": filter_})


def property_is(name, value):
    return {"op": "=", "args": [{"property": name}, value]}


def landing(draw):
    return [("GET", draw.root or "/", None)]


def all_collections(draw):
    return [("GET", f"{draw.root}/collections", None)]


def item_by_id(draw):
    numbers = [draw.number() for _ in range(HOW_MANY)]
    return [("GET", f"{draw.root}/collections/{generate.collection_of(n)}/items/{generate.id_of(n)}", None) for n in numbers]


def items_page(draw):
    return [("GET", f"{draw.root}/collections/{name}/items?limit=100", None) for name in generate.COLLECTIONS]


def small_box(draw):
    """Some 200 m around an item: the newest ten of what was ever photographed there."""
    def box():
        west, south, east, north = draw.item()["bbox"]
        return [round(value, 6) for value in (west - 0.001, south - 0.0006, east + 0.001, north + 0.0006)]
    return [draw.search(bbox=box(), limit=10) for _ in range(HOW_MANY)]


def some_day(draw):
    def day():
        start = datetime.fromisoformat(draw.item()["properties"]["datetime"][:10])
        return f"{start.isoformat()}Z/{(start + timedelta(days=1)).isoformat()}Z"
    return [draw.search(datetime=day(), limit=10) for _ in range(HOW_MANY)]


def clear_sky_inside(draw):
    """`eo:cloud_cover < 10 and s_intersects(geometry, polygon)`: a hexagon of 4 to 40 km in the Netherlands."""
    def hexagon():
        lon, lat = draw.rng.uniform(4, 6.5), draw.rng.uniform(51.5, 53)
        size = draw.rng.uniform(0.02, 0.2)
        turns = [(1, 0), (0.5, 0.6), (-0.5, 0.6), (-1, 0), (-0.5, -0.6), (0.5, -0.6), (1, 0)]
        return {"type": "Polygon", "coordinates": [[[round(lon + x * size, 6), round(lat + y * size, 6)] for x, y in turns]]}
    clear = {"op": "<", "args": [{"property": "eo:cloud_cover"}, 10]}
    return [draw.filtered(10, {"op": "and", "args": [clear, {"op": "s_intersects", "args": [{"property": "geometry"}, hexagon()]}]})
            for _ in range(HOW_MANY)]


def one_flight(draw):
    numbers = [draw.number() // generate.PHOTOS_PER_FLIGHT for _ in range(HOW_MANY)]
    return [draw.filtered(100, property_is("polder:flight", generate.flight_name(n))) for n in numbers]


def one_platform(draw):
    return [draw.filtered(100, property_is("platform", name)) for name in sorted(set(generate.PLATFORMS))]


def many_in_one_page(draw):
    return [draw.search(collections=[name], limit=801) for name in generate.COLLECTIONS]


def sorted_pages(draw):
    """Fifty pages by cloud cover. They are walked once beforehand, following `next`; what is measured asks for them again."""
    method, path, text = draw.search(limit=100, sortby=[{"field": "properties.eo:cloud_cover", "direction": "asc"}])
    found = []
    while len(found) < 50:
        found.append((method, path, text))
        status, answer = draw.server.request(method, path, text)
        if status != 200:
            return found
        link = next((link for link in json.loads(answer)["links"] if link["rel"] == "next"), None)
        if not link:
            break
        at = urlparse(link["href"])
        method, path = link.get("method", "GET"), at.path + (f"?{at.query}" if at.query else "")
        body = link.get("body")
        if method == "GET":
            text = None
        else:
            text = json.dumps({**json.loads(text), **body} if link.get("merge") else body)
    return found


READS = [
    Case("landing", "landing page", "plain", landing),
    Case("collections", "`/collections` (5)", "plain", all_collections),
    Case("item", "item by id", "item", item_by_id),
    Case("page", "items of a collection, page of 100", "items", items_page),
    Case("bbox", "small bbox, 10 newest", "items", small_box),
    Case("datetime", "one day, 10 newest", "items", some_day),
    Case("cql2", "CQL2: cloud cover < 10 and inside a polygon, 10 newest", "items", clear_sky_inside),
    Case("flight", "CQL2: one of 2,000 flights, 100 items", "items", one_flight),
    Case("platform", "CQL2: one of six platforms, 100 newest", "items", one_platform),
    Case("page801", "801 items in one page", "items", many_in_one_page),
    Case("sorted", "50 pages of 100 by cloud cover", "sorted", sorted_pages, "eo:cloud_cover"),
]


def describe(case, body):
    """Returns what two servers must agree on in an answer to this case."""
    answer = json.loads(body)
    if case.kind == "plain":
        # polder has collections of its own beside these
        return sorted({one.get("id") for one in answer.get("collections", [])} & set(generate.COLLECTIONS))
    if case.kind == "item":
        return essence(answer)
    features = answer["features"]
    if answer.get("numberReturned", len(features)) != len(features):
        return "numberReturned does not count the features"
    if case.kind == "sorted":
        return [feature["properties"][case.sort] for feature in features]
    return sorted(feature["id"] for feature in features)


def essence(item):
    """Returns an item without what a server may add or write another way: links, and the zeros of a time."""
    kept = {key: value for key, value in item.items() if key != "links"}
    kept["properties"] = {**item["properties"], "datetime": datetime.fromisoformat(item["properties"]["datetime"]).isoformat()}
    return kept


def disagreements(case, count, servers, sample=10):
    """Asks each server the same and returns how many of the answers differ from the first server's, by server."""
    answers = {}
    for server in servers:
        asked = case.requests(Sampler(server, count))
        step = max(1, len(asked) // sample)
        answers[server.name] = []
        for method, path, body in asked[::step]:
            status, text = server.request(method, path, body)
            answers[server.name].append(describe(case, text) if status == 200 else f"status {status}")
    first = answers[servers[0].name]
    return {name: {"asked": len(given), "different": sum(1 for one, other in zip(first, given) if one != other) + abs(len(first) - len(given)),
                   "found": sum(len(one) for one in given if isinstance(one, list))}
            for name, given in answers.items()}

"""What schemathesis cannot read from the OpenAPI document of polder, told to it.

A schema has no grammar of CQL2, no token of a page and no closed ring. So values of these formats are made here, and a
request that fits the schema may be refused for just those reasons: then the answer must name the parameter, or the places in
the document that was sent, as polder promises. Any other refusal of what the document allows is a failure.
"""

import json
import re
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import schemathesis
from hypothesis import strategies as st

NAMES = ["id", "collection", "datetime", "title", "gsd", "platform", "eo:cloud_cover", "inspection:moles", "proj:code", "none"]
DATES = st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2050, 1, 1))


def joined(strategy, separator=",", **size):
    return st.lists(strategy, min_size=1, **size).map(separator.join)


def comparison():
    number = st.builds(lambda name, op, n: f'"{name}" {op} {n}', st.sampled_from(["gsd", "eo:cloud_cover", "inspection:moles"]),
                       st.sampled_from(["<", "<=", "=", "<>", ">=", ">"]), st.integers(-100, 100))
    text = st.builds(lambda name, word: f"{name} LIKE '{word}%'", st.sampled_from(["title", "platform", "id"]), st.sampled_from(["p", "Post", "é", "100\\%"]))
    return number | text | st.sampled_from(["gsd IS NULL", "id IN ('post-01','post-02')", "gsd BETWEEN 0 AND 1", "S_INTERSECTS(geometry,POINT(5.95 51.92))"])


def position():
    return st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(list)


def stamp():
    return st.builds(lambda time, zone: time.isoformat(timespec="milliseconds") + zone, DATES, st.sampled_from(["Z", "+01:00", ""]))


for name, strategy in {
    "cql2": st.recursive(comparison(), lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["AND", "OR"]), inner)
                         | inner.map("NOT ({})".format), max_leaves=5),
    "sortby": joined(st.builds("{}{}".format, st.sampled_from(["", "-", "+"]), st.sampled_from(NAMES)), max_size=4),
    "fields": joined(st.builds("{}{}".format, st.sampled_from(["", "-"]), st.sampled_from(["id", "geometry", "properties.gsd", "links", "assets"])), max_size=4),
    "stac-query": st.dictionaries(st.sampled_from(NAMES[4:]), st.dictionaries(st.sampled_from(["eq", "neq", "lt", "lte", "gt", "gte"]), st.integers(-9, 9), min_size=1), min_size=1).map(json.dumps),
    "geojson-geometry": position().map(lambda place: json.dumps({"type": "Point", "coordinates": place})),
    "datetime-interval": stamp() | stamp().map("{}/..".format) | stamp().map("../{}".format),
}.items():
    schemathesis.openapi.format(name, strategy)

# Parameters of which a schema does not say all: south of north, an end before its start, a grammar, what is in a token.
BEYOND = ("aggregations", "bbox", "datetime", "filter", "filter-lang", "intersects", "query", "token", "sortby")
# Reasons that no single parameter is to blame for.
TOGETHER = ("give bbox or intersects, not both", "the query contains the character U+0000")
NUL = "must not contain the character U+0000"
# Places of a document of which a schema does not say all.
PLACES = ("/geometry", "/bbox", "/extent", "/properties/datetime", "/properties/start_datetime", "/properties/end_datetime",
          "/id", "/links", "/assets", "/stac_extensions", "/items", "/features")


def reads_as_valid(url, blamed):
    """A URL has no types: `collections=false` is a list of one name, and `bbox=0,0,0,0` is one box, whatever they were made of.

    `blamed` is the one parameter that is said to be wrong, if one is.
    """
    lists = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    lists = {name: value for name, value in lists.items() if blamed in (None, name)}
    numbers = lists.get("bbox", "0,0,0,0").split(",")
    try:
        [float(number) for number in numbers]
    except ValueError:
        return False
    return set(lists) <= {"collections", "ids", "bbox"} and len(numbers) in (4, 6)


@schemathesis.hook
def filter_failure(context, failure, case, response):
    if type(failure).__name__ == "AcceptedNegativeData" and case.method == "GET":
        blamed = re.search(r"parameter `([^`]+)` in query", failure.message)
        return not reads_as_valid(response.request.url, blamed and blamed[1])
    if type(failure).__name__ != "RejectedPositiveData" or response.status_code != 400:
        return True
    problem = response.json()
    detail = problem["detail"]
    if any(detail.startswith(f"parameter {name}: ") for name in BEYOND) or detail in TOGETHER:
        return False
    if problem["code"] == "InvalidDocument":
        # A patch may make anything of a document; what it may not make is for the document's check.
        return case.method != "PATCH" and not all(
            fault["pointer"].startswith(PLACES) or fault["problem"] == NUL for fault in problem["errors"])
    # Which parameters an aggregation takes follows from the properties that items have.
    if case.operation.path.endswith("/aggregate") and detail.startswith("the body has no member "):
        return False
    # A pointer may be anything, and a path of an operation is one.
    return not (case.method == "PATCH" and detail.startswith("cannot read the JSON: "))

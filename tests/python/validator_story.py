#!/usr/bin/env python3
"""Lets stac-api-validator, stac-validator and stac-check, checkers that are not ours, look at a running polder.

    validator_story.py http://127.0.0.1:8080 TOKEN_FILE

fill.py comes first. The checkers take their JSON schemas from disk (offline_schemas.py); nothing else of them is changed.
Nothing may be found, not even something to warn of. Exits 1 on any complaint.
"""

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

import offline_schemas

import fill

# Its tests of `#sort`, `#fields` and `#query` are left out: they POST `collections` as a string and compare numbers with
# strings, which the specification does not have. search_story.py asks for these with pystac-client.
CLASSES = ("core", "browseable", "children", "collections", "features", "item-search", "filter", "transaction")

# Advice of stac-check for collections that is none where there is no item yet.
OF_EMPTY_COLLECTIONS = ("A STAC collection should contain a summaries field", "It is recommended to store information like")

WORLD = "world"
PLACES = {"farafra": (20.5, 20.5), "arnhem": (5.9, 51.98), "wellington": (174.8, -41.3), "suva": (178.4, -18.1)}
CHANGING = "S2A_47XNF_20230423_0_L2A"  # the item that the validator writes, which it removes first


def item(i, name, place):
    lon, lat = place
    ring = [[lon, lat], [lon + 0.1, lat], [lon + 0.1, lat + 0.1], [lon, lat + 0.1], [lon, lat]]
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": name, "collection": WORLD,
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "bbox": [lon, lat, round(lon + 0.1, 6), round(lat + 0.1, 6)],
        "properties": {"title": name.title(), "datetime": f"2025-0{i + 1}-01T12:00:00Z", "gsd": i + 1.5, "platform": f"copter-{i}"},
        "links": [],
        "assets": {"notes": {"href": "https://example.org/notes.txt", "type": "text/plain", "title": "Notes", "roles": ["metadata"]}},
    }


def prepare(filler):
    world = fill.collection() | {"id": WORLD, "title": "Places", "description": "Some places, far apart."}
    world["extent"] = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [["2025-01-01T00:00:00Z", None]]}}
    filler.post("/collections", world)
    features = [item(i, *place) for i, place in enumerate(PLACES.items())]
    filler.post(f"/collections/{WORLD}/items", {"type": "FeatureCollection", "features": features})
    filler.post(f"/collections/{WORLD}/items", features[0] | {"id": CHANGING})


def api(root, token):
    """Runs stac-api-validator as its command line does, and returns its errors and the warnings that count."""
    from stac_api_validator.validations import QueryConfig, validate_api

    lon, lat = PLACES["arnhem"]
    warnings, errors = validate_api(
        root_url=root, ccs_to_validate=list(CLASSES), collection=WORLD,
        geometry=f'{{"type":"Point","coordinates":[{lon + 0.05},{lat + 0.05}]}}',
        auth_bearer_token=token, auth_query_parameter=None, fields_nested_property=None, validate_pagination=True,
        query_config=QueryConfig(*[None] * 13), transaction_collection=WORLD,
        # Its transaction test takes 204 alone for a change that went well, which is what this header asks for.
        headers={"Prefer": "return=minimal"},
    )
    yield from (f"stac-api-validator: error: {error}" for error in errors)
    yield from (f"stac-api-validator: warning: {warning}" for warning in warnings)
    print(f"validator_story: stac-api-validator: {len(list(errors))} errors, {len(list(warnings))} warnings", file=sys.stderr)


def documents(root, filler):
    """The landing page, collections, and the first items of each."""
    session = filler.session
    yield root
    for collection in session.get(f"{root}/collections").json()["collections"]:
        own = f"{root}/collections/{collection['id']}"
        yield own
        for feature in session.get(f"{own}/items?limit=3").json()["features"]:
            yield f"{own}/items/{feature['id']}"


def each(urls):
    from stac_check.lint import Linter
    from stac_validator.stac_validator import StacValidate

    for url in urls:
        with redirect_stdout(io.StringIO()):
            validator = StacValidate(url, links=True, assets=False)
            valid = validator.run()
        message = validator.message[0]
        if not valid or not message["valid_stac"]:
            yield f"stac-validator: {url}: {message.get('error_message')}"
        dead = [link for link in message.get("links_validated", {}).get("request_invalid", []) if link.startswith(url.split("/stac")[0])]
        yield from (f"stac-validator: {url} has a link that leads nowhere: {link}" for link in dead)
        lint = Linter(url)
        if not lint.valid_stac:
            yield f"stac-check: {url}: {lint.error_msg}"
        # The first line is a heading.
        advices = [" ".join(advice.split()) for advice in lint.best_practices_msg[1:]]
        yield from (f"stac-check: {url}: {advice}" for advice in advices if advice and not advice.startswith(OF_EMPTY_COLLECTIONS))


def main(base, token_file):
    schemas = offline_schemas.install()
    if schemas.folder is None:
        print("validator_story: SKIPPED: extensions are not validated, because their schemas are not there", file=sys.stderr)
    token, root = Path(token_file).read_text().strip(), f"{base.rstrip('/')}/stac"
    filler = fill.Filler(base, token)
    prepare(filler)
    complaints = [*api(root, token), *each(urls := list(documents(root, filler)))]
    for complaint in complaints:
        print(complaint)
    print(f"validator_story: {len(urls)} documents, {len(complaints)} complaints", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

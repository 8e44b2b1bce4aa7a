#!/usr/bin/env python3
"""Fills a running polder through its own API, as somebody does who has a catalog elsewhere. The other stories look at it.

    fill.py http://127.0.0.1:8080 TOKEN_FILE

Makes the collection `dike-inspections` with 25 items along a dike, and one item of `drone-ortho` whose picture, a small
COG, lies in polder's own bucket; for that the S3 keys of an uploader are taken from the environment (AWS_*).
"""

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import numpy
import rasterio
import rasterio.shutil
import requests
from rasterio.enums import ColorInterp
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

COLLECTION, ITEMS = "dike-inspections", 25
ORTHO = "dijk-a-small"
COG = "image/tiff; application=geotiff; profile=cloud-optimized"
# Of 1.2, which still has `proj:epsg` beside `proj:code`: GDAL before 3.10 knows only that.
PROJECTION = "https://stac-extensions.github.io/projection/v1.2.0/schema.json"
# RD New: 256 x 192 pixels of half a metre, near Arnhem.
EPSG, WIDTH, HEIGHT, TRANSFORM = 28992, 256, 192, from_origin(190000.0, 443000.0, 0.5, 0.5)


def collection():
    return {
        "type": "Collection", "stac_version": "1.1.0", "id": COLLECTION, "title": "Inspections of the dike",
        "description": "Walks along the dike, with a photo at each post.", "license": "CC-BY-4.0",
        "keywords": ["dike", "inspection"],
        "extent": {
            "spatial": {"bbox": [[5.9, 51.9, 6.2, 52.0]]},
            "temporal": {"interval": [["2025-03-01T00:00:00Z", None]]},
        },
        "summaries": {"gsd": {"minimum": 0.01, "maximum": 0.05}},
        "links": [{"rel": "license", "href": "https://creativecommons.org/licenses/by/4.0/", "title": "CC BY 4.0"}],
    }


def item(i):
    west, south = 5.9 + i * 0.01, 51.9 + i * 0.004
    east, north = west + 0.004, south + 0.002
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": f"post-{i:02}", "collection": COLLECTION,
        "geometry": {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]},
        "bbox": [west, south, east, north],
        "properties": {
            "title": f"Post {i}", "description": "grass and clay" if i % 2 else "stone and asphalt",
            "datetime": f"2025-03-{i + 1:02}T10:00:00Z", "gsd": 0.01 if i < 10 else 0.02, "inspection:moles": i % 5,
            "platform": "wing" if i % 3 == 0 else "copter",
        },
        "links": [],
        "assets": {"photo": {"href": f"https://photos.example.org/post-{i:02}.jpg", "type": "image/jpeg", "roles": ["data"]}},
    }


def picture():
    """A COG in memory: a ramp in red, a slope in green, and a square hole in the middle."""
    rows, columns = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = numpy.stack([columns % 256, rows % 256, numpy.full_like(rows, 40)]).astype("uint8")
    mask = numpy.full((HEIGHT, WIDTH), 255, "uint8")
    mask[90:100, 120:130] = 0
    profile = {"driver": "GTiff", "width": WIDTH, "height": HEIGHT, "count": 3, "dtype": "uint8", "crs": f"EPSG:{EPSG}",
               "transform": TRANSFORM}
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), MemoryFile() as plain, MemoryFile() as cog:
        with plain.open(**profile) as raster:
            raster.write(pixels)
            raster.write_mask(mask)
            raster.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
        with plain.open() as raster:
            rasterio.shutil.copy(raster, cog.name, driver="COG", blocksize=128)
        return cog.read()


def put_object(bucket, key, data):
    """Writes an object with GDAL, which reads the keys from the environment as the AWS tools do."""
    endpoint = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    with rasterio.Env(AWS_S3_ENDPOINT=endpoint.netloc, AWS_HTTPS="NO", AWS_VIRTUAL_HOSTING="FALSE"):
        with MemoryFile(data) as memory:
            rasterio.shutil.copyfiles(memory.name, f"/vsis3/{bucket}/{key}")


def ortho():
    bounds = (TRANSFORM.c, TRANSFORM.f + TRANSFORM.e * HEIGHT, TRANSFORM.c + TRANSFORM.a * WIDTH, TRANSFORM.f)
    west, south, east, north = transform_bounds(f"EPSG:{EPSG}", "EPSG:4326", *bounds)
    return {
        "type": "Feature", "stac_version": "1.1.0", "stac_extensions": [PROJECTION], "id": ORTHO, "collection": "drone-ortho",
        "geometry": {"type": "Polygon", "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]]},
        "bbox": [west, south, east, north],
        "properties": {"datetime": "2025-06-23T10:00:00Z", "title": "A small piece of dijk-a", "gsd": 0.5},
        "links": [],
        "assets": {"ortho": {
            "href": f"s3://drone-ortho/stories/{ORTHO}.tif", "type": COG, "title": "Orthophoto", "roles": ["data"],
            "proj:epsg": EPSG, "proj:code": f"EPSG:{EPSG}", "proj:shape": [HEIGHT, WIDTH], "proj:transform": list(TRANSFORM)[:6],
            "bands": [{"name": name, "data_type": "uint8"} for name in ("red", "green", "blue")],
        }},
    }


class Filler:
    def __init__(self, base, token):
        self.stac = f"{base.rstrip('/')}/stac"
        self.session = requests.Session()
        self.session.headers["authorization"] = f"Bearer {token}"

    def post(self, path, document):
        answer = self.session.post(f"{self.stac}{path}", json=document)
        if answer.status_code not in (201, 409):
            sys.exit(f"fill: POST {path}: {answer.status_code} {answer.text}")
        return answer

    def fill(self):
        self.post("/collections", collection())
        features = {"type": "FeatureCollection", "features": [item(i) for i in range(ITEMS)]}
        self.post(f"/collections/{COLLECTION}/items", features)
        if "AWS_ENDPOINT_URL" in os.environ:
            put_object("drone-ortho", f"stories/{ORTHO}.tif", picture())
            self.post("/collections/drone-ortho/items", ortho())


def main(base, token_file):
    Filler(base, Path(token_file).read_text().strip()).fill()
    print(f"fill: {COLLECTION} has {ITEMS} items", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])

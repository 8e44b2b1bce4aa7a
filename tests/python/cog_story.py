#!/usr/bin/env python3
"""Asks rio-cogeo, a client that is not ours, whether each file is a Cloud Optimized GeoTIFF.

    cog_story.py ortho.tif [more.tif …]

A path may be anything that GDAL opens, `/vsicurl/http://…` too. Exits 1 when one is not valid, has no mask or no overviews.
"""

import sys

import rasterio
from rasterio.enums import MaskFlags
from rio_cogeo.cogeo import cog_validate


def problems(path):
    valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    yield from errors
    yield from warnings
    if not valid and not errors and not warnings:
        yield "not a valid COG"
    with rasterio.open(path) as raster:
        if raster.crs is None or raster.crs.to_epsg() is None:
            yield "has no coordinate system with an EPSG code"
        # A surface model says its holes by a nodata value, an orthophoto by a mask.
        if not any(flag in flags for flags in raster.mask_flag_enums for flag in (MaskFlags.per_dataset, MaskFlags.nodata)):
            yield "has neither a mask nor a nodata value"
        if max(raster.shape) > 512 and not raster.overviews(1):
            yield "has no overviews"


def main(paths):
    if not paths:
        sys.exit("say which files to check: cog_story.py ortho.tif")
    failed = 0
    for path in paths:
        try:
            found = list(problems(path))
        except rasterio.errors.RasterioError as error:
            found = [str(error)]
        for problem in found:
            print(f"{path}: {problem}")
        failed += bool(found)
    print(f"cog_story: {len(paths)} files, {failed} not as they should be", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

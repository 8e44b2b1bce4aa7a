"""Compares polder's findings with those of a plain loop over chips, on rasters of many kinds: detection_reference.py POLDER BASE MODEL WORK

BASE is an 8-bit RGB raster at the model's GSD. The loop is written here from the description alone: the same weights on one chip
after the other, a chip keeps the boxes whose centre lies in its core, then one NMS over all. Its chips overlap by a quarter
instead of a fifth, so that nothing agrees because the same chips were cut.
"""

import json
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import rasterio
import torch
import torchvision
from rasterio.transform import Affine

SIDE, STEP, CONFIDENCE, IOU = 512, 384, 0.5, 0.5


def variants(base: pathlib.Path, work: pathlib.Path):
    """Yields name, path, the 8-bit picture that the model should see, and its mask."""
    with rasterio.open(base) as source:
        rgb, place = source.read([1, 2, 3]), source.transform
    full = np.full(rgb.shape[1:], 255, np.uint8)
    holes = full.copy()
    holes[300:520, 100:900] = 0
    holes[900:, 1200:] = 0
    rd = Affine(place.a, 0, 155_000, 0, place.e, 463_000)
    turned = rd * Affine.rotation(27)
    offset = Affine.translation(4, -4) * place
    grey = np.repeat(rgb.mean(axis=0).astype(np.uint8)[None], 3, axis=0)
    extra = np.stack([full // 3, full // 5])
    kinds = {
        "rd": (rgb, full, rd, 28992, "uint8", rgb),
        "turned": (rgb, full, turned, 28992, "uint8", rgb),
        "offset by 4 m": (rgb, full, offset, 32631, "uint8", rgb),
        "16 bit": (rgb, full, rd, 28992, "uint16", rgb.astype(np.uint16) * 257),
        "float": (rgb, full, rd, 28992, "float32", rgb.astype(np.float32) / 255),
        "holes": (rgb, holes, rd, 28992, "uint8", np.concatenate([rgb, holes[None]])),
        "5 bands": (rgb, full, rd, 28992, "uint8", np.concatenate([rgb, extra])),
        "grey with alpha": (grey, holes, rd, 28992, "uint8", np.stack([grey[0], holes])),
    }
    for name, (picture, mask, transform, epsg, dtype, bands) in kinds.items():
        path = work / f"{name.replace(' ', '-')}.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=rgb.shape[2], height=rgb.shape[1], count=len(bands), dtype=dtype,
            crs=f"EPSG:{epsg}", transform=transform, tiled=True, compress="deflate", alpha="yes" if len(bands) in (2, 4) else "no",
        ) as out:  # fmt: skip
            out.write(bands)
        yield name, path, picture, mask, transform, epsg


def reference(model, picture, mask):
    """Returns boxes [left, top, right, bottom] in pixels of the raster, confidences and classes."""
    height, width = mask.shape
    picture = np.where(mask[None] > 0, picture, 114)
    starts = [sorted({*range(0, max(size - SIDE, 0), STEP), max(size - SIDE, 0)}) for size in (width, height)]
    cores = []
    for begin, size in zip(starts, (width, height), strict=True):
        cuts = [(a + SIDE + b) / 2 for a, b in zip(begin, begin[1:], strict=False)]
        cores.append(list(zip([-1e9, *cuts], [*cuts, 1e9], strict=True)))
    boxes, scores, classes = [], [], []
    for top, (core_top, core_bottom) in zip(starts[1], cores[1], strict=True):
        for left, (core_left, core_right) in zip(starts[0], cores[0], strict=True):
            if not mask[top : top + SIDE, left : left + SIDE].any():
                continue
            chip = picture[:, top : top + SIDE, left : left + SIDE]
            with torch.no_grad():
                out = model(torch.from_numpy(chip.astype(np.float32) / 255)[None])[0]
            score, label = out[4:].max(dim=0)
            keep = score >= CONFIDENCE
            x, y, w, h = out[:4, keep]
            found = torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], dim=1).clamp(0, SIDE)
            found += torch.tensor([left, top, left, top])
            cx, cy = (found[:, 0] + found[:, 2]) / 2, (found[:, 1] + found[:, 3]) / 2
            ours = (core_left <= cx) & (cx < core_right) & (core_top <= cy) & (cy < core_bottom)
            boxes.append(found[ours])
            scores.append(score[keep][ours])
            classes.append(label[keep][ours])
    boxes, scores, classes = torch.cat(boxes), torch.cat(scores), torch.cat(classes)
    stay = torchvision.ops.batched_nms(boxes, scores, classes, IOU)
    return boxes[stay], scores[stay], classes[stay]


def polder_s(polder, raster, model, work, transform, epsg, names):
    """Returns polder's boxes in pixels of the raster: the corners of its polygons, put back through GDAL and the geotransform."""
    out = work / "found.geojson"
    command = [polder, "detect", raster, "--model", model, "--out", out, "--confidence", str(CONFIDENCE), "--iou", str(IOU)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    boxes, classes, corners = [], [], []
    for feature in json.loads(out.read_text())["features"]:
        ring = feature["geometry"]["coordinates"][0]
        corners += ring[:4]
        classes.append(names.index(feature["properties"]["class"]))
    # The system's own GDAL: with other grids, RD lies decimetres beside, and this is about boxes.
    lines = "\n".join(f"{lon!r} {lat!r}" for lon, lat in corners)
    command = ["gdaltransform", "-s_srs", "EPSG:4326", "-t_srs", f"EPSG:{epsg}", "-output_xy"]
    ground = subprocess.run(command, input=lines, check=True, capture_output=True, text=True).stdout.split("\n")
    pixels = [~transform * tuple(map(float, line.split())) for line in ground if line]
    for i in range(0, len(pixels), 4):
        columns, rows = zip(*pixels[i : i + 4], strict=True)
        boxes.append([min(columns), min(rows), max(columns), max(rows)])
    return torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(classes, dtype=torch.int64)


def main() -> None:
    polder, base, model_path, work = sys.argv[1], *(pathlib.Path(arg) for arg in sys.argv[2:5])
    with zipfile.ZipFile(model_path) as archive:
        config = next(name for name in archive.namelist() if name.endswith("/extra/config.txt"))
        names = list(json.loads(archive.read(config))["names"].values())
    torch.set_num_threads(1)
    model = torch.jit.load(str(model_path)).eval()
    matched = total = 0
    overlaps = []
    for name, path, picture, mask, transform, epsg in variants(base, work):
        theirs, _, their_classes = reference(model, picture, mask)
        ours, our_classes = polder_s(polder, path, model_path, work, transform, epsg, names)
        iou = torchvision.ops.box_iou(ours, theirs) * (our_classes[:, None] == their_classes[None])
        there = (iou.max(dim=1).values >= 0.5).sum() if len(theirs) else torch.tensor(0)
        back = (iou.max(dim=0).values >= 0.5).sum() if len(ours) else torch.tensor(0)
        same_class = our_classes[:, None] == our_classes[None]
        doubles = ((torchvision.ops.box_iou(ours, ours) * same_class).triu(1) > IOU).sum()
        good = iou[iou >= 0.5]
        print(f"{name}: {len(ours)} of polder, {len(theirs)} of the loop, {there} and {back} matched, mean IoU {good.mean():.4f}, {doubles} doubles")
        assert len(theirs) >= 2, f"{name}: the loop finds too little to compare"
        assert doubles == 0, f"{name}: {doubles} doubles"
        matched, total = matched + int(there) + int(back), total + len(ours) + len(theirs)
        overlaps += good.tolist()
    share, mean = matched / total, sum(overlaps) / len(overlaps)
    print(f"all: {share:.4f} matched both ways, mean IoU {mean:.4f}")
    assert share >= 0.99 and mean >= 0.97


main()

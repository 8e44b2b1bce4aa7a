"""From photos to adjusted cameras with COLMAP's Python wheel, as its users do it for a drone flight without a GPU.

    colmap.py PHOTOS OUT

SIFT with COLMAP's usual settings, the twelve nearest photos by GPS, incremental mapping with the positions as priors. The figures
go to OUT/colmap.json. No orthophoto: what one costs comes on top of this.
"""

import json
import sys
from pathlib import Path

import pycolmap


def main():
    photos, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    database = out / "database.db"
    database.unlink(missing_ok=True)
    pycolmap.set_random_seed(0)
    pycolmap.extract_features(database, photos, camera_mode=pycolmap.CameraMode.SINGLE, device=pycolmap.Device.cpu)
    pairing = pycolmap.SpatialPairingOptions()
    pairing.max_num_neighbors = 12
    pairing.ignore_z = True
    pycolmap.match_spatial(database, pairing_options=pairing, device=pycolmap.Device.cpu)
    options = pycolmap.IncrementalPipelineOptions()
    options.use_prior_position = True
    found = pycolmap.incremental_mapping(database, photos, out, options)
    if not found:
        sys.exit("colmap: no reconstruction")
    best = max(found.values(), key=lambda one: one.num_reg_images())
    (out / "colmap.json").write_text(json.dumps({
        "version": pycolmap.__version__, "used": best.num_reg_images(), "reconstructions": len(found),
        "points": best.num_points3D(), "reprojection_px": best.compute_mean_reprojection_error(),
    }))


if __name__ == "__main__":
    main()

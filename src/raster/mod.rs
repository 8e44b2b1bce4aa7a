//! Pixels: decodes photos, reads windows of rasters, writes COGs.

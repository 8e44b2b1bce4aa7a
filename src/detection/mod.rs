//! Finds things on rasters: chips, detector, merging, georeferencing.

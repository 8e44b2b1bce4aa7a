//! Where things are: coordinate systems, boxes, footprints, geotransforms, ground sampling distance.

//! Turns overlapping photos into one georeferenced picture.

//! The use cases: ingest, stitch, detect, publish.

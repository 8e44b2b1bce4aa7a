//! PostGIS: one file per table or aggregate. All SQL of polder lives here.

pub mod cluster;

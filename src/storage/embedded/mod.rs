//! A small S3 store with versions, for one machine that has none.

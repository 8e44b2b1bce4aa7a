//! HTTP: router, errors, STAC catalog, assets, health.

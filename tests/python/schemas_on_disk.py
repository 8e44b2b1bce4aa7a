"""Validates STAC with pystac against schemas on disk: no network, and nothing unknown passes."""

import json
import os
from pathlib import Path

import pystac.validation
from pystac.validation.stac_validator import GetSchemaError, JsonSchemaSTACValidator

SHARED = Path(os.environ.get("POLDER_SHARED", Path(__file__).resolve().parents[3] / "shared")) / "stac-schemas"
EXTENSIONS = "https://stac-extensions.github.io/"

# What schemas on disk refer to and which is not on disk itself: the part that is referred to, said in short.
REFERRED_TO = {
    "https://proj.org/schemas/v0.7/projjson.schema.json": {"type": "object"},
    f"{EXTENSIONS}classification/v1.1.0/schema.json": {
        "definitions": {"fields": {"properties": {"classification:classes": {
            "type": "array", "minItems": 1, "items": {"type": "object", "required": ["value"]},
        }}}},
    },
    f"{EXTENSIONS}processing/v1.1.0/schema.json": {
        "definitions": {"fields": {"properties": {"processing:expression": {
            "type": "object", "required": ["format", "expression"],
        }}}},
    },
    **{f"{EXTENSIONS}storage/v2.0.0/platforms/{platform}.json": {
        "type": "object", "properties": {"bucket": {"type": "string"}, "region": {"type": "string"}},
    } for platform in ("aws-s3", "custom-s3", "ms-azure")},
}
BASICS = "https://schemas.stacspec.org/v{}/item-spec/json-schema/basics.json"


class SchemasOnDisk(JsonSchemaSTACValidator):
    """Core schemas come with pystac, those of extensions from a folder `{extension}/{version}/schema.json`."""

    def __init__(self, folder=SHARED):
        super().__init__()
        self.folder = folder if folder.is_dir() else None
        self.extensions_seen = set()

    def _get_schema(self, schema_uri):
        uri = schema_uri.rstrip("#")
        if uri not in self.schema_cache:
            self.schema_cache[uri] = self._read(uri)
        return self.schema_cache[uri]

    def _read(self, uri):
        path = (self.folder or Path()) / uri.removeprefix(EXTENSIONS)
        if uri.startswith(EXTENSIONS) and self.folder and path.is_file():
            return json.loads(path.read_text())
        if uri == BASICS.format("1.0.0"):
            return self.schema_cache[BASICS.format("1.1.0")]
        if uri in REFERRED_TO:
            return {"$schema": "http://json-schema.org/draft-07/schema#", **REFERRED_TO[uri]}
        raise GetSchemaError(uri, FileNotFoundError(f"not in {self.folder}"))

    def validate_extension(self, stac_dict, stac_object_type, stac_version, extension_id, href=None):
        self.extensions_seen.add(extension_id)
        if self.folder is None:
            return None
        return super().validate_extension(stac_dict, stac_object_type, stac_version, extension_id, href)


def use():
    """Makes pystac validate this way from now on, and returns the validator."""
    validator = SchemasOnDisk()
    pystac.validation.set_validator(validator)
    return validator

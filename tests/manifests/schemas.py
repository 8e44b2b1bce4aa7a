"""Holds manifests against the schemas of their kinds.

Core kinds have theirs in the package `kubernetes-validate`; Tekton's come from custom resource definitions in a folder.
Both are strict: a field that the schema does not know is a mistake, though a cluster would drop it silently.
"""

from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

KUBERNETES = "1.37"


class Crds:
    """Custom resource definitions, found by (apiVersion, kind)."""

    def __init__(self, folder: Path):
        self.validators = {}
        for path in sorted(folder.glob("*.yaml")):
            for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader):
                if document and document.get("kind") == "CustomResourceDefinition":
                    self._add(document["spec"])

    def _add(self, spec):
        for version in spec["versions"]:
            schema = version.get("schema", {}).get("openAPIV3Schema")
            if schema:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                self.validators[key] = jsonschema.Draft7Validator(strict(schema))

    def problems(self, manifest):
        validator = self.validators.get((manifest["apiVersion"], manifest["kind"]))
        if validator is None:
            yield f"no schema for {manifest['kind']} of {manifest['apiVersion']}"
            return
        for error in sorted(validator.iter_errors(manifest), key=lambda error: list(map(str, error.path))):
            yield say(error)


def strict(schema):
    """Returns the schema with unknown fields refused wherever it lists the known ones."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    made = {key: value for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            made["additionalProperties"] = False
    for key in ("items", "additionalProperties"):
        if key in made:
            made[key] = strict(made[key])
    return made


def core_problems(manifest):
    """What Kubernetes itself would say about a core kind."""
    try:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield say(error)
    except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.InvalidSchemaError) as error:
        yield error.message


def say(error):
    return f"{'.'.join(map(str, error.path)) or 'top level'}: {error.message[:300]}"

"""Holds the manifests of a cluster against each other: names, selectors, keys, and what each container may do."""

import json


def problems(manifests, secrets, policies):
    """`manifests` and `secrets` are lists of (file, document); `policies` is a list of (file, text)."""
    known = {
        "ConfigMap": {d["metadata"]["name"]: set(d.get("data", {})) for _, d in manifests if d["kind"] == "ConfigMap"},
        "Secret": {d["metadata"]["name"]: set(d.get("stringData", {})) for _, d in secrets},
        "ServiceAccount": {d["metadata"]["name"] for _, d in manifests if d["kind"] == "ServiceAccount"},
    }
    used = set()
    for file, document in manifests:
        for where, container, pod in containers(document):
            used |= set(secret_names(container))
            for problem in container_problems(container, pod, known):
                yield file, f"{where}: {problem}"
        for problem in account_problems(document, known["ServiceAccount"]):
            yield file, problem
    for file, document in secrets:
        if document["metadata"]["name"] not in used:
            yield file, f"Secret {document['metadata']['name']} is used by nothing"
        for key, value in document.get("stringData", {}).items():
            if "CHANGE-ME" not in value:
                yield file, f"{document['metadata']['name']}.{key}: an example holds CHANGE-ME, never a real secret"
    yield from selector_problems(manifests)
    buckets = {
        value for _, d in manifests if d["kind"] == "ConfigMap"
        for key, value in d["data"].items() if key.startswith("POLDER_BUCKET_")
    }
    for file, text in policies:
        for problem in policy_problems(file.rsplit("/", 1)[-1].removesuffix(".json"), json.loads(text), buckets):
            yield file, problem


def containers(document):
    """Every container with its pod; a Tekton step counts with its task's stepTemplate merged in."""
    spec = document.get("spec", {})
    if document["kind"] in ("Deployment", "Job"):
        pod = spec["template"]["spec"]
        for container in pod.get("initContainers", []) + pod["containers"]:
            yield f"container {container['name']}", container, pod
    elif document["kind"] == "Task":
        template = spec.get("stepTemplate", {})
        for step in spec["steps"]:
            merged = {**template, **step}
            for key in ("env", "envFrom", "volumeMounts"):
                merged[key] = template.get(key, []) + step.get(key, [])
            if "computeResources" in merged:
                merged["resources"] = merged["computeResources"]
            yield f"step {step['name']}", merged, spec


def container_problems(container, pod, known):
    for source in container.get("envFrom", []):
        for ref, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if ref in source and source[ref]["name"] not in known[kind]:
                yield f"there is no {kind} {source[ref]['name']}"
    for variable in container.get("env", []):
        for ref, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
            wanted = variable.get("valueFrom", {}).get(ref)
            if wanted and wanted["key"] not in known[kind].get(wanted["name"], ()):
                yield f"{variable['name']}: there is no {kind} {wanted['name']} with the key {wanted['key']}"
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"there is no volume {mount['name']}"
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    wanted = {"runAsNonRoot": True, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True}
    for key, value in wanted.items():
        if security.get(key) != value:
            yield f"securityContext.{key} is not {value}"
    if security.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "does not drop all capabilities"
    if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield "says neither what it requests (cpu, memory) nor its memory limit"
    image = container.get("image", "")
    if not image.startswith("$(params.") and (":" not in image or image.endswith(":latest")):
        yield f"image {image!r} names no version"
    alive, ready = (container.get(probe, {}).get("httpGet") for probe in ("livenessProbe", "readinessProbe"))
    if alive and alive == ready:
        yield "alive and ready are the same question"


def secret_names(container):
    for variable in container.get("env", []):
        if name := variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name"):
            yield name
    for source in container.get("envFrom", []):
        if "secretRef" in source:
            yield source["secretRef"]["name"]


def account_problems(document, accounts):
    spec = document.get("spec", {})
    pod = spec.get("template", {}).get("spec", {}) if document["kind"] in ("Deployment", "Job") else spec.get("taskRunTemplate", {})
    name = pod.get("serviceAccountName")
    if name and name not in accounts:
        yield f"there is no ServiceAccount {name}"


def selector_problems(manifests):
    pods = [
        (d["spec"]["template"]["metadata"]["labels"], d["spec"]["template"]["spec"])
        for _, d in manifests if d["kind"] in ("Deployment", "Job")
    ]
    services = {d["metadata"]["name"]: d for _, d in manifests if d["kind"] == "Service"}
    for file, document in manifests:
        spec = document.get("spec", {})
        selector = {
            "Service": lambda: spec["selector"],
            "Deployment": lambda: spec["selector"]["matchLabels"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
        }.get(document["kind"], dict)()
        chosen = [pod for labels, pod in pods if selector.items() <= labels.items()]
        if selector and len(chosen) != 1:
            yield file, f"{document['kind']} {document['metadata']['name']} selects {len(chosen)} kinds of pods, not one"
        if document["kind"] == "Service" and chosen:
            ports = {port.get("name") for container in chosen[0]["containers"] for port in container.get("ports", [])}
            for port in spec["ports"]:
                if isinstance(port.get("targetPort"), str) and port["targetPort"] not in ports:
                    yield file, f"Service {document['metadata']['name']}: no container has a port {port['targetPort']}"
        if document["kind"] == "Ingress":
            for rule in spec.get("rules", []):
                for path in rule["http"]["paths"]:
                    service = path["backend"]["service"]
                    names = {p.get("name") for p in services.get(service["name"], {"spec": {"ports": []}})["spec"]["ports"]}
                    if service["port"].get("name") not in names:
                        yield file, f"Ingress: there is no Service {service['name']} with the port {service['port']}"


def policy_problems(role, policy, buckets):
    """The promises of the roles: who writes where, and that nobody deletes."""
    for statement in policy["Statement"]:
        actions, resources = statement["Action"], statement["Resource"]
        for resource in resources:
            bucket = resource.removeprefix("arn:aws:s3:::").split("/")[0]
            if bucket not in buckets:
                yield f"{statement['Sid']}: {bucket} is no bucket of the settings"
            if role == "uploader" and bucket != "drone-raw":
                yield f"{statement['Sid']}: an uploader may not touch {bucket}"
        for action in actions:
            if "*" in action or "Delete" in action:
                yield f"{statement['Sid']}: {action} is more than any role needs"
            if action == "s3:PutObject":
                allowed = {"uploader": ["arn:aws:s3:::drone-raw/*"], "pipeline": sorted(set(resources) - {"arn:aws:s3:::drone-raw/*"})}
                if sorted(resources) != allowed.get(role):
                    yield f"{statement['Sid']}: {role} may not write to all of {', '.join(resources)}"
            elif action.startswith("s3:Put") and role != "admin":
                yield f"{statement['Sid']}: {action} is for the admin alone"

"""Breaks a copy of the manifests, one way at a time, and makes sure that the check notices."""

import shutil
import sys
import tempfile
from pathlib import Path

# (file, what stands there, what to put in its place, a word of the complaint, needs Tekton's schemas)
FAULTS = [
    ("pipelines/flight.yaml", "name: polder-stitch}", "name: polder-stich}", "no Task polder-stich", False),
    ("pipelines/flight.yaml", "$(tasks.stitch.results.item)\n        - name: options", "$(tasks.stitch.results.id)\n        - name: options", "no result id", False),
    ("pipelines/flight.yaml", "value: $(tasks.detect.status)", "value: $(tasks.detekt.status)", "names no task", False),
    ("pipelines/flight.yaml", "value: $(tasks.detect.status)", "value: $(tasks.detect.results.item)", "skips the whole task", False),
    ("pipelines/flight.yaml", "          value: $(params.torch-image)", "          value: $(params.torchimage)", "no param torchimage", False),
    ("pipelines/flight.yaml", 'value: ["$(params.stitch-options[*])"]', "value: $(params.stitch-options)", "param", False),
    ("pipelines/flight.yaml", "      retries: 2\n      timeout: 6h\n", "", "when to give up", False),
    ("pipelines/flight.yaml", "retries: 2", "retrys: 2", "retrys", True),
    ("pipelines/flight.yaml", "retries: 2", "retries: two", "retries", True),
    ("pipelines/tasks/stitch.yaml", "--project=$(params.project)", "--project=dijk-a", "never used", False),
    ("pipelines/tasks/stitch.yaml", "$(results.item.path)", "$(results.id.path)", "names no result", False),
    ("pipelines/tasks/stitch.yaml", "        - $(params.options[*])", "        - $(params.options)", "not how it is used", False),
    ("pipelines/tasks/stitch.yaml", "key: DATABASE_URL", "key: URL", "no Secret polder-database", False),
    ("pipelines/tasks/stitch.yaml", "name: polder-settings", "name: polder-setting", "no ConfigMap", False),
    ("pipelines/tasks/stitch.yaml", "  stepTemplate:", "  steptemplate:", "steptemplate", True),
    ("pipelines/tasks/stitch.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot", False),
    ("pipelines/tasks/upload.yaml", "$(workspaces.photos.path)", "$(workspaces.photo.path)", "no workspace", False),
    ("pipelines/tasks/status.yaml", '"$PROJECT" "$FLIGHT"', '"$(params.project)" "$FLIGHT"', "pass it through env", False),
    ("pipelines/tasks/detect.yaml", "      type: array\n", "", "needs a type", False),
    ("pipelines/example-run.yaml", "name: flight\n", "name: vlucht\n", "no param vlucht", False),
    ("pipelines/example-run.yaml", "serviceAccountName: polder-pipeline", "serviceAccountName: pipeline", "no ServiceAccount", False),
    ("pipelines/example-run.yaml", "  timeouts:", "  timeout:", "timeout", True),
    ("pipelines/kustomization.yaml", "  - tasks/run.yaml\n", "", "no kustomization.yaml lists it", False),
    ("k8s/base/kustomization.yaml", "  - init.yaml", "  - inits.yaml", "there is no inits.yaml", False),
    ("k8s/base/api.yaml", "readinessProbe:", "readynessProbe:", "readynessProbe", False),
    ("k8s/base/api.yaml", "replicas: 2", "replicas: two", "replicas", False),
    ("k8s/base/api.yaml", "apiVersion: policy/v1", "apiVersion: policy/v0", "schema", False),
    ("k8s/base/api.yaml", "targetPort: http", "targetPort: web", "no container has a port web", False),
    ("k8s/base/api.yaml", "path: /readyz", "path: /healthz", "the same question", False),
    ("k8s/base/api.yaml", "      serviceAccountName: polder\n", "      serviceAccountName: polder\n      serviceAccountName: other\n", "stands twice", False),
    ("k8s/base/api.yaml", "      labels: *labels", "      labels: {app.kubernetes.io/name: other}", "selects 0 kinds", False),
    ("k8s/base/api.yaml", "image: polder:0.1.0", "image: polder", "names no version", False),
    ("k8s/base/api.yaml", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "readOnlyRootFilesystem", False),
    ("k8s/base/api.yaml", "            - name: tmp\n", "            - name: temp\n", "no volume temp", False),
    ("k8s/base/init.yaml", "name: polder-s3-admin", "name: polder-s3-root", "no Secret polder-s3-root", False),
    ("k8s/base/migrate.yaml", "kind: Job", "kind: Jobb", "schema", False),
    ("k8s/base/migrate.yaml", "restartPolicy: Never", "  restartPolicy: Never", "", False),
    ("k8s/overlays/example/ingress.yaml", "                name: polder\n", "                name: polders\n", "no Service polders", False),
    ("k8s/secrets.example.yaml", "AWS_SECRET_ACCESS_KEY: CHANGE-ME", "AWS_SECRET_ACCESS_KEY: hunter2", "never a real secret", False),
    ("k8s/policies/uploader.json", "drone-raw/*", "drone-ortho/*", "may not touch", False),
    ("k8s/policies/pipeline.json", '"s3:PutObject"', '"s3:PutObject", "s3:DeleteObject"', "more than any role needs", False),
    ("k8s/policies/viewer.json", '"s3:GetObject"', '"s3:GetObject", "s3:PutObject"', "may not write", False),
    ("k8s/policies/viewer.json", "ai-models", "ai-model", "no bucket of the settings", False),
]


def run(root: Path, crds, check_class):
    failed = 0
    for file, old, new, word, needs_crds in FAULTS:
        if needs_crds and crds is None:
            continue
        with tempfile.TemporaryDirectory(prefix="polder-manifests-") as folder:
            copy = Path(folder).resolve()
            for part in ("pipelines", "k8s"):
                shutil.copytree(root / part, copy / part)
            path = copy / file
            text = path.read_text()
            if old not in text:
                failed += 1
                print(f"self-test: {file} has no {old!r} any more; update tests/manifests/selftest.py")
                continue
            path.write_text(text.replace(old, new, 1))
            check = check_class(copy, crds, None, None)
            check.run()
            if not any(word in problem for problem in check.found):
                failed += 1
                print(f"self-test: not noticed in {file}: {old!r} -> {new!r}; found {check.found or 'nothing'}")
    print(f"manifests: self-test, {len(FAULTS)} faults planted, {failed} not noticed", file=sys.stderr)
    return 1 if failed else 0

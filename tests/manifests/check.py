#!/usr/bin/env python3
"""Checks the manifests in pipelines/ and k8s/ without a cluster.

    check.py                 everything that can be checked here; what cannot is said, loudly
    check.py --self-test     breaks the manifests in many ways and makes sure that each is noticed

Schemas of Tekton are looked for in $POLDER_SHARED/k8s-crds (../shared/k8s-crds). With kubectl, the Kustomize folders are
built and what comes out is checked too. With a built binary ($POLDER, or in the target folder), each command line is
held against its --help.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

import commands
import references
import schemas
import tekton

ROOT = Path(__file__).resolve().parents[2]
KUSTOMIZATIONS = ["pipelines", "k8s/base", "k8s/overlays/example"]
SECRETS = "k8s/secrets.example.yaml"


class Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is a mistake, as it is for Kubernetes."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(text):
    return [document for document in yaml.load_all(text, Loader=Loader) if document is not None]


class Check:
    """One pass over one copy of the manifests."""

    def __init__(self, root: Path, crds, binary, kubectl):
        self.root, self.crds, self.binary, self.kubectl = root, crds, binary, kubectl
        self.found = []

    def note(self, file, problem):
        self.found.append(f"{file}: {problem}")

    def run(self):
        documents = []
        for folder in ("pipelines", "k8s"):
            for path in sorted((self.root / folder).rglob("*.y*ml")):
                file = str(path.relative_to(self.root))
                try:
                    documents += [(file, document) for document in load(path.read_text())]
                except yaml.YAMLError as error:
                    self.note(file, " ".join(str(error).split()))
        kustomizations = [(file, d) for file, d in documents if d.get("kind") == "Kustomization"]
        secrets = [(file, d) for file, d in documents if file == SECRETS]
        manifests = [(file, d) for file, d in documents if d.get("kind") != "Kustomization" and file != SECRETS]
        policies = [(str(p.relative_to(self.root)), p.read_text()) for p in sorted((self.root / "k8s/policies").glob("*.json"))]
        for file, document in manifests + secrets:
            self.schema(file, document)
        self.listed(kustomizations)
        if not self.found:  # what follows trusts the shape of the documents
            flow = [(file, d) for file, d in manifests if d["apiVersion"].startswith("tekton.dev/")]
            for file, problem in tekton.problems(flow):
                self.note(file, problem)
            for file, problem in references.problems(manifests, secrets, policies):
                self.note(file, problem)
            if self.binary:
                for file, problem in commands.problems(manifests, self.binary):
                    self.note(file, problem)
            if self.kubectl:
                self.built()
        return len(manifests + secrets)

    def schema(self, file, document):
        if document.get("apiVersion", "").startswith("tekton.dev/"):
            problems = self.crds.problems(document) if self.crds else ()
        elif "kind" in document and "apiVersion" in document:
            problems = schemas.core_problems(document)
        else:
            problems = ["has no kind or no apiVersion"]
        for problem in problems:
            self.note(file, problem)

    def listed(self, kustomizations):
        """A manifest that no Kustomization lists would never reach a cluster."""
        listed = set()
        for file, document in kustomizations:
            folder = (self.root / file).parent
            entries = document.get("resources", []) + [p["path"] for p in document.get("patches", []) if "path" in p]
            for entry in entries:
                path = (folder / entry).resolve()
                if not path.exists():
                    self.note(file, f"there is no {entry}")
                listed.add(path)
        for path in [*self.root.glob("pipelines/**/*.yaml"), *self.root.glob("k8s/*/**/*.yaml")]:
            if path.name not in ("kustomization.yaml", "example-run.yaml") and path.resolve() not in listed:
                self.note(str(path.relative_to(self.root)), "no kustomization.yaml lists it")

    def built(self):
        for folder in KUSTOMIZATIONS:
            run = subprocess.run([self.kubectl, "kustomize", self.root / folder], capture_output=True, text=True, timeout=120)
            if run.returncode != 0:
                self.note(folder, f"kubectl kustomize: {run.stderr.strip()}")
                continue
            for document in load(run.stdout):
                name = f"{folder} ({document['kind']} {document['metadata']['name']})"
                self.schema(name, document)
                if document["kind"] != "Namespace" and document["metadata"].get("namespace") != "polder":
                    self.note(name, "is not in the namespace polder")


def skipped(what):
    print(f"manifests: SKIPPED: {what}", file=sys.stderr)


def main():
    shared = Path(os.environ.get("POLDER_SHARED", ROOT.parent / "shared")) / "k8s-crds"
    crds = schemas.Crds(shared) if shared.is_dir() else None
    if crds is None:
        skipped(f"Tekton's schemas, because {shared} is not there (POLDER_SHARED names the folder above it)")
    if sys.argv[1:] == ["--self-test"]:
        import selftest

        sys.exit(selftest.run(ROOT, crds, Check))
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        skipped("building the Kustomize folders, because kubectl is not there")
    binary = commands.find_binary(ROOT)
    if binary is None:
        skipped("the command lines, because polder is not built (or name it with POLDER)")
    check = Check(ROOT, crds, binary, kubectl)
    count = check.run()
    for problem in check.found:
        print(problem)
    if count < 10:
        print(f"only {count} manifests found in {ROOT}: is this the right place?")
    print(f"manifests: {count} checked, {len(check.found)} problems", file=sys.stderr)
    sys.exit(1 if check.found or count < 10 else 0)


if __name__ == "__main__":
    main()

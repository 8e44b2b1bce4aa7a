"""Holds the command lines in manifests against the binary's own help."""

import os
import re
import subprocess
from pathlib import Path

import references


def find_binary(root: Path):
    """Returns $POLDER, or the newest polder in the target folder, or None."""
    if os.environ.get("POLDER"):
        return Path(os.environ["POLDER"])
    target = Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    built = [path for path in (target / profile / "polder" for profile in ("release", "debug")) if path.exists()]
    return max(built, key=lambda path: path.stat().st_mtime, default=None)


def problems(manifests, binary):
    helps = {}
    for file, document in manifests:
        for where, container, _ in references.containers(document):
            if "script" in container:
                continue
            if container.get("command", ["polder"]) != ["polder"]:
                yield file, f"{where}: runs {container['command']}, not polder"
                continue
            subcommand, *words = container["args"]
            if subcommand not in helps:
                run = subprocess.run([binary, subcommand, "--help"], capture_output=True, text=True, timeout=60)
                helps[subcommand] = run.stdout if run.returncode == 0 else None
            if helps[subcommand] is None:
                yield file, f"{where}: {binary} has no command {subcommand} (is it built from this source?)"
                continue
            for flag in (match.group() for word in words if (match := re.match(r"--[a-z0-9-]+", word))):
                if not re.search(rf"(?<![\w-]){flag}(?![\w-])", helps[subcommand]):
                    yield file, f"{where}: {binary} {subcommand} has no flag {flag} (is it built from this source?)"

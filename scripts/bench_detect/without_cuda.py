"""Makes PyPI's torch importable without NVIDIA's libraries: without_cuda.py SITE_PACKAGES

PyPI's torch for Linux names 14 NVIDIA libraries (3 GB) that a processor never calls, but the loader wants each of them, with
every function and version that torch's own libraries mention. This writes libraries in their place whose functions all
return an error. `torch.cuda.is_available()` is false with them.
"""

import collections
import pathlib
import re
import subprocess
import sys
import tempfile


def dynamic(path: pathlib.Path, *options: str) -> str:
    return subprocess.run(["readelf", "-W", *options, str(path)], check=True, capture_output=True, text=True).stdout


def main() -> None:
    folder = pathlib.Path(sys.argv[1]) / "torch" / "lib"
    ours = sorted(folder.glob("*.so*"))
    have = {path.name for path in ours}
    defined, wanted, owner, missing = set(), {}, {}, set()
    for path in ours:
        for name in re.findall(r"NEEDED.*\[(.*)\]", dynamic(path, "-d")):
            if name not in have and re.match(r"lib(cu|nv|nccl)", name):
                missing.add(name)
        # "File: libcublas.so.13 Cnt: 1" and then its versions, one a line
        file = None
        for line in dynamic(path, "-V").splitlines():
            if found := re.search(r"File: (\S+)", line):
                file = found[1]
            elif (found := re.search(r"Name: (\S+)", line)) and file:
                owner[found[1]] = file
        for line in dynamic(path, "--dyn-syms").splitlines():
            parts = line.split()
            if len(parts) < 8 or parts[4] not in ("GLOBAL", "WEAK"):
                continue
            symbol, _, version = parts[7].replace("@@", "@").partition("@")
            if parts[6] == "UND":
                wanted.setdefault(symbol, version)
            else:
                defined.add(symbol)
    if not missing:
        return
    functions = collections.defaultdict(set)
    for symbol, version in wanted.items():
        if symbol in defined:
            continue
        if version and owner.get(version) in missing:
            functions[owner[version]].add((symbol, version))
        elif not version and re.match(r"(cu|nv|nccl)", symbol):
            functions[min(missing)].add((symbol, ""))
    for name in sorted(missing):
        write(folder / name, name, functions[name], [v for v, file in owner.items() if file == name])


def write(target: pathlib.Path, name: str, functions: set[tuple[str, str]], versions: list[str]) -> None:
    with tempfile.TemporaryDirectory() as work:
        source, script = pathlib.Path(work, "stub.c"), pathlib.Path(work, "stub.map")
        source.write_text("\n".join(f"int {symbol}(void) {{ return 999; }}" for symbol, _ in sorted(functions)))
        nodes = {version: [s for s, v in functions if v == version] for version in versions}
        script.write_text("".join(f"{v} {{ global: {' '.join(s + ';' for s in symbols)} }};\n" for v, symbols in nodes.items()))
        command = ["cc", "-shared", "-fPIC", "-w", "-fno-builtin", f"-Wl,-soname,{name}", "-o", str(target), str(source)]
        subprocess.run(command + ([f"-Wl,--version-script={script}"] if nodes else []), check=True)


if __name__ == "__main__":
    main()

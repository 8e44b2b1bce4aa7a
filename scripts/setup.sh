#!/usr/bin/env bash
# Installs what polder is built and run with; safe to run again, quiet when there is nothing to do.
#
#   scripts/setup.sh            everything: Debian packages, libtorch
#   scripts/setup.sh packages   only the Debian packages
#   scripts/setup.sh libtorch   only libtorch
#   scripts/setup.sh peers      torch, SAHI, Ultralytics and GeoDeep for Python, to compare detection with (1.5 GB; on demand only)
#   scripts/setup.sh python     the clients that the tests talk with (pystac-client, stac-api-validator, schemathesis, …)
#
# Versions are pinned here and nowhere else. libtorch comes from PyPI's wheels, checked by SHA-256.
set -euo pipefail

TORCH_VERSION=2.13.0
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/polder"
LIBTORCH="$CACHE/libtorch-$TORCH_VERSION"
VENV="$CACHE/python-1"

PACKAGES=(
  build-essential pkg-config ca-certificates            # what cargo needs to link
  gdal-bin libgdal-dev                                   # GDAL 3.6: rasters and coordinate systems
  postgresql-15 postgresql-15-postgis-3                  # the private cluster of `polder up`
  libimage-exiftool-perl                                 # an EXIF reader that is not ours, for the tests
  python3 python3-pip python3-venv                       # fetches libtorch; runs the clients of the tests
)

# sha256 of each wheel, so that what is linked is what was tried
WHEELS=(
  "torch==2.13.0 --hash=sha256:60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7"
  "nvidia-cuda-cupti==13.0.85 --hash=sha256:4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8"
  "nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"
)

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "this needs root: run it as root, or install sudo"; fi
}

# On a system that is not Debian or Ubuntu nothing is installed; what is missing is named instead.
name_what_is_missing() {
  local missing=()
  command -v gdal-config >/dev/null || missing+=("GDAL 3.6 or later with its headers (gdal-config)")
  [ -x "$(postgres_bin)/initdb" ] || missing+=("PostgreSQL 15 or later (initdb, postgres)")
  command -v pkg-config >/dev/null || missing+=("pkg-config")
  command -v cc >/dev/null || missing+=("a C compiler (cc)")
  command -v c++ >/dev/null || missing+=("a C++ compiler (c++)")
  command -v python3 >/dev/null || missing+=("Python 3 with pip and venv")
  command -v exiftool >/dev/null || missing+=("exiftool (for the tests)")
  if [ ${#missing[@]} -gt 0 ]; then
    say "this is not Debian or Ubuntu, so nothing was installed; please install:"
    printf '  - %s\n' "${missing[@]}" "PostGIS 3.3 or later, if it is not there" >&2
    exit 1
  fi
}

postgres_bin() {
  if command -v initdb >/dev/null; then dirname "$(command -v initdb)"
  else ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1; fi
}

install_packages() {
  if ! command -v apt-get >/dev/null; then name_what_is_missing; return; fi
  local missing=()
  for package in "${PACKAGES[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then return; fi
  say "installing Debian packages: ${missing[*]}"
  local log; log="$(mktemp)"
  { as_root apt-get update -q \
    && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get failed; its whole log is in $log"; }
  rm -f "$log"
}

# The recipe is explained in docs/ARCHITECTURE.md, "libtorch": the CPU half of the PyPI wheel, and the two
# small NVIDIA libraries whose symbol versions its loader checks.
install_libtorch() {
  if [ "$(cat "$LIBTORCH/build-version" 2>/dev/null)" = "$TORCH_VERSION" ]; then return; fi
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) ;;
    *) die "libtorch $TORCH_VERSION is set up for Linux on x86-64 only; on this system put it in $LIBTORCH yourself" ;;
  esac
  say "fetching libtorch $TORCH_VERSION from PyPI (540 MB) into $LIBTORCH"
  mkdir -p "$CACHE"
  local work; work="$(mktemp -d "$CACHE/libtorch-download.XXXXXX")"
  # shellcheck disable=SC2064  # expanded now: `work` is local
  trap "rm -rf '$work'" EXIT
  printf '%s\n' "${WHEELS[@]}" >"$work/requirements.txt"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version 3.11 \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_25_x86_64 \
    --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    -d "$work/wheels" -r "$work/requirements.txt" \
    || die "cannot fetch libtorch: is PyPI reachable? (pip's message is above)"
  python3 - "$work" <<'PY'
import pathlib, shutil, sys, zipfile

work = pathlib.Path(sys.argv[1])
root = work / "libtorch"
(root / "lib").mkdir(parents=True)
LIBRARIES = {"libtorch_cpu.so", "libc10.so", "libgomp.so.1", "libcupti.so.13", "libcudart.so.13"}
for wheel in (work / "wheels").glob("*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            base = name.rsplit("/", 1)[-1]
            if base in LIBRARIES:
                target = root / "lib" / base
            elif name.startswith("torch/include/") and not name.endswith("/"):
                target = root / name.removeprefix("torch/")
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
missing = LIBRARIES - {p.name for p in (root / "lib").iterdir()}
if missing:
    sys.exit(f"setup: the wheels lack {sorted(missing)}")
PY
  printf 'INPUT(-ltorch_cpu)\n' >"$work/libtorch/lib/libtorch.so"
  ln -s libgomp.so.1 "$work/libtorch/lib/libgomp.so"
  printf '%s' "$TORCH_VERSION" >"$work/libtorch/build-version"
  rm -rf "$LIBTORCH"
  mv "$work/libtorch" "$LIBTORCH"
  rm -rf "$work"; trap - EXIT
}

# Clients that are not ours. The file pins them; its own hash says whether the environment is current.
install_python() {
  local wanted="$1" stamp
  stamp="$(sha256sum "$wanted" | cut -d' ' -f1)"
  if [ "$(cat "$VENV/.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
  say "installing the Python clients of the tests into $VENV"
  mkdir -p "$CACHE"
  python3 -m venv --clear "$VENV"
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" \
    || die "cannot install the clients in $wanted: is PyPI reachable? (pip's message is above)"
  printf '%s' "$stamp" >"$VENV/.stamp"
}

# What detection is compared with. torch comes without NVIDIA's libraries (3 GB), which no processor calls.
install_peers() {
  local venv="$CACHE/peers-detect-1"
  if [ -e "$venv/ready" ]; then return; fi
  say "installing the peers of detection into $venv (1.5 GB)"
  python3 -m venv --clear "$venv"
  local pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
  { "${pip[@]}" --no-deps "torch==$TORCH_VERSION" torchvision==0.29.2 ultralytics==8.4.190 sahi==0.12.8 geodeep==0.9.13 \
      ultralytics-thop opencv-python-headless \
    && "${pip[@]}" filelock typing-extensions sympy networkx jinja2 fsspec numpy matplotlib pillow pyyaml requests psutil \
      polars onnxruntime rasterio onnx shapely tqdm click fire \
    && "$venv/bin/python" "$here/scripts/bench_detect/without_cuda.py" "$("$venv/bin/python" -c 'import site; print(site.getsitepackages()[0])')" \
    && "$venv/bin/python" -c 'import torch, torchvision, ultralytics, sahi, geodeep'
  } || die "cannot install the peers: is PyPI reachable? (the message is above)"
  touch "$venv/ready"
}

here="$(cd "$(dirname "$0")/.." && pwd)"
command -v cargo >/dev/null || die "Rust is missing: install Rust 1.95 or later from https://rustup.rs, then run this again"
case "${1:-all}" in
  all) install_packages; install_libtorch ;;
  packages) install_packages ;;
  libtorch) install_libtorch ;;
  peers) install_peers ;;
  python) install_python "$here/tests/python/requirements.txt" ;;
  *) die "unknown part '$1'; say packages, libtorch, peers, python, or nothing for all" ;;
esac

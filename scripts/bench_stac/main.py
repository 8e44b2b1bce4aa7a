#!/usr/bin/env python3
"""Measures polder's STAC API beside stac-fastapi-pgstac and rustac, on one machine, in one run, over the same items.

    scripts/bench_stac/main.py --polder target/release/polder [--items 200000] [--rounds 3] [--reuse DIR]
    scripts/bench_stac/main.py --sizes 10000,200000,2000000 --reuse DIR     polder alone: how each query grows

polder and pgstac have a PostgreSQL server each, with the same durable settings. Told are CPU milliseconds per request, of the
API's processes and PostgreSQL's together, because they hold on a busy machine too; wall times beside them need a quiet one.
The answers are compared before anything is timed. The table goes between two marker comments in docs/benchmarks.md
(`--docs`), every single figure into `--out DIR`.
"""

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

import cases
import measure
import report
import run
import statements
from postgres import SETTINGS
from servers import HydratingPgstac, Pgstac, Polder, Rustac, ensure_items, say

ROOT = Path(__file__).resolve().parents[2]


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polder", default=os.environ.get("POLDER", "target/release/polder"), help="the release binary")
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="how long each case is asked, per connection count and round")
    parser.add_argument("--only", action="append", metavar="CASE", help=f"only this case; can be repeated: {', '.join(report.TITLES)}")
    parser.add_argument("--skip", action="append", default=[], metavar="SERVER", help="leave out polder, stac-fastapi-pgstac, stac-fastapi-pgstac-hydrate or rustac")
    parser.add_argument("--skip-peers", action="store_true", help="polder alone")
    parser.add_argument("--peer-workers", type=int, default=min(2, len(os.sched_getaffinity(0))), help="uvicorn's workers")
    parser.add_argument("--sizes", help="polder alone at these sizes, with plans, as 10000,200000,2000000")
    parser.add_argument("--reuse", metavar="DIR", help="keep items and loaded databases here, and use those that are here")
    parser.add_argument("--out", metavar="DIR", help="where the raw figures and plans go [default: DIR of --reuse, else none]")
    parser.add_argument("--docs", type=Path, default=None, help="the document to write into [default: none is touched, the table is printed]")
    return parser.parse_args()


def of_names(only):
    return [case for case in cases.READS if not only or case.name in only]


class Run:
    """The servers that are up, and what must be taken down whatever happens."""

    def __init__(self, options, home):
        self.options, self.home = options, home
        self.up, self.loaded = [], {}

    def bring(self, server, items):
        """Starts a server with its database and fills it."""
        if server.cluster not in [one.cluster for one in self.up]:
            server.cluster.start()
        self.up.append(server)
        if server.shares and server.loaded() != items:
            raise SystemExit(f"bench: {server.name} reads a database that stac-fastapi-pgstac fills: do not skip that one")
        server.prepare()
        server.start()
        server.fill(self.home / f"items-{items}", items)
        mark = server.folder / "loaded.json"
        if mark.exists() and not server.shares:
            self.loaded[server.name] = json.loads(mark.read_text())["seconds"]
        # a fresh process, so that its memory is the workload's and not the loading's
        server.stop()
        return server.start()

    def close(self):
        for server in reversed(self.up):
            server.stop()
        for cluster in {id(server.cluster): server.cluster for server in self.up}.values():
            cluster.stop()
        self.up = []


def wanted_servers(options, home):
    polder = Polder(home / f"polder-{options.items}", options)
    pgstac = Pgstac(home / f"pgstac-{options.items}", options)
    chosen = [polder] if options.skip_peers else [polder, pgstac, HydratingPgstac(pgstac, options), Rustac(pgstac, options)]
    return [server for server in chosen if server.name not in options.skip]


def side_by_side(options, home):
    """Measures all servers and returns the section's lines and the raw figures."""
    busy = f"{measure.load():.1f}"
    folder = ensure_items(home / f"items-{options.items}", options.items)
    results, bench = run.Results(), Run(options, home)
    try:
        servers = [bench.bring(server, options.items) for server in wanted_servers(options, home)]
        wanted = of_names(options.only)
        run.compare(results, wanted, servers, options.items)
        run.rounds(results, wanted, servers, options.items, options)
        alone = {}
        if servers[0].name == "polder":
            alone = statements.all_alone(servers[0], options.items, options.seconds, results)
        size = sum(path.stat().st_size for path in folder.glob("*.ndjson"))
        about = {
            "command": " ".join(["scripts/bench_stac/main.py", *map(shlex.quote, shown(sys.argv[1:]))]),
            "date": f"{date.today():%-d %B %Y}", "machine": measure.machine(), "load": busy, "items": options.items,
            "item_bytes": size // options.items, "rounds": options.rounds, "seconds": options.seconds,
            "loaded_seconds": bench.loaded, "postgres": servers[0].cluster.version(),
            "postgres_settings": ", ".join(f"`{key}={value}`" for key, value in SETTINGS.items()),
            "database_mb": {server.name: server.cluster.size_mb() for server in servers if not server.shares},
            "versions": {server.name: server.version() + (f", uvicorn with {options.peer_workers} workers" if isinstance(server, Pgstac) else "")
                         for server in servers},
        }
    finally:
        bench.close()
    lines = list(report.document(results, about, [server.name for server in servers], alone))
    return lines, {"about": about, **results.json(), "statements": alone}


def shown(arguments):
    """Returns the command line without the folders of this machine."""
    kept, skip = [], False
    for argument in arguments:
        if skip or argument.split("=")[0] in ("--reuse", "--out", "--polder", "--docs"):
            skip = not skip and "=" not in argument
            continue
        kept.append(argument)
    return kept


def growth(options, home, out):
    """Measures polder alone at several sizes."""
    found = {}
    for size in sorted(int(size) for size in options.sizes.split(",")):
        ensure_items(home / f"items-{size}", size)
        results, bench = run.Results(), Run(options, home)
        try:
            polder = bench.bring(Polder(home / f"polder-{size}", options), size)
            wanted = of_names(options.only)
            run.compare(results, wanted, [polder], size)
            for round_ in range(options.rounds):
                say(f"{size} items: round {round_ + 1} of {options.rounds}")
                for case in wanted:
                    run.read(results, case, polder, size, options.seconds, (1,))
            statements.save_plans(polder, size, out / f"plans-{size}", [case for case in wanted if case.name not in results.failures])
            found[str(size)] = {**results.json(), "loaded_seconds": bench.loaded, "database_mb": polder.cluster.size_mb()}
        finally:
            bench.close()
    command = " ".join(["scripts/bench_stac/main.py", *map(shlex.quote, shown(sys.argv[1:]))])
    head = [f"`{command}`, {date.today():%-d %B %Y}; {measure.machine()}; polder alone, median (lowest–highest) of {options.rounds} rounds.", ""]
    return head + list(report.growth_table(found)), {"about": {"machine": measure.machine(), "date": str(date.today())}, "growth": found}


def main():
    chosen = options()
    if not shutil.which(chosen.polder) and "polder" not in chosen.skip:
        sys.exit(f"bench: {chosen.polder} is not there: run `make build`, or name the binary with --polder")
    if shutil.which(chosen.polder):
        chosen.polder = str(Path(shutil.which(chosen.polder)).resolve())
    unknown = set(chosen.only or []) - set(report.TITLES)
    if unknown:
        sys.exit(f"bench: there is no case {', '.join(unknown)}; there are {', '.join(report.TITLES)}")
    home = Path(chosen.reuse or tempfile.mkdtemp(prefix="polder-bench-")).resolve()
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o711)  # PostgreSQL's own user passes through
    out = Path(chosen.out).resolve() if chosen.out else home / "results"
    out.mkdir(parents=True, exist_ok=True)
    try:
        lines, raw = growth(chosen, home, out) if chosen.sizes else side_by_side(chosen, home)
        (out / ("growth.json" if chosen.sizes else "bench-stac.json")).write_text(json.dumps(raw, indent=1))
        section = report.GROWTH if chosen.sizes else report.SIDE_BY_SIDE
        if chosen.docs and not report.put(chosen.docs, section, lines):
            sys.exit(f"bench: {chosen.docs} lacks the markers of the section {section}")
        print("\n".join(lines))
    finally:
        if not chosen.reuse:
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()

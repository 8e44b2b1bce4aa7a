#!/usr/bin/env python3
"""Reads and writes for minutes while things are killed, and checks every single answer against a ledger.

    scripts/bench_stac/soak.py --polder target/release/polder [--minutes 10]

Sixteen clients add, change, delete, fetch and search items of one collection. Meanwhile the API is killed with -9 twice and
PostgreSQL restarted once, fast, and crashed once (stopped in the way of a power cut of its own: `-m immediate`).

The ledger knows for each item which contents the server may hold now: one, unless a write is on its way or was never
answered. What is checked:

- a read answers with one of those contents, whole and exact, by GET and by search; a deleted item is gone;
- an answer that is no success comes only while something is down, and a wrong success never;
- at the end each acknowledged write is there, by GET, by search and by walking all pages.

Prints a summary as JSON; exits with 1 when any answer was wrong or any write lost.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

import generate
from measure import peak_mb
from servers import Pgstac, Polder, say

COLLECTION = "dike-zeeland"
BATCH = 10
MIX = {"get": 40, "ids": 14, "flight": 10, "add": 18, "batch": 1, "change": 9, "delete": 5, "page": 3}
MOST_ITEMS = 60_000  # the ledger is held in memory; from then on items are changed and deleted only


class Entry:
    """What is known of one item: the contents it was given (as text), oldest first, and which was acknowledged last.

    `None` is its absence. The server may hold the acknowledged content or any that was sent after it.
    """

    def __init__(self, item):
        self.id, self.flight = item["id"], item["properties"]["polder:flight"]
        self.contents, self.acknowledged, self.certain = [None], 0, True

    def send(self, item):
        self.contents.append(item and json.dumps(item))
        return len(self.contents) - 1

    def possible(self, since):
        return self.contents[since:]


class Ledger:
    """All items, by id; each is written by one client only, and read by all."""

    def __init__(self):
        self.entries, self.flights, self.ids, self.lock = {}, {}, [], threading.Lock()

    def new(self, item):
        with self.lock:
            entry = self.entries[item["id"]] = Entry(item)
            self.ids.append(entry.id)
            self.flights.setdefault(entry.flight, []).append(entry.id)
        return entry

    def some(self, rng, count):
        return rng.sample(self.ids, min(count, len(self.ids)))


class Watch:
    """When things were down, and what came of all the requests."""

    def __init__(self, grace):
        self.grace, self.outages, self.lock = grace, [], threading.Lock()
        self.counts, self.errors_while_down, self.wrong, self.times = {}, 0, [], []
        self.latest_error = 0

    def down(self, what):
        self.outages.append([time.monotonic(), None, what])

    def up(self):
        self.outages[-1][1] = time.monotonic()
        began, ended, what = self.outages[-1]
        say(f"soak: {what}: away for {ended - began:.1f} s")

    def excuses(self, began, ended):
        return any(start <= ended and (end is None or began <= end + self.grace) for start, end, _ in self.outages)

    def judge_failure(self, what, began, detail):
        if self.excuses(began, time.monotonic()):
            with self.lock:
                self.errors_while_down += 1
                ended = self.outages[-1][1]
                self.latest_error = max(self.latest_error, time.monotonic() - ended if ended else 0)
        else:
            self.complain(f"{what} failed with nothing down: {detail}")

    def complain(self, text):
        with self.lock:
            self.wrong.append(text)
        if len(self.wrong) <= 20:
            say(f"soak: WRONG: {text}")

    def count(self, what, began):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1
            self.times.append((time.monotonic() - began) * 1000)


class Client(threading.Thread):
    """One connection: does what the dice say, and believes nothing."""

    def __init__(self, number, server, ledger, watch, mix):
        super().__init__(daemon=True)
        self.number, self.server, self.ledger, self.watch, self.mix = number, server, ledger, watch, mix
        self.rng, self.stop, self.connection = random.Random(number), threading.Event(), None
        self.own, self.made = [], 0
        self.items = self._items()

    def _items(self):
        """Yields new items without end, a flight of this client's own for each thirty."""
        flight = self.number * len(generate.COLLECTIONS) + generate.COLLECTIONS.index(COLLECTION)
        while True:
            for item in generate.items_of(flight, 30, seed=99):
                item["id"] = f"soak-{self.number}-{self.made}"
                item["properties"]["polder:flight"] = f"soak-{self.number}-{flight}"
                self.made += 1
                yield item
            flight += 16 * len(generate.COLLECTIONS)

    def run(self):
        names, weights = list(self.mix), list(self.mix.values())
        while not self.stop.is_set():
            try:
                getattr(self, f"_{self.rng.choices(names, weights)[0]}")()
            except Exception as error:  # noqa: BLE001 - a client that dies would make the run look better than it is
                self.watch.complain(f"the client itself failed: {type(error).__name__}: {error}")

    def ask(self, what, method, path, body=None, write=False):
        """Returns status and parsed answer; nothing when there was no success, which is judged here."""
        began = time.monotonic()
        headers = {**(self.server.write_headers() if write else {}), "Content-Type": "application/json"}
        try:
            self._send(method, self.server.prefix + path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            if self.connection:
                self.connection.close()
            self.connection = None
            self.watch.judge_failure(what, began, f"{type(error).__name__}: {error}")
            time.sleep(0.05)
            return None, None
        if status >= 500 or status == 429:
            self.watch.judge_failure(what, began, f"status {status}: {text[:200]!r}")
            time.sleep(0.05)
            return None, None
        self.watch.count(what, began)
        try:
            return status, json.loads(text) if text else None
        except ValueError:
            self.watch.complain(f"{what}: not JSON: {text[:100]!r}")
            return None, None

    def _send(self, *request):
        if self.connection:
            try:
                return self.connection.request(*request)
            except BrokenPipeError:  # the server hung up before this request, so it has not seen it
                self.connection.close()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        return self.connection.request(*request)

    # Reads. What an item may be is taken down before asking; what was sent meanwhile may have been seen too.

    def _get(self):
        for id_ in self.ledger.some(self.rng, 1):
            entry = self.ledger.entries[id_]
            since = entry.acknowledged
            status, found = self.ask("get", "GET", f"/collections/{COLLECTION}/items/{id_}")
            if status in (200, 404):
                self.check("get", id_, found if status == 200 else None, entry.possible(since))
            elif status:
                self.watch.complain(f"get {id_}: status {status}")

    def _ids(self):
        asked = self.ledger.some(self.rng, 10)
        self.check_search("search by ids", asked, {"ids": asked, "collections": [COLLECTION], "limit": 100})

    def _flight(self):
        for id_ in self.ledger.some(self.rng, 1):
            flight = self.ledger.entries[id_].flight
            self.check_search("search by flight", list(self.ledger.flights[flight]), flight_search(flight), more=True)

    def check_search(self, what, asked, body, more=False):
        """Asks for these items; others may come too only if `more` says that new ones can have been added meanwhile."""
        since = {id_: self.ledger.entries[id_].acknowledged for id_ in asked}
        status, found = self.ask(what, "POST", "/search", body)
        if status != 200:
            if status:
                self.watch.complain(f"{what}: status {status}: {json.dumps(found)[:200]}")
            return
        by_id = {item["id"]: item for item in found["features"]}
        if len(by_id) != len(found["features"]):
            self.watch.complain(f"{what}: an item came twice")
        for id_ in asked:
            self.check(what, id_, by_id.pop(id_, None), self.ledger.entries[id_].possible(since[id_]))
        for id_, item in by_id.items():
            entry = self.ledger.entries.get(id_)
            if not more or not entry:
                self.watch.complain(f"{what}: {id_} was not asked for")
            else:
                self.check(what, id_, item, entry.possible(0))

    def _page(self):
        status, found = self.ask("page", "GET", f"/collections/{COLLECTION}/items?limit=50")
        if status != 200:
            if status:
                self.watch.complain(f"page: status {status}")
            return
        times = [item["properties"]["datetime"] for item in found["features"]]
        if times != sorted(times, reverse=True):
            self.watch.complain("page: not newest first")
        for item in found["features"]:
            entry = self.ledger.entries.get(item["id"])
            # which ones come is not known beforehand, and so nor what was acknowledged by then: any content will do
            self.check("page", item["id"], item, entry.possible(0) if entry else [])

    def check(self, what, id_, found, possible):
        possible = [content and json.loads(content) for content in possible]
        if not any(same(found, content, self.server) for content in possible):
            seen = "nothing" if found is None else f"updated {found['properties'].get('updated')}"
            known = [content and content["properties"]["updated"] for content in possible]
            self.watch.complain(f"{what} {id_}: found {seen}; it can be {known}")

    # Writes. Each client writes items of its own. One that was never answered for certain is left alone from then on.

    def _add(self):
        if len(self.ledger.ids) >= MOST_ITEMS:
            return self._get()
        item = next(self.items)
        self.write("add", "POST", f"/collections/{COLLECTION}/items", item, [(self.ledger.new(item), item)], (200, 201))

    def _batch(self):
        if len(self.ledger.ids) >= MOST_ITEMS:
            return self._get()
        items = [next(self.items) for _ in range(BATCH)]
        body = {"type": "FeatureCollection", "features": items}
        self.write("batch", "POST", f"/collections/{COLLECTION}/items", body, [(self.ledger.new(item), item) for item in items], (200, 201))

    def _change(self):
        for entry in self.owned():
            item = json.loads(entry.contents[entry.acknowledged])
            item["properties"]["updated"] = f"2026-01-01T00:00:00.{len(entry.contents):06}Z"
            item["properties"]["eo:cloud_cover"] = round(self.rng.uniform(0, 100), 2)
            self.write("change", "PUT", f"/collections/{COLLECTION}/items/{item['id']}", item, [(entry, item)], (200, 204))

    def _delete(self):
        for entry in self.owned():
            self.write("delete", "DELETE", f"/collections/{COLLECTION}/items/{entry.id}", None, [(entry, None)], (200, 204))

    def owned(self):
        able = [entry for entry in self.own[-200:] if entry.certain and entry.contents[entry.acknowledged]]
        return [self.rng.choice(able)] if able else []

    def write(self, what, method, path, body, parts, right):
        sent = [(entry, entry.send(content)) for entry, content in parts]
        status, answer = self.ask(what, method, path, body, write=True)
        if status in right:
            for entry, index in sent:
                entry.acknowledged = index
            self.own += [entry for entry, _ in sent if what in ("add", "batch")]
            return
        for entry, _ in sent:
            entry.certain = False
        if status:
            self.watch.complain(f"{what}: status {status}: {json.dumps(answer)[:300]}")


def flight_search(flight):
    return {"filter-lang": "cql2-json", "filter": {"op": "=", "args": [{"property": "polder:flight"}, flight]}, "limit": 100}


def same(found, given, server):
    """Tells whether an item is the one that was given; the server may add links and nothing else."""
    if found is None or given is None:
        return found is given
    bare = [{key: value for key, value in item.items() if key != "links"} for item in (found, given)]
    if server.name != "polder":  # the peer writes times its own way
        bare = [{**item, "properties": {name: instant(value) for name, value in item["properties"].items()}} for item in bare]
    return bare[0] == bare[1] and all(any(link["href"] == other["href"] for other in found["links"]) for link in given["links"])


def instant(value):
    return datetime.fromisoformat(value) if isinstance(value, str) and value.endswith("Z") and value[10:11] == "T" else value


def break_things(server, watch, minutes):
    """Kills and restarts on a timetable: shares of the whole time."""
    began, whole = time.monotonic(), minutes * 60

    def kill_api():
        server.stop(signal.SIGKILL)
        server.start()

    def crash_database():
        server.cluster.stop("immediate")
        server.cluster.start(server.cluster.port)

    plan = [(0.2, "the API, killed", kill_api), (0.4, "PostgreSQL, restarted", server.cluster.restart),
            (0.6, "the API, killed again", kill_api), (0.8, "PostgreSQL, crashed", crash_database)]
    for share, what, action in plan:
        time.sleep(max(0, began + share * whole - time.monotonic()))
        watch.down(what)
        action()
        wait_until_it_reads(server)
        watch.up()
    time.sleep(max(0, began + whole - time.monotonic()))


def wait_until_it_reads(server):
    """Waits until the API answers a question that needs its database."""
    for _ in range(600):
        try:
            if server.request("GET", f"{server.prefix}/collections/{COLLECTION}/items?limit=1")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    sys.exit("soak: the API did not come back within a minute")


def final_check(server, ledger, watch):
    """Looks for every item once more, page by page, and for many by GET and by search; returns how many are lost."""
    judge, wrong_before = Client(1000, server, ledger, watch, {}), len(watch.wrong)
    seen, lost, path = set(), 0, f"/collections/{COLLECTION}/items?limit=500"
    while path:
        status, found = judge.ask("final page", "GET", path)
        if status != 200:
            watch.complain(f"final page: status {status}")
            break
        for item in found["features"]:
            if item["id"] in seen:
                watch.complain(f"final page: {item['id']} came twice")
            seen.add(item["id"])
            entry = ledger.entries.get(item["id"])
            judge.check("final page", item["id"], item, entry.possible(entry.acknowledged) if entry else [])
        after = [link["href"] for link in found["links"] if link["rel"] == "next"]
        path = "/collections/" + after[0].split("/collections/", 1)[1] if after else None
    for id_, entry in ledger.entries.items():
        if id_ not in seen and None not in entry.possible(entry.acknowledged):
            lost += 1
            watch.complain(f"final page: {id_} is lost")
    unsure = [id_ for id_, entry in ledger.entries.items() if not entry.certain]
    for id_ in {*unsure, *ledger.some(judge.rng, 3000)}:
        entry = ledger.entries[id_]
        status, found = judge.ask("final get", "GET", f"/collections/{COLLECTION}/items/{id_}")
        judge.check("final get", id_, found if status == 200 else None, entry.possible(entry.acknowledged))
        if (status == 200) != (id_ in seen):
            watch.complain(f"final get: {id_} answers {status} and is {'on' if id_ in seen else 'not on'} the pages")
    for flight in judge.rng.sample(list(ledger.flights), min(300, len(ledger.flights))):
        judge.check_search("final search", list(ledger.flights[flight]), flight_search(flight))
    say(f"soak: the last look found {len(watch.wrong) - wrong_before} things wrong")
    return lost


def able(server, mix):
    """Returns the mix without what this server refuses to do at all, and says so."""
    kept = dict(mix)
    for name, method in (("change", "PUT"), ("delete", "DELETE")):
        status, _ = server.request(method, f"{server.prefix}/collections/{COLLECTION}/items/nobody", "{}", server.write_headers())
        if status in (405, 501):
            say(f"soak: SKIPPED: {name}, because the server answers {method} with {status}")
            del kept[name]
    return kept


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polder", default=os.environ.get("POLDER", "target/release/polder"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--grace", type=float, default=2, help="seconds after a return in which an error is still excused")
    parser.add_argument("--api", choices=["polder", "pgstac"], default="polder", help="pgstac tries this program on the peer")
    parser.add_argument("--out", metavar="DIR", help="keep the summary and the servers' logs here")
    args = parser.parse_args()
    args.peer_workers = 2
    if args.api == "polder":
        if not shutil.which(args.polder):
            sys.exit(f"soak: {args.polder} is not there: run `make build`, or name the binary with --polder")
        args.polder = str(Path(shutil.which(args.polder)).resolve())
    home = Path(tempfile.mkdtemp(prefix="polder-soak-"))
    home.chmod(0o711)
    server = (Polder if args.api == "polder" else Pgstac)(home / "server", args)
    ledger, watch = Ledger(), Watch(args.grace)
    try:
        server.cluster.start()
        server.prepare()
        server.start()
        collection = next(one for one in generate.collections() if one["id"] == COLLECTION)
        status, answer = server.request("POST", f"{server.prefix}/collections", json.dumps(collection), server.write_headers())
        if status not in (200, 201):
            sys.exit(f"soak: the collection was refused: {status} {answer[:300]!r}")
        mix = able(server, MIX)
        clients = [Client(number, server, ledger, watch, mix) for number in range(args.connections)]
        for client in clients:
            client.start()
        break_things(server, watch, args.minutes)
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join(90)
        say(f"soak: checking {len(ledger.entries)} items")
        lost = final_check(server, ledger, watch)
        summary = summarise(server, ledger, watch, lost, args)
    finally:
        server.stop()
        server.cluster.stop()
        if args.out:
            keep(home / "server", Path(args.out))
        shutil.rmtree(home, ignore_errors=True)
    if args.out:
        (Path(args.out) / "soak.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary, indent=1))
    sys.exit(1 if watch.wrong else 0)


def summarise(server, ledger, watch, lost, args):
    times = sorted(watch.times)
    entries = ledger.entries.values()
    return {
        "server": server.version(), "minutes": args.minutes, "connections": args.connections,
        "requests": sum(watch.counts.values()), "by_kind": watch.counts,
        "acknowledged_writes": sum(watch.counts.get(kind, 0) * (BATCH if kind == "batch" else 1) for kind in ("add", "batch", "change", "delete")),
        "items": len(ledger.entries), "never_answered": sum(not entry.certain for entry in entries),
        "lost": lost, "wrong_answers": len(watch.wrong), "wrong": watch.wrong[:50],
        "errors_while_down": watch.errors_while_down, "latest_error_after_return_s": round(watch.latest_error, 2),
        "outages": [{"what": what, "seconds": round(end - start, 2)} for start, end, what in watch.outages],
        "p50_ms": round(times[len(times) // 2], 2), "p95_ms": round(times[int(len(times) * 0.95)], 2),
        "api_peak_mb": round(peak_mb(server.process.pid)),
    }


def keep(folder, out):
    out.mkdir(parents=True, exist_ok=True)
    for log in folder.glob("*.log"):
        shutil.copyfile(log, out / log.name)


if __name__ == "__main__":
    main()

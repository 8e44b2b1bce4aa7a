"""The servers under measurement: how each is installed, started, filled and recognised.

All are told the same story: one PostGIS server of its own (postgres.py), one free port on 127.0.0.1, the items of
generate.py, and indexes on the properties that the workload asks for, declared the way that server's manual says.
"""

import hashlib
import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import client
import generate
from postgres import Cluster, free_port

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "polder"
QUERYABLES = {  # what the workload filters and sorts by, and so what has an index in every server that can have one
    "eo:cloud_cover": {"type": "number"},
    "platform": {"type": "string"},
    "polder:flight": {"type": "string"},
}


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def peers_python():
    """Returns the python of the peers' environment, made on first use and again when requirements.txt changes."""
    wanted = HERE / "requirements.txt"
    stamp = hashlib.sha256(wanted.read_bytes()).hexdigest()
    home = CACHE / "peers-1"
    python, mark = home / "bin" / "python", home / ".stamp"
    if not mark.exists() or mark.read_text() != stamp:
        say(f"installing the peers (stac-fastapi-pgstac, rustac) into {home}")
        venv.create(home, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], check=True)
        mark.write_text(stamp)
    return python


class Server:
    """A STAC API on a database. Subclasses say how it is started and filled."""

    name = ""
    prefix = ""  # where the API's root is
    can_write = True
    shares = False  # the database of another server

    def __init__(self, folder, options):
        self.folder, self.options = Path(folder), options
        self.cluster = Cluster(self.folder, self.name)
        self.process, self.port, self.headers = None, None, {}

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def start(self):
        """Starts the API and waits until it answers."""
        self.port = self.port or free_port()
        log = open(self.folder / f"{self.name}.log", "ab")
        # a session of its own, so that all its workers can be signalled and none of ours
        self.process = subprocess.Popen(list(map(str, self.command())), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **self.environment()}, cwd="/", start_new_session=True)
        for _ in range(1200):
            if self.process.poll() is not None:
                tail = (self.folder / f"{self.name}.log").read_text(errors="replace")[-1500:]
                raise SystemExit(f"bench: {self.name} ended with {self.process.returncode}; its last words:\n{tail}")
            try:
                if self.request("GET", self.prefix or "/")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"bench: {self.name} did not answer in two minutes")

    def stop(self, how=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None

    def request(self, method, path, body=None, headers=None):
        """Asks once, over a connection of its own; returns status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            given = {**self.headers, **(headers or {})}
            if body is not None and "Content-Type" not in given:
                given["Content-Type"] = "application/json"
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def write_headers(self):
        return {}

    def loaded(self):
        """Returns how many items this database was filled with, or nothing."""
        mark = self.folder / "loaded.json"
        return json.loads(mark.read_text())["items"] if mark.exists() else None

    def fill(self, items_folder, count):
        """Loads the items, unless a kept database has them; returns the seconds it took."""
        if self.loaded() == count:
            say(f"{self.name}: the kept database has {count} items")
            return None
        if self.loaded():
            raise SystemExit(f"bench: {self.folder} holds {self.loaded()} items, not {count}: give another folder")
        say(f"{self.name}: loading {count} items")
        start = time.monotonic()
        self.load(Path(items_folder))
        seconds = time.monotonic() - start
        self.cluster.settle()
        (self.folder / "loaded.json").write_text(json.dumps({"items": count, "seconds": seconds}))
        return seconds

    def load(self, items_folder):
        raise NotImplementedError

    def written(self):
        """Returns the paths, below `/collections`, of what the workload wrote."""
        return []

    def remove_written(self):
        """Takes away what the workload wrote, so that the next round finds what the last one found."""


class Polder(Server):
    name, prefix = "polder", "/stac"
    batch, connections = 500, 2

    def prepare(self):
        """Migrates the schema and makes a token."""
        subprocess.run([self.options.polder, "migrate"], env={**os.environ, **self.environment()}, check=True,
                       stdout=subprocess.DEVNULL)
        self.token = "polder_" + secrets.token_urlsafe(32)
        digest = hashlib.sha256(self.token.encode()).hexdigest()
        self.cluster.sql("update tokens set revoked_at = now() where name = 'bench' and revoked_at is null;"
                         f"insert into tokens (name, role, hash) values ('bench', 'admin', '\\x{digest}')")

    def command(self):
        return [self.options.polder, "serve", "--listen", f"127.0.0.1:{self.port}"]

    def environment(self):
        return {"DATABASE_URL": self.cluster.url, "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench-bench",
                "POLDER_S3_ENDPOINT": "http://127.0.0.1:1", "AWS_REGION": "us-east-1"}

    def write_headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def version(self):
        return subprocess.run([self.options.polder, "--version"], capture_output=True, text=True).stdout.strip()

    def load(self, items_folder):
        """Through its own door: a FeatureCollection per 500 items, two at a time."""
        for collection in json.loads((items_folder / "collections.json").read_text()):
            status, body = self.request("POST", "/stac/collections", json.dumps(collection), self.write_headers())
            if status not in (200, 201, 409):
                raise SystemExit(f"bench: polder refused the collection {collection['id']}: {status} {body[:300]!r}")
        with ThreadPoolExecutor(self.connections) as pool:
            for path in sorted(items_folder.glob("*.ndjson")):
                list(pool.map(lambda batch, name=path.stem: self._post(name, batch), batches(path, self.batch)))

    def _post(self, collection, lines):
        body = b'{"type":"FeatureCollection","features":[' + b",".join(lines) + b"]}"
        headers = {**self.write_headers(), "Content-Type": "application/geo+json"}
        status, answer = self.request("POST", f"/stac/collections/{collection}/items", body, headers)
        if status not in (200, 201):
            raise SystemExit(f"bench: polder refused items of {collection}: {status} {answer[:500]!r}")

    def written(self):
        return self.cluster.lines("select collection || '/items/' || id from items where id like 'bench-%'")

    def remove_written(self):
        """Through its own door, which also takes them out of the collection's counts."""
        gone = [client.raw("DELETE", f"/stac/collections/{path}", None, self.write_headers(), self.port) for path in self.written()]
        answers = client.drive(self.port, gone, 4) if gone else None
        if answers and answers.failed():
            raise SystemExit(f"bench: polder would not delete what the workload wrote: {answers.statuses}")


class Pgstac(Server):
    name, prefix = "stac-fastapi-pgstac", ""

    def prepare(self):
        self._pypgstac("migrate")

    def _pypgstac(self, *arguments):
        done = subprocess.run([str(peers_python().parent / "pypgstac"), *map(str, arguments)], capture_output=True, text=True,
                              env={**os.environ, **self.cluster.environment, "PGPASSWORD": "-"})
        if done.returncode:
            raise SystemExit(f"bench: pypgstac {arguments[0]} failed: {(done.stdout + done.stderr)[-2000:]}")

    def command(self):
        return [peers_python().parent / "uvicorn", "stac_fastapi.pgstac.app:create_app", "--factory", "--host", "127.0.0.1",
                "--port", self.port, "--workers", self.options.peer_workers, "--log-level", "warning", "--no-access-log",
                # by default a worker that is busy for five seconds (16 pages of 801 items) is killed
                "--timeout-worker-healthcheck", 120]

    def environment(self):
        return {**self.cluster.environment, "PGPASSWORD": "-", "ENABLE_TRANSACTIONS_EXTENSIONS": "TRUE"}

    def version(self):
        return "stac-fastapi-pgstac 7.2.0, pgstac " + self.cluster.sql("select pgstac.get_version()")

    def load(self, items_folder):
        """With its own loader, and the queryables declared with an index as its manual says."""
        collections = self.folder / "collections.ndjson"
        lines = map(json.dumps, json.loads((items_folder / "collections.json").read_text()))
        collections.write_text("\n".join(lines) + "\n")
        self._pypgstac("load", "collections", collections, "--method", "upsert")
        for path in sorted(items_folder.glob("*.ndjson")):
            self._pypgstac("load", "items", path, "--method", "insert")
            say(f"{self.name}: {path.stem} is in")
        queryables = self.folder / "queryables.json"
        queryables.write_text(json.dumps({"type": "object", "properties": QUERYABLES}))
        # a list: its command line takes names with a colon no other way
        self._pypgstac("load_queryables", queryables, "--index_fields", json.dumps(list(QUERYABLES)))

    def written(self):
        return self.cluster.lines("select collection || '/items/' || id from pgstac.items where id like 'bench-%'")

    def remove_written(self):
        self.cluster.sql("delete from pgstac.items where id like 'bench-%'")


class Reader(Server):
    """A server over the very database that another one fills. It is asked to read only."""

    can_write, shares = False, True

    def __init__(self, pgstac, options):
        super().__init__(pgstac.folder, options)
        self.cluster = pgstac.cluster

    def prepare(self):
        pass

    def fill(self, items_folder, count):
        return None


class HydratingPgstac(Reader, Pgstac):
    """The peer with the setting that makes it fastest: items are put together by the API and not by the database."""

    name = "stac-fastapi-pgstac-hydrate"

    def environment(self):
        return {**super().environment(), "USE_API_HYDRATE": "TRUE"}

    def version(self):
        return "the same with USE_API_HYDRATE=TRUE, over the same database"


class Rustac(Reader):
    """`rustac serve`. It only reads, and searches by POST alone: a GET search with a parameter in it answers 500."""

    name, prefix = "rustac", ""

    def command(self):
        # without the search path each search is "db error": pgstac's functions name their tables without a schema
        url = self.cluster.url.replace("postgres://polder@", "postgresql://polder:-@")
        return [peers_python().parent / "rustac", "serve", "--addr", f"127.0.0.1:{self.port}", "--pgstac",
                url + "?options=-c%20search_path%3Dpgstac%2Cpublic"]

    def version(self):
        done = subprocess.run([str(peers_python().parent / "rustac"), "--version"], capture_output=True, text=True)
        return re.sub(r"\s+", " ", done.stdout.strip()) + ", over the same database"


def batches(path, size):
    """Yields the lines of a file, so many at a time."""
    held = []
    with open(path, "rb") as file:
        for line in file:
            held.append(line.rstrip(b"\n"))
            if len(held) == size:
                yield held
                held = []
    if held:
        yield held


def ensure_items(folder, count, seed=1):
    """Makes the items unless they are there already."""
    folder = Path(folder)
    mark = folder / "made.json"
    wanted = {"items": count, "seed": seed, "by": hashlib.sha256((HERE / "generate.py").read_bytes()).hexdigest()}
    if not mark.exists() or json.loads(mark.read_text()) != wanted:
        say(f"making {count} items")
        generate.write(folder, count, seed)
        mark.write_text(json.dumps(wanted))
    return folder

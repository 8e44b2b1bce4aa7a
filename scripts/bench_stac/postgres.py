"""A PostGIS server of its own in a folder that can be kept: durable, and with the defaults of PostgreSQL otherwise.

Each STAC server gets one, so that neither warms the other's cache. Unlike the server of the tests (tests/with-postgres.sh)
this one syncs to disk: what is measured is what a user would dare to run. It listens on 127.0.0.1 for all, because that
is how peers are set up.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

# said once, used for every server alike, and printed in the report
SETTINGS = {"shared_buffers": "128MB", "max_connections": "100", "fsync": "on", "synchronous_commit": "on",
            "full_page_writes": "on", "max_wal_size": "2GB"}


def free_port():
    """Returns a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_bin():
    """Returns the folder of the newest PostgreSQL: Debian keeps it out of PATH."""
    def version(path):
        return [int(part) for part in path.parent.name.split(".") if part.isdigit()]
    found = sorted((p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists()), key=version)
    if found:
        return found[-1]
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    raise SystemExit("bench: PostgreSQL is missing (initdb): run `make setup`")


class Cluster:
    """One PostgreSQL server and one database in it, both called by the name given."""

    def __init__(self, folder, name, settings=None):
        self.bin, self.folder, self.name = find_bin(), Path(folder), name
        self.data, self.log = self.folder / "data", self.folder / "postgres.log"
        self.port = None
        self.settings = {**SETTINGS, **(settings or {})}

    # PostgreSQL refuses root; Debian's packages make the user postgres.
    def _command(self, program, *arguments):
        user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.getuid() == 0 else []
        return [*user, str(self.bin / program), *map(str, arguments)]

    def _run(self, program, *arguments):
        done = subprocess.run(self._command(program, *arguments), cwd="/", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise SystemExit(f"bench: {program} failed: {done.stdout[-2000:]}")

    def start(self, port=None):
        """Starts the server, on the port given or a free one; makes the cluster on first use."""
        self.port = port or free_port()
        if not (self.data / "PG_VERSION").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            if os.getuid() == 0:
                shutil.chown(self.folder, "postgres", "postgres")
            self._run("initdb", "-D", self.data, "-U", "polder", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        self.stop()  # one that a killed run left behind on this very folder
        options = " ".join(f"-c {name}={value}" for name, value in self.settings.items())
        # the log goes to a file and not to a pipe, which the server would keep open for ever
        self._run("pg_ctl", "-D", self.data, "-w", "-t", 120, "-l", self.log, "start", "-o",
                  f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories= {options}")
        if self.name not in self.lines("select datname from pg_database", "postgres"):
            self.sql(f'create database "{self.name}"', "postgres")
            self.sql("create extension if not exists postgis")
        return self

    def stop(self, mode="fast"):
        """Stops the server if it runs."""
        if (self.data / "postmaster.pid").exists():
            subprocess.run(self._command("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", 120, "stop"), cwd="/",
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def restart(self):
        """Stops the server fast and starts it on the same port."""
        self.stop()
        self.start(self.port)

    def pid(self):
        """Returns the process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    @property
    def url(self):
        return f"postgres://polder@127.0.0.1:{self.port}/{self.name}"

    @property
    def environment(self):
        """The variables that PostgreSQL's own tools read."""
        return {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "polder", "PGDATABASE": self.name}

    def sql(self, text, database=None):
        """Runs SQL and returns what psql printed, unaligned."""
        done = subprocess.run([str(self.bin / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", "-"], input=text, text=True,
                              capture_output=True, env={**os.environ, **self.environment, "PGDATABASE": database or self.name})
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def lines(self, text, database=None):
        return self.sql(text, database).splitlines()

    def settle(self):
        """Brings statistics and visibility up to date, so that nothing runs in the background while we measure."""
        self.sql("vacuum analyze")
        self.sql("checkpoint")
        time.sleep(0.5)

    def size_mb(self):
        return int(self.sql(f"select pg_database_size('{self.name}')")) / 1e6

    def version(self):
        return self.sql("select 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1) || ', PostGIS ' || "
                        "postgis_lib_version()")

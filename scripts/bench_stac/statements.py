"""What the database alone costs: polder's statements in pgbench, and the plans of the statements that it really sends.

`statements/NAME.sql` is a pgbench script with what the case NAME asks. Measured the way a request is, it says which part
of the request's price is PostgreSQL answering and which is everything else.
"""

import re
import resource
import subprocess
import time
from pathlib import Path

import cases
import generate
from measure import Meter

FOLDER = Path(__file__).resolve().parent / "statements"


def pgbench(server, name, count, seconds):
    """Runs a statement over one connection, prepared, and returns CPU milliseconds per transaction.

    Those of pgbench count too: somebody has to ask and to take the rows, and a request's price has its API's share.
    """
    meter, asked = Meter(server), children_seconds()
    done = subprocess.run(
        [str(server.cluster.bin / "pgbench"), "-n", "-M", "prepared", "-c", "1", "-T", str(max(1, int(seconds))),
         "-D", f"flights={max(5, count // generate.PHOTOS_PER_FLIGHT)}", "-f", str(FOLDER / f"{name}.sql")],
        env=server.cluster.environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"pgbench {name}: {done.stderr.strip()[-500:]}")
    transactions = int(re.search(r"actually processed: (\d+)", done.stdout).group(1))
    return {"transactions": transactions, "cpu_ms": (meter.used()[1] + children_seconds() - asked) * 1000 / transactions,
            "latency_ms": float(re.search(r"latency average = ([\d.]+)", done.stdout).group(1))}


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def all_alone(server, count, seconds, results):
    """Runs each statement and puts the price of the whole request beside it."""
    found = {}
    for path in sorted(FOLDER.glob("*.sql")):
        found[path.stem] = pgbench(server, path.stem, count, seconds)
        rows = results.figures.get(path.stem, {}).get(server.name, {}).get("1")
        if rows:
            found[path.stem]["request_cpu_ms"] = sorted(row["cpu_ms"] for row in rows)[len(rows) // 2]
    return found


def save_plans(server, count, folder, wanted):
    """Writes one file per case: the plans, with buffers, of the statements that the server sent for it.

    The plan is taken from the ninth request of a kind: after five PostgreSQL may change to a plan for any values.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = server.cluster.name
    settings = {"log_min_duration": "0", "log_analyze": "on", "log_buffers": "on", "log_timing": "on", "log_nested_statements": "on"}
    server.cluster.sql(f'alter database "{name}" set session_preload_libraries = auto_explain;' + "".join(
        f'alter database "{name}" set auto_explain.{key} = {value};' for key, value in settings.items()))
    server.stop()
    server.start()
    try:
        for case in wanted:
            asked = case.requests(cases.Sampler(server, count))
            size = 0
            for request in (asked * 9)[:9]:
                time.sleep(0.05)  # the log is written by another process than the one that answers
                size = server.cluster.log.stat().st_size
                server.request(*request)
            time.sleep(0.2)
            text = _tail(server.cluster.log, size)
            (folder / f"{case.name}.txt").write_text(f"{' '.join(map(str, request))}\n\n{text}")
    finally:
        server.cluster.sql(f'alter database "{name}" reset all')
        server.stop()
        server.start()


def _tail(path, offset):
    with open(path, "rb") as log:
        log.seek(offset)
        return log.read().decode(errors="replace")

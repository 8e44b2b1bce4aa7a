"""Runs the cases on the servers, in turns, and keeps every figure.

One round asks each server each question once before the next round begins, so that a machine that becomes slower hurts all
alike. Only one server is asked at a time; the others are idle beside it.
"""

import statistics

import cases
import client
import writes
from measure import Meter, load, peak_mb
from servers import say

CONNECTIONS = (1, 16)


class Results:
    """Figures by case, server and connections: one dictionary per round."""

    def __init__(self):
        self.figures, self.agreement, self.memory, self.failures, self.log_syncs = {}, {}, {}, {}, {}

    def add(self, case, server, connections, figures):
        self.figures.setdefault(case, {}).setdefault(server, {}).setdefault(str(connections), []).append(figures)

    def fail(self, case, server, why):
        say(f"{case}: {server}: {why}")
        self.failures.setdefault(case, {})[server] = why

    def json(self):
        return {"figures": self.figures, "agreement": self.agreement, "memory_mb": self.memory, "log_syncs_per_write": self.log_syncs,
                "failures": self.failures}


def compare(results, wanted, servers, count):
    """Lets all servers answer the same and notes where they differ. A server that cannot answer is left out of that case."""
    for case in wanted:
        able = []
        for server in servers:
            try:
                method, path, body = case.requests(cases.Sampler(server, count))[0]
                status, answer = server.request(method, path, body)
            except (OSError, KeyError, ValueError, IndexError) as error:
                results.fail(case.name, server.name, f"{type(error).__name__}: {error}")
                continue
            if status == 200:
                able.append(server)
            else:
                results.fail(case.name, server.name, f"status {status}: {answer[:200].decode(errors='replace')}")
        if not able:
            continue
        results.agreement[case.name] = cases.disagreements(case, count, able)
        for name, found in results.agreement[case.name].items():
            if found["different"]:
                say(f"{case.name}: {name} answers {found['different']} of {found['asked']} unlike {able[0].name}")


def figures_of(meter, answers, load_before):
    api, database = meter.used()
    per = 1000 / max(1, answers.count)
    return {
        "requests": answers.count, "seconds": answers.seconds, "statuses": answers.statuses,
        "cpu_ms": (api + database) * per, "api_cpu_ms": api * per, "database_cpu_ms": database * per,
        "client_cpu_ms": answers.client_cpu * per, "p50_ms": answers.percentile(0.5), "p95_ms": answers.percentile(0.95),
        "per_second": answers.count / answers.seconds if answers.seconds else 0,
        "bytes": answers.bytes / max(1, answers.count), "load_before": load_before,
    }


def read(results, case, server, count, seconds, connections=CONNECTIONS):
    """Measures one case on one server."""
    if server.name in results.failures.get(case.name, {}):
        return
    asked = [client.raw(*request, {}, server.port) for request in case.requests(cases.Sampler(server, count))]
    client.drive(server.port, asked, 1, min(0.5, seconds))
    for number in connections:
        busy, meter = load(), Meter(server)
        answers = client.drive(server.port, asked, number, seconds)
        results.add(case.name, server.name, number, figures_of(meter, answers, busy))
        if answers.failed():
            results.fail(case.name, server.name, f"failed answers at {number} connections: {answers.statuses}")
    latest = results.figures[case.name][server.name]
    said = ", ".join(f"{n} conn: {f[-1]['cpu_ms']:.2f} CPU ms, p50 {f[-1]['p50_ms']:.2f}, {f[-1]['per_second']:.0f}/s" for n, f in latest.items())
    say(f"{case.name}: {server.name}: {said}")


def write(results, server, round_, only):
    """Measures the writes on one server, checks that all are there, and takes them away."""
    wanted = [one for one in writes.WRITES if not only or one.name in only]
    server.remove_written()
    for one in wanted:
        before, deadlocks_before = len(server.written()), writes.deadlocks(server)
        busy, requests = load(), writes.requests_of(one, server, round_)
        meter = Meter(server)
        answers = client.drive(server.port, requests, one.connections)
        figures = figures_of(meter, answers, busy)
        figures.update(items=one.items, items_per_second=answers.count * one.items / answers.seconds,
                       cpu_ms_per_item=figures["cpu_ms"] / one.items, expected=one.requests * one.items,
                       there=len(server.written()) - before, deadlocks=writes.deadlocks(server) - deadlocks_before)
        if answers.failed() == answers.count:
            results.fail(one.name, server.name, f"no write was taken: {answers.statuses}")
            continue
        results.add(one.name, server.name, one.connections, figures)
        if figures["there"] != figures["expected"] or answers.failed() or figures["deadlocks"]:
            results.fail(one.name, server.name, f"{figures['there']} of {figures['expected']} there, {answers.statuses}, {figures['deadlocks']} deadlocks")
        say(f"{one.name}: {server.name}: {figures['cpu_ms_per_item']:.2f} CPU ms per item, "
            f"p50 {figures['p50_ms']:.2f}, {figures['items_per_second']:.0f} items/s")
    if any(one.name == "post" for one in wanted) and server.name not in results.failures.get("post", {}):
        busy, requests = load(), writes.deletes_of(server, round_)
        meter = Meter(server)
        answers = client.drive(server.port, requests)
        results.add("delete", server.name, 1, figures_of(meter, answers, busy))
        if answers.failed():
            results.fail("delete", server.name, f"{answers.statuses}")
        if round_ == 1:
            results.log_syncs[server.name] = writes.log_syncs(server)
    server.remove_written()
    server.cluster.settle()


def rounds(results, wanted, servers, count, options):
    """Runs all rounds."""
    write_names = {one.name for one in writes.WRITES}
    for round_ in range(1, options.rounds + 1):
        say(f"round {round_} of {options.rounds}")
        for case in wanted:
            for server in servers:
                read(results, case, server, count, options.seconds)
        for server in servers:
            results.memory[server.name] = max(peak_mb(server.process.pid), results.memory.get(server.name, 0))
            if server.can_write and (not options.only or write_names & set(options.only)):
                write(results, server, round_, options.only)
        for server in servers:
            results.memory[server.name] = max(peak_mb(server.process.pid), results.memory.get(server.name, 0))


def spread(rows, key):
    """Returns median, lowest and highest of a figure over the rounds."""
    values = [row[key] for row in rows]
    return statistics.median(values), min(values), max(values)

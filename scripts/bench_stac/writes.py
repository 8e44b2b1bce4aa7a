"""The writes: one item at a time, a collection of features at a time, and four writers on one collection.

They go into a collection that is full already, into the indexes at their full size. Each request is sent once. Afterwards
the rows are counted in the database, and PostgreSQL is asked for its deadlocks and for how often it synced its log: a
server that answers before the disk has it would show here.
"""

import json
import time
from dataclasses import dataclass

import client
import generate

COLLECTION = "dike-zeeland"
FIRST_FLIGHT = 1_000_001  # of this collection, and far from any that is loaded


@dataclass
class Write:
    name: str
    title: str
    connections: int
    requests: int
    items: int  # in each request


WRITES = [
    Write("post", "POST one item", 1, 200, 1),
    Write("post16", "POST one item, 16 connections", 16, 640, 1),
    Write("bulk", "POST a FeatureCollection of 100", 1, 30, 100),
    Write("writers", "4 writers, FeatureCollections of 50", 4, 80, 50),
    Write("bulk1000", "POST a FeatureCollection of 1,000", 1, 8, 1000),
    Write("writers1000", "4 writers, FeatureCollections of 1,000", 4, 16, 1000),
]


def fresh_items(write, round_):
    """Yields as many new items as a write needs: photos of flights that are not loaded, under ids of their own."""
    wanted, flight = write.requests * write.items, FIRST_FLIGHT
    assert generate.COLLECTIONS[flight % len(generate.COLLECTIONS)] == COLLECTION
    made = 0
    while made < wanted:
        for item in generate.items_of(flight):
            if made < wanted:
                item["id"] = f"bench-{write.name}-{round_}-{made}"
                item["properties"]["polder:flight"] = f"bench-{write.name}-{round_}"
                made += 1
                yield item
        flight += len(generate.COLLECTIONS)


def requests_of(write, server, round_):
    """Returns the requests of a write as bytes."""
    items = [json.dumps(item) for item in fresh_items(write, round_)]
    path = f"{server.prefix}/collections/{COLLECTION}/items"
    headers = {**server.write_headers(), "Content-Type": "application/json" if server.name != "polder" else "application/geo+json"}
    bodies = items if write.items == 1 else [
        '{"type":"FeatureCollection","features":[' + ",".join(items[start:start + write.items]) + "]}"
        for start in range(0, len(items), write.items)]
    return [client.raw("POST", path, body, headers, server.port) for body in bodies]


def deadlocks(server):
    """Returns the deadlocks so far."""
    return int(server.cluster.sql("select deadlocks from pg_stat_database where datname = current_database()"))


def log_syncs(server, count=100):
    """Returns how often PostgreSQL synced its log for each of so many single writes.

    Its sessions tell what they did when they end, and before that only now and then: so the API is stopped.
    """
    def so_far():
        server.stop()
        time.sleep(0.3)
        return int(server.cluster.sql("select wal_sync from pg_stat_wal"))
    before = so_far()
    server.start()
    one = Write("synced", "", 1, count, 1)
    answers = client.drive(server.port, requests_of(one, server, 0))
    after = so_far()
    server.start()
    return (after - before) / max(1, answers.count - answers.failed())


def deletes_of(server, round_, count=200):
    """Returns requests that delete what the first write wrote."""
    headers = server.write_headers()
    return [client.raw("DELETE", f"{server.prefix}/collections/{COLLECTION}/items/bench-post-{round_}-{n}", None, headers, server.port)
            for n in range(count)]

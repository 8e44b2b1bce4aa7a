"""Writes the figures as Markdown between two marker comments of a document, and as JSON beside it."""

from run import spread
import cases
import writes

SIDE_BY_SIDE, GROWTH = "bench-stac", "bench-stac-growth"  # the sections' names in docs/benchmarks.md
TITLES = {case.name: case.title for case in cases.READS} | {one.name: one.title for one in writes.WRITES} | {"delete": "DELETE one item"}


def number(value):
    """Writes a number with three figures that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def figure(rows, key):
    middle, low, high = spread(rows, key)
    return number(middle) if len(rows) < 2 else f"{number(middle)} ({number(low)}–{number(high)})"


def cpu_table(results, names):
    """CPU per request at one connection, the peers' as multiples of the first server's."""
    yield "| case | answer | " + " | ".join(f"{name}, CPU ms" for name in names) + " | " + " | ".join(f"{name} ÷ {names[0]}" for name in names[1:]) + " | same answers |"
    yield "| --- | ---: |" + " ---: |" * (2 * len(names) - 1) + " --- |"
    for case, by_server in results.figures.items():
        # the lowest number of connections that was measured: 1, or a write's own
        rows = {name: by_server[name][min(by_server[name], key=int)] for name in names if name in by_server}
        first = rows.get(names[0])
        cells = [figure(rows[name], "cpu_ms") if name in rows else "–" for name in names]
        ratios = [f"{spread(rows[name], 'cpu_ms')[0] / spread(first, 'cpu_ms')[0]:.1f}" if name in rows and first and spread(first, "cpu_ms")[0] else "–"
                  for name in names[1:]]
        size = spread(next(iter(rows.values())), "bytes")[0] / 1000
        yield f"| {TITLES[case]} | {number(size)} kB | {' | '.join(cells + ratios)} | {agreed(results, case)} |"


def agreed(results, case):
    found = results.agreement.get(case)
    if found and len(found) < 2:
        return "–"
    if found:
        different = {name: one["different"] for name, one in found.items() if one["different"]}
        return ", ".join(f"{name} differs in {count}" for name, count in different.items()) or f"yes, {next(iter(found.values()))['asked']} compared"
    rows = [row for by_connections in results.figures[case].values() for rows in by_connections.values() for row in rows]
    if not all("there" in row for row in rows):
        return "–"
    return "all there" if all(row["there"] == row["expected"] for row in rows) else "**some missing**"


def wall_table(results, names):
    yield "| case | server | p50 ms | p95 ms | requests/s | p50 ms, 16 conn. | p95 ms, 16 conn. | requests/s, 16 conn. |"
    yield "| --- | --- |" + " ---: |" * 6
    for case, by_server in results.figures.items():
        for name in names:
            alone, many = by_server.get(name, {}).get("1"), by_server.get(name, {}).get("16")
            if alone or many:
                cells = [figure(rows, key) if rows else "–" for rows in (alone, many) for key in ("p50_ms", "p95_ms", "per_second")]
                yield f"| {TITLES[case]} | {name} | {' | '.join(cells)} |"


def write_table(results, names):
    yield "| writes | server | items/s | CPU ms per item | p50 ms of a request | there |"
    yield "| --- | --- |" + " ---: |" * 4
    for one in writes.WRITES:
        for name in names:
            for rows in results.figures.get(one.name, {}).get(name, {}).values():
                there = "all" if all(row["there"] == row["expected"] for row in rows) else "**some missing**"
                yield (f"| {one.title} | {name} | {figure(rows, 'items_per_second')} | {figure(rows, 'cpu_ms_per_item')} | "
                       f"{figure(rows, 'p50_ms')} | {there} |")


def statement_table(statements):
    yield "| statement alone (prepared, by pgbench, whose own CPU counts) | CPU ms | CPU ms of the whole request |"
    yield "| --- | ---: | ---: |"
    for name, found in statements.items():
        alone, whole = found["cpu_ms"], found.get("request_cpu_ms")
        share = f"{number(whole)}, of which {alone / whole:.0%}" if whole else "–"
        yield f"| {TITLES.get(name, name)} | {number(alone)} | {share} |"


def growth_table(growth):
    sizes = list(growth)
    names = [name for name in TITLES if any(name in growth[size]["figures"] for size in sizes)]
    yield "| CPU ms of polder's request | " + " | ".join(f"{int(size):,} items" for size in sizes) + " | growth |"
    yield "| --- |" + " ---: |" * (len(sizes) + 1)
    for name in names:
        rows = [growth[size]["figures"].get(name, {}).get("polder", {}).get("1") for size in sizes]
        middles = [spread(one, "cpu_ms")[0] if one else None for one in rows]
        factor = f"{middles[-1] / middles[0]:.1f}×" if middles[0] and middles[-1] else "–"
        yield f"| {TITLES[name]} | {' | '.join(figure(one, 'cpu_ms') if one else '–' for one in rows)} | {factor} |"


def document(results, about, names, statements=None, growth=None):
    """Yields the lines of the section."""
    yield f"`{about['command']}`, {about['date']}; {about['machine']}, load {about['load']} at the start."
    yield f"{about['items']:,} items of {about['item_bytes']:,} bytes; {about['rounds']} rounds of {about['seconds']:g} s a case, in turns: median (lowest–highest)."
    yield ""
    for name in names:
        loaded = about["loaded_seconds"].get(name)
        yield f"- **{name}**: {about['versions'][name]}; peak memory of its processes {results.memory.get(name, 0):,.0f} MB" + (
            f"; database {about['database_mb'][name]:,.0f} MB" if name in about["database_mb"] else "") + (
            f", loaded in {loaded:.0f} s" if loaded else "") + "."
    yield f"- polder and pgstac have a PostgreSQL server each: {about['postgres']}, {about['postgres_settings']}."
    yield ""
    yield from cpu_table(results, names)
    yield ""
    yield from wall_table(results, names)
    if any(one.name in results.figures for one in writes.WRITES):
        yield ""
        yield from write_table(results, names)
        if results.log_syncs:
            said = ", ".join(f"{name} {count:.2f}" for name, count in results.log_syncs.items())
            yield ""
            yield f"PostgreSQL synced its log this often for each single POST: {said}."
    if statements:
        yield ""
        yield from statement_table(statements)
    if growth:
        yield ""
        yield from growth_table(growth)
    if results.failures:
        yield ""
        yield "Not measured, or not right:"
        yield ""
        for case, by_server in results.failures.items():
            for name, why in by_server.items():
                yield f"- {TITLES[case]}, {name}: {' '.join(why.split())[:160]}"


def put(path, section, lines):
    """Replaces what stands between the markers of a section; tells whether they were there."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    text = path.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        return False
    head, rest = text.split(begin, 1)
    tail = rest.split(end, 1)[1]
    path.write_text(head + begin + "\n" + "\n".join(lines) + "\n" + end + tail, encoding="utf-8")
    return True

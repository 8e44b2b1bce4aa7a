"""The tables as Markdown."""

import math
import statistics

from cases import FIGURES, cell


def accuracy(rows):
    """Yields a line for each case and seed. A row is the case, the seed, and a score or what went wrong."""
    if not rows:
        return
    yield "| case | seed | " + " | ".join(figure.heading for figure in FIGURES.values()) + " |"
    yield "| --- | ---: |" + " ---: |" * len(FIGURES)
    for case, seed, score in rows:
        if isinstance(score, str):
            cells = [f"**{score} ✗**"] + [""] * (len(FIGURES) - 1)
        else:
            cells = [cell(case, name, score) for name in FIGURES]
        yield f"| {case.name} | {seed} | {' | '.join(cells)} |"


def limited(values, form, limit):
    """Returns the median with its spread, and the limit beside it."""
    values = [value for value in values if value is not None]
    if not values:
        return "–"
    middle = statistics.median(values)
    text = form.format(middle)
    spread = f" ({form.format(min(values))}–{form.format(max(values))})" if len(values) > 1 else ""
    if limit is None:
        return text + spread
    return f"{text}{spread} (≤ {limit})" if middle <= limit else f"**{text}**{spread} (≤ {limit}) ✗"


def costs(rows):
    """Yields a line for each flight and program. A row is the flight, the program, its limits, and the figures of each round."""
    if not rows:
        return
    yield "| flight | program | used | reprojection px | wall s | CPU s | peak MB |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for flight, program, limits, rounds in rows:
        cells = [rounds[0]["used"]]
        for key, form in (("px", "{:.3f}"), ("wall", "{:.1f}"), ("cpu", "{:.1f}"), ("mb", "{:.0f}")):
            cells.append(limited([one.get(key) for one in rounds], form, limits.get(key)))
        yield f"| {flight} | {program} | {' | '.join(cells)} |"


def linear(rows):
    """Yields a line for each size of flight, and how cost and memory grow. A row is the number of photos and the figures."""
    if not rows:
        return
    yield "| photos | used | wall s | CPU s | CPU s a photo | peak MB |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    for photos, made in rows:
        yield f"| {photos} | {made['used']} | {made['wall']:.1f} | {made['cpu']:.1f} | {made['cpu'] / photos:.3f} | {made['mb']:.0f} |"
    if len(rows) < 2:
        return
    each = [made["cpu"] / photos for photos, made in rows]
    change = each[-1] / each[0] - 1
    slope = exponent([(photos, made["cpu"]) for photos, made in rows])
    told = f"{change:+.0%} from {rows[0][0]} to {rows[-1][0]} photos (within ±15 %)"
    yield ""
    yield (f"CPU seconds a photo change by {told if abs(change) <= 0.15 else f'**{told}** ✗'}; CPU seconds grow as the photos to the power of {slope:.2f}; "
           f"peak memory by a factor of {rows[-1][1]['mb'] / rows[0][1]['mb']:.2f}.")


def exponent(points):
    """Returns the slope of a straight line through the points' logarithms, by least squares."""
    logs = [(math.log(x), math.log(y)) for x, y in points]
    mean = [statistics.fmean(axis) for axis in zip(*logs)]
    return sum((x - mean[0]) * (y - mean[1]) for x, y in logs) / sum((x - mean[0]) ** 2 for x, _ in logs)

"""The rows of the accuracy table, and what each must reach."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """A way to fly and to stitch, and the limits of its figures (names of FIGURES)."""

    name: str
    profile: str = "standard"
    gps: str = "standard"
    control_points: bool = False
    limits: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """A column: its heading, how it is read from a score (nothing when it is not there), how it is written, and which way is better."""

    heading: str
    read: object
    form: str = "{:.2f}"
    at_least: bool = False


# Whatever is flown: no photo is left out, no seam shows, nothing that was seen is missing.
ALWAYS = {"unused": 0, "seams": 0.015, "radiometry": 0.03, "coverage": 99.5, "holes": 0}
HARD = {"ground": 0.5}

CASES = {case.name: case for case in (
    Case("standard", limits={"ground": 0.09, "dike": 0.6, "roofs": 0.8, "scale": "gps", "rotation": "gps"}),
    Case("rtk", gps="rtk", limits={"absolute": 0.7}),
    Case("gcp", control_points=True, limits={"absolute": 0.7}),
    Case("rough", profile="rough", limits=HARD),
    Case("rolling-shutter", profile="rolling-shutter", limits=HARD),
    Case("pond", profile="pond", limits=HARD),
    Case("thin", profile="thin", limits=HARD),
)}


def of_kind(kind, figure):
    return lambda score: score["kinds"].get(kind, {}).get(figure)


def part(name, figure, factor=1):
    return lambda score: factor * score[name][figure] if score.get(name) else None


FIGURES = {
    "unused": Figure("photos not used", lambda score: score["unused"], "{:d}"),
    "ground": Figure("ground after affine, GSD", of_kind("ground", "affine_rmse_gsd")),
    "dike": Figure("dike after affine, GSD", of_kind("dike", "affine_rmse_gsd")),
    "roofs": Figure("roofs, median, GSD", of_kind("roof", "affine_median_gsd")),
    "absolute": Figure("ground as it lies, GSD", of_kind("ground", "absolute_rmse_gsd")),
    "scale": Figure("scale ppm", lambda score: score["scale_ppm"], "{:+.0f}"),
    "rotation": Figure("rotation mrad", lambda score: score["rotation_mrad"], "{:+.1f}"),
    "seams": Figure("seams p99.9, 1/m", part("radiometry", "seam_gradient_p999"), "{:.4f}"),
    "radiometry": Figure("brightness, log rms", part("radiometry", "log_rms"), "{:.3f}"),
    "coverage": Figure("coverage, %", part("footprint", "coverage", 100), "{:.2f}", at_least=True),
    "holes": Figure("holes", part("footprint", "holes"), "{:d}"),
    "everywhere": Figure("all places after affine, GSD", lambda score: score["affine_rmse_gsd"]),
    "sharpness": Figure("sharpness", lambda score: score["sharpness"]),
}


def cell(case, name, score):
    """Returns a figure as the table shows it: its limit beside it, and bold with a cross where it is missed."""
    figure = FIGURES[name]
    value = figure.read(score)
    limit = {**ALWAYS, **case.limits}.get(name)
    if value is None:
        return "–" if limit is None else "**not measured ✗**"
    text = figure.form.format(value)
    if limit == "gps":
        carried = score["gps"] and score["gps"][{"scale": "scale_ppm", "rotation": "rotation_mrad"}[name]]
        if carried is None:
            return text
        missed = abs(value) > abs(carried)
        told = f"GPS {figure.form.format(carried)}"
    elif limit is None:
        return text
    else:
        missed = value < limit if figure.at_least else value > limit
        told = f"{'≥' if figure.at_least else '≤'} {limit}"
        carried = score["gps"] and score["gps"].get("ground_rmse_gsd") if name == "absolute" and not case.control_points else None
        if carried is not None:
            told += f", GPS {figure.form.format(carried)}"
    return f"**{text}** ({told}) ✗" if missed else f"{text} ({told})"

#!/usr/bin/env python3
"""Draws the dashboard without Grafana: asks a Prometheus for every panel of outrider.json and paints the answers.

    python3 preview.py --prometheus http://127.0.0.1:9090 --out preview.png [--minutes 15]

Ends with 1 if a query is refused, or is empty though its metrics are not among those that only some sidecars have.
Needs matplotlib (python3-matplotlib in Debian).
"""
import argparse
import json
import math
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.ticker import EngFormatter  # noqa: E402

HERE = pathlib.Path(__file__).parent
GRID = 24
# Grafana's names of units, as a reader says them.
UNITS = {"short": "", "reqps": "a second", "ops": "a second", "percentunit": "%", "s": "seconds", "d": "days"}
# Families that a sidecar has only where it is set up so: remote keys, TLS, rules in trial, exchanges and what happens there.
SOMETIMES = (
    "outrider_jwks_",
    "outrider_tls_",
    "outrider_shadow_denials_total",
    "outrider_exchange_",
    "outrider_pin_",
    "outrider_upstream_cert_",
    'route=~"outbound/',
)


def ask(base, expression, start, end, step):
    """The series of a range query: pairs of labels and points."""
    query = urllib.parse.urlencode({"query": expression, "start": start, "end": end, "step": step})
    with urllib.request.urlopen(f"{base}/api/v1/query_range?{query}", timeout=10) as answer:
        result = json.load(answer)["data"]["result"]
    return [(one["metric"], one["values"]) for one in result]


def fill_in(expression, job, rate):
    """What Grafana does with its variables."""
    for name, value in {"$__rate_interval": rate, "$job": job, "$instance": ".*"}.items():
        expression = expression.replace(name, value)
    return expression


def legend(template, labels):
    """The name of a series; a label that is absent reads as nothing."""
    return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), template).strip() or "(none)"


def paint(axes, panel, series, end):
    """One panel: lines, or the last value in large type."""
    defaults = panel["fieldConfig"]["defaults"]
    unit = UNITS.get(defaults["unit"], defaults["unit"])
    axes.set_title(panel["title"], loc="left", fontsize=10)
    if panel["type"] == "stat":
        axes.axis("off")
        last = float(series[0][1][-1][1]) if series else float("nan")
        # A quantile of nothing is no number.
        text = "no data" if math.isnan(last) else say(unit, last)
        axes.text(0, 0.45, text, ha="left", va="center", fontsize=18, color=colour(defaults, last))
        return
    axes.set_title(unit, loc="right", fontsize=8, color="grey")
    for name, points in series:
        times = [float(at) - end for at, _ in points]
        scale = 100 if unit == "%" else 1
        axes.plot(times, [float(value) * scale for _, value in points], label=name, linewidth=1.3)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    if "min" in defaults:
        bottom, (_, top) = defaults["min"], axes.get_ylim()
        # A line along the bottom is seen, and a flat one does not fill the panel.
        axes.set_ylim(bottom - (top - bottom) * 0.03, max(top * 1.15, bottom + 1e-3))
    if series:
        # Below, as in Grafana: it hides no line.
        columns = 2 if max(len(name) for name, _ in series) > 18 else 4
        place = {"loc": "upper left", "bbox_to_anchor": (-0.02, -0.2), "borderaxespad": 0}
        axes.legend(fontsize=7, frameon=False, ncols=columns, columnspacing=1, handlelength=1, **place)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "no data", ha="center", transform=axes.transAxes)


def say(unit, value):
    """A value in large type: 80.4%, 1.6m seconds, 1k."""
    if unit == "%":
        return f"{value:.1%}"
    text = EngFormatter(places=1, sep="")(value)
    return f"{text.replace('.0', '')} {unit}"


def colour(defaults, value):
    """The colour of a value by the panel's thresholds."""
    found = "black"
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            found = step["color"]
    return found


def head(figure, grid, row):
    """The title of a row of panels, over the whole width."""
    place = row["gridPos"]["y"]
    axes = figure.add_subplot(grid[place : place + 1, :])
    axes.axis("off")
    axes.axhline(0, color="lightgrey", linewidth=1)
    axes.text(0, 0.3, row["title"], fontsize=13, weight="bold", transform=axes.transAxes)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--prometheus", default="http://127.0.0.1:9090")
    arguments.add_argument("--out", default="preview.png")
    arguments.add_argument("--minutes", type=float, default=15)
    arguments.add_argument("--job", default="outrider")
    arguments.add_argument("--rate", default="1m", help="what $__rate_interval stands for")
    given = arguments.parse_args()
    end = time.time()
    start = end - given.minutes * 60
    step = max(1, int(given.minutes * 60 / 200))
    dashboard = json.loads((HERE / "outrider.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    figure = plt.figure(figsize=(18, height * 0.42))
    grid = figure.add_gridspec(height, GRID, hspace=2.5, wspace=2.5)
    for row in (panel for panel in dashboard["panels"] if panel["type"] == "row"):
        head(figure, grid, row)
    faults = 0
    for panel in panels:
        drawn = []
        for target in panel["targets"]:
            expression = fill_in(target["expr"], given.job, given.rate)
            series = ask(given.prometheus, expression, start, end, step)
            drawn += [(legend(target["legendFormat"], labels), points) for labels, points in series]
            if series:
                continue
            excused = any(family in expression for family in SOMETIMES)
            print(f"{'empty' if excused else 'EMPTY'}: {panel['title']}: {expression}")
            faults += not excused
        place = panel["gridPos"]
        # Less than Grafana gives it: room for its title and its legend.
        rows = slice(place["y"] + 1, place["y"] + place["h"] - (0 if panel["type"] == "stat" else 2))
        axes = figure.add_subplot(grid[rows, place["x"] : place["x"] + place["w"]])
        paint(axes, panel, drawn, end)
    figure.savefig(given.out, dpi=60, bbox_inches="tight", pil_kwargs={"optimize": True})
    print(f"{len(panels)} panels, {faults} queries without data they should have; see {given.out}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: LGPL-2.1-or-later
"""The picture of bench/compare: a line a workload, a dot an allocator.

To the right, on a logarithmic axis, is how much longer a workload takes, or how much
more memory it has at its peak, than with the best peer of that line, who is at 1:
where our dot is left of 1, in the tinted part, none is better.  Dots are medians over
medians; the tables' medians of paired ratios are for those who want it exactly."""

import math
import shutil
import statistics
import subprocess

from paired import BASE, Failed
import compare_tables
from compare_tables import LIMIT

PANELS = ("time", "peak memory")
ROW_PIXELS, HEAD_PIXELS, WIDTH_PIXELS = 26, 130, 1500
# Dots beyond are drawn at the border: one that is a hundred times as slow would push
# all others together.
FAR = 8.0
NEAR = 0.25
# By place, so that an added peer has one, too: gnuplot's point type and colour.
PEERS = [(5, "#888888"), (9, "#1f77b4"), (11, "#2ca02c"), (13, "#9467bd"), (15, "#8c564b"),
         (4, "#e377c2"), (8, "#17becf"), (10, "#bcbd22")]
OURS, YARDSTICK = (7, "#d62728"), (6, "#000000")


def check():
    """Fails early, before anything is measured for a picture that cannot be drawn."""
    if shutil.which("gnuplot") is None:
        raise Failed("--plot: gnuplot is missing (Debian: gnuplot-nox)")


def dots(runs, names, counts, measure):
    """{allocator: [(row, ratio)]} and the rows' labels, the first row at the top."""
    rows = []
    for count in counts:
        for workload, row in compare_tables.results(runs, names, count)[measure].items():
            label = f"{workload} ({count})" if len(counts) > 1 else workload
            rows.append((label, row))
    found = {name: [] for name in names}
    for place, (_, row) in enumerate(rows):
        peer = compare_tables.best_peer(row)
        for name, values in row.items() if peer is not None else []:
            over = statistics.median(values) / statistics.median(row[peer])
            found[name].append((len(rows) - place, min(max(over, NEAR), FAR)))
    return found, [label for label, _ in rows]


def style(names, name):
    """Ours is large and red, the yardstick a ring, so that both are found at once."""
    if name == BASE:
        point, colour, size = *OURS, 2.2
    elif name == LIMIT:
        point, colour, size = *YARDSTICK, 1.5
    else:
        peers = [n for n in names if n not in (BASE, LIMIT)]
        point, colour = PEERS[peers.index(name) % len(PEERS)]
        size = 1.3
    return f'points pt {point} ps {size} lw 1.5 lc rgb "{colour}"'


def panel(measure, place, found, labels, names):
    """gnuplot's commands for one of the panels; ours is drawn last, over the others."""
    lowest = min((over for points in found.values() for _, over in points), default=1)
    highest = max((over for points in found.values() for _, over in points), default=1)
    lines = []
    order = [n for n in names if n != BASE and found[n]] + [n for n in names
                                                            if n == BASE and found[n]]
    for number, name in enumerate(order):
        lines.append(f"$dots{place}_{number} << EOD")
        lines += [f"{over:.4f} {row}" for row, over in found[name]]
        lines.append("EOD")
    tics = ", ".join(f'"{label}" {len(labels) - i}' for i, label in enumerate(labels))
    ticks = [t for t in (0.25, 0.33, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 3, 4, 6, 8)
             if lowest * 0.9 <= t <= highest * 1.1 or t == 1]
    wide = math.log(max(highest, 1.1) / min(lowest, 0.9)) > math.log(4)
    ticks = [t for t in ticks if not wide or t not in (0.7, 0.8, 0.9, 1.1, 1.25)]
    lines += [
        f'set title "{measure}, best peer of each line = 1"',
        f"set xrange [{min(lowest, 0.9) * 0.95:.4f}:{max(highest, 1.1) * 1.05:.4f}]",
        "set xtics (" + ", ".join(f'"{t:g}" {t}' for t in ticks) + ")",
        f"set yrange [0.5:{len(labels) + 0.5}]",
        f"set ytics ({tics}) noenhanced",
        "set object 1 rect from graph 0, graph 0 to first 1, graph 1 behind "
        'fillcolor rgb "#e8f5e8" fillstyle solid noborder',
        "plot " + ", ".join(f'$dots{place}_{number} using 1:2 with {style(names, name)} '
                            f'title "{name}" noenhanced' for number, name in enumerate(order)),
    ]
    return lines


def draw(path, runs, names, counts):
    drawn = [dots(runs, names, counts, measure) for measure in PANELS]
    height = HEAD_PIXELS + ROW_PIXELS * len(drawn[0][1])
    script = [
        f'set terminal pngcairo size {WIDTH_PIXELS},{height} font "sans,11" noenhanced',
        "set output '" + path.replace("'", "''") + "'",
        "set logscale x",
        "set grid xtics ytics linetype 1 linecolor rgb '#dddddd'",
        "set key outside bottom center horizontal",
        f"set multiplot layout 1,{len(PANELS)}",
    ]
    for place, (measure, (found, labels)) in enumerate(zip(PANELS, drawn)):
        script += panel(measure, place, found, labels, names)
    ran = subprocess.run(["gnuplot"], input="\n".join(script + ["unset multiplot", ""]),
                         capture_output=True, text=True)
    if ran.returncode != 0:
        raise Failed(f"--plot: gnuplot: {ran.stderr.strip()}")

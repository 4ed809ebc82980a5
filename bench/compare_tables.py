# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bench/compare makes of its runs: medians and ratios a workload, the summary
over workloads, and both as tables."""

import statistics

import paired
from paired import BASE
from compare_runs import SETTLED, TIMED

LIMIT = "limit"
# What is compared: the run's column, the kind of run that counts, and its unit.
MEASURES = {
    "time": ("seconds", TIMED),
    "peak memory": ("peak_kib", TIMED),
    "settled memory": ("settled_kib", SETTLED),
    "page faults": ("faults", TIMED),
}
KIB = 1024


# ---- Results ------------------------------------------------------------------

def results(runs, names, count):
    """{measure: {workload: {allocator: [value a round]}}} of runs with `count`
    threads; an allocator under which the workload failed is left out of its row."""
    runs = [run for run in runs if run["threads"] == count]
    failed = {(r["workload"], r["allocator"]) for r in runs if r["status"] != "ok"}
    made = {}
    for measure, (column, kind) in MEASURES.items():
        rows = made[measure] = {}
        for run in sorted(runs, key=lambda r: r["round"]):
            if run["kind"] == kind:
                row = rows.setdefault(run["workload"], {})
                if (run["workload"], run["allocator"]) not in failed:
                    row.setdefault(run["allocator"], []).append(run[column])
        for workload, row in rows.items():
            rows[workload] = {name: row[name] for name in names if name in row}
    return {measure: rows for measure, rows in made.items() if rows}


def operations_a_second(runs, count):
    """{workload: {allocator: median}} of runs with `count` threads that went well."""
    rows = {}
    for run in runs:
        if run["kind"] == TIMED and run["threads"] == count and run["status"] == "ok":
            row = rows.setdefault(run["workload"], {})
            row.setdefault(run["allocator"], []).append(run["operations"] / run["seconds"])
    return {workload: {name: statistics.median(v) for name, v in row.items()}
            for workload, row in rows.items()}


def best_peer(row):
    """Who of a row has the lowest median, ours and the yardstick apart; or None."""
    peers = [name for name in row if name not in (BASE, LIMIT)]
    return min(peers, key=lambda name: statistics.median(row[name])) if peers else None


def ratio(row, ours, theirs):
    return paired.compare(row[ours], row[theirs])["ratio"]


def mean(ratios):
    return statistics.geometric_mean(ratios) if ratios else None


def line(what, beside):
    """A line of the summary; `beside` is a list of rows with the peer chosen in each.
    What the yardstick is missing from has no part in the multiples of it."""
    with_limit = [(row, peer) for row, peer in beside if LIMIT in row]
    return {
        "what": what, "rows": len(beside),
        "nearheap/peer": mean([ratio(row, BASE, peer) for row, peer in beside]),
        "nearheap/limit": mean([ratio(row, BASE, LIMIT) for row, _ in with_limit]),
        "peer/limit": mean([ratio(row, peer, LIMIT) for row, peer in with_limit]),
    }


def summary(measures, names):
    """The lines of the summary: time beside the fastest peer of each row and each peer
    alone, memory beside the leanest, and the worst row of each."""
    lines = []
    for measure, best in (("time", "fastest"), ("peak memory", "leanest"),
                          ("settled memory", "leanest")):
        rows = {workload: row for workload, row in measures.get(measure, {}).items()
                if BASE in row and best_peer(row) is not None}
        if not rows:
            continue
        lines.append(line(f"{measure}: {best} peer of each row",
                          [(row, best_peer(row)) for row in rows.values()]))
        for peer in names if measure == "time" else []:
            beside = [(row, peer) for row in rows.values() if peer in row]
            if peer not in (BASE, LIMIT) and beside:
                lines.append(line(f"{measure}: {peer}", beside))
        worst = max(rows, key=lambda w: ratio(rows[w], BASE, best_peer(rows[w])))
        peer = best_peer(rows[worst])
        lines.append(line(f"{measure}: worst row, {worst} beside {peer}",
                          [(rows[worst], peer)]))
    return lines


# ---- Printing -------------------------------------------------------------------

def human(measure, value):
    if measure == "time":
        return paired.human(value) + "s"
    if measure == "page faults":
        return f"{value:.0f}"
    return f"{value / KIB:.1f} MiB"


def print_rows(title, header, rows):
    """`rows` are lists of texts, the first of which is the row's name."""
    table = [[title] + header] + rows
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    print()
    for row in table:
        print("  ".join([f"{row[0]:<{widths[0]}}"] +
                        [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:])]).rstrip())


def print_medians(title, measure, rows, names):
    """Every allocator's median; the best is marked, the yardstick apart."""
    table = []
    for workload, row in rows.items():
        medians = {name: statistics.median(values) for name, values in row.items()}
        best = min((v for name, v in medians.items() if name != LIMIT), default=None)
        table.append([workload] + [
            "failed" if name not in medians else
            human(measure, medians[name]) + ("*" if name != LIMIT and medians[name] == best
                                             else " ") for name in names])
    print_rows(title, [name + " " for name in names], table)


def print_ratios(rows, names, count):
    others = [name for name in names if name != BASE]
    table, spread = [], ""
    for workload, row in rows.items():
        cells = [workload]
        for name in others:
            if BASE not in row or name not in row:
                cells.append("failed")
                continue
            made = paired.compare(row[BASE], row[name])
            spread = made["spread"]
            cells.append(f"{made['ratio']:.2f} ({made['low']:.2f}-{made['high']:.2f})")
        table.append(cells)
    print_rows(f"time ratio, threads: {count}", ["/ " + name for name in others], table)
    print(f"Ratios: {BASE} over the other, median of the paired rounds (and their {spread}); "
          f"lower is better.")


def print_summary(lines, count):
    def text(value):
        return "-" if value is None else f"{value:.2f}"
    print_rows(f"summary, threads: {count}",
               ["rows", "nearheap/it", "nearheap/limit", "it/limit"],
               [[made["what"], str(made["rows"]), text(made["nearheap/peer"]),
                 text(made["nearheap/limit"]), text(made["peer/limit"])] for made in lines])


def print_scaling(runs, names, counts):
    """Operations a second with more threads over those with the first number."""
    first = operations_a_second(runs, counts[0])
    for count in counts[1:]:
        more = operations_a_second(runs, count)
        table = [[workload] + [
            f"{more[workload][name] / row[name]:.2f}"
            if name in row and name in more.get(workload, {}) else "failed" for name in names]
            for workload, row in first.items()]
        print_rows(f"speed-up, threads: {counts[0]} to {count}", list(names), table)
    print("Speed-ups: operations a second over those with the first number of threads; "
          "higher is better.")


def print_all(runs, names, counts):
    for count in counts:
        measures = results(runs, names, count)
        for measure, rows in measures.items():
            print_medians(f"{measure}, threads: {count}", measure, rows, names)
            if measure == "time" and BASE in names and len(names) > 1:
                print_ratios(rows, names, count)
        lines = summary(measures, names)
        if lines:
            print_summary(lines, count)
    if len(counts) > 1:
        print_scaling(runs, names, counts)
    print("\n* the best of a row, the yardstick (limit) apart")


def as_json(runs, names, counts):
    """The same for programs: by number of threads, medians, ratios and the summary."""
    made = {}
    for count in counts:
        measures = results(runs, names, count)
        made[count] = {"rows": {
            measure: {workload: {
                "medians": {name: statistics.median(values) for name, values in row.items()},
                "ratios": {name: paired.compare(row[BASE], values)
                           for name, values in row.items()
                           if name != BASE and BASE in row and all(values)},
            } for workload, row in rows.items()} for measure, rows in measures.items()},
            "summary": summary(measures, names)}
    return made

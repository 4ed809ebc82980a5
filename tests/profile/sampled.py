#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Profiles against exact counts: what sampled.c allocated, and what its profiles estimate.

    sampled.py PROGRAM [threads | cpus | told [REPETITIONS]]

Every estimate, less the truth and divided by its theoretical standard deviation, is a
number of mean 0 and variance 1, nearly normal, that lies within 1.96 with the chance
0.95: 95 % confidence intervals hold the truth so often.  Of some hundred such numbers
for each workload the share, the mean and the variance are tested, with bounds that a
right sampler misses about once in a million runs."""

import math
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import pprof_format

RATE = 16384
VALUES = "alloc_objects", "alloc_space", "inuse_objects", "inuse_space"
TAIL = 5  # standard deviations: one in two millions
OUTSIDE = 0.05, 1e-7  # of a 95 % interval; so many of them, or more, are too many


def scores(program, caches, repetitions, folder):
    """By workload and value: what each repetition's estimate is off, in deviations."""
    run = subprocess.run([program, folder, repetitions, caches], check=True, text=True,
                         stdout=subprocess.PIPE)
    found, before = {}, None
    for line in run.stdout.splitlines():
        workload, repetition, *numbers = line.split()
        all_, live = [float(n) for n in numbers[:4]], [float(n) for n in numbers[4:]]
        profile = pprof_format.Profile(os.path.join(folder, f"{workload}.{repetition}"))
        if profile.period != RATE:
            sys.exit(f"the profile's period is {profile.period}, not {RATE}")
        totals = profile.totals()
        # Of allocations, what this repetition added: so repetitions are independent.
        last = before or ([0] * 4, {name: 0 for name in totals})
        exact = [now - then for now, then in zip(all_, last[0])] + live
        estimates = [totals[VALUES[i]] - last[1][VALUES[i]] for i in range(2)]
        estimates += [totals[VALUES[i]] for i in range(2, 4)]
        before = (all_, totals)
        for i, (value, estimate) in enumerate(zip(VALUES, estimates)):
            half = exact[4 * (i // 2):4 * (i // 2) + 4]
            truth, variance = half[i % 2], half[2 + i % 2]
            found.setdefault((workload, value), []).append((estimate - truth) / math.sqrt(variance))
    return found


def chance_of_more(count, n, p):
    """That so many of n, or more, do what each does with the chance p."""
    return sum(math.comb(n, k) * p ** k * (1 - p) ** (n - k) for k in range(count, n + 1))


def judge(name, numbers, failures):
    n = len(numbers)
    mean = sum(numbers) / n
    variance = sum(number ** 2 for number in numbers) / n
    inside = sum(abs(number) <= 1.96 for number in numbers)
    print(f"{name:32} {inside:3} of {n:3} within 95 %   mean {mean:+.2f}   variance {variance:.2f}")
    if chance_of_more(n - inside, n, OUTSIDE[0]) < OUTSIDE[1]:
        failures.append(f"{name}: only {inside} of {n} estimates are within their interval")
    if abs(mean) > TAIL / math.sqrt(n):
        failures.append(f"{name}: estimates are off by {mean:.2f} deviations on average")
    # Of a chi-square with n degrees of freedom, and something for skew: few small objects
    # stand for many.
    if abs(variance - 1) > 1.5 * TAIL * math.sqrt(2 / n) and name.endswith("space"):
        failures.append(f"{name}: estimates vary {variance:.2f} times as much as they should")


def main():
    program, caches, repetitions = (sys.argv[1:] + ["threads", "40"][len(sys.argv) - 2:])
    failures = []
    with tempfile.TemporaryDirectory() as folder:
        found = scores(program, caches, repetitions, folder)
    for (workload, value), numbers in found.items():
        if value.startswith("alloc"):  # what is live hardly changes between repetitions
            judge(f"{workload} {value}", numbers, failures)
    for value in VALUES[2:]:
        last = [numbers[-1] for (_, one), numbers in found.items() if one == value]
        print(f"{value:32} after each workload: {' '.join(f'{n:+.2f}' for n in last)}")
        if max(map(abs, last)) > TAIL:
            failures.append(f"{value} is off by more than {TAIL} deviations")
    sys.exit("\n".join(failures) if failures else 0)


main()

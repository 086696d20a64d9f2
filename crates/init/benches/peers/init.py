#!/usr/bin/env python3
"""Times firecraft-init against torch in the same run.

    python3 crates/init/benches/peers/init.py [--strict]

Makes a virtual environment with torch under the target directory. Where torch
can't be installed it says so and exits 0. With --strict it exits 1 if a bound
is missed. Each side runs alternately, `ROUNDS` times; the best round of each
counts, so that another load on the machine weighs on both alike.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "peers-venv"
ROUNDS = 3
# Our time may be at most this multiple of torch's.
BOUNDS = {
    "he_normal_50M": 0.5,
    "he_uniform_50M": 0.5,
    "he_normal_50M_fresh": 0.5,
    "he_uniform_50M_fresh": 0.5,
    "orthogonal_1024": 1.2,
}

TORCH = """
import statistics, time, torch

def measure(name, work):
    times = []
    for _ in range(9):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    print(name, statistics.median(times))

def in_place(name, fill, shape):
    w = torch.zeros(shape)
    measure(name, lambda: fill(w))

def fresh(name, fill, shape):
    measure(name, lambda: fill(torch.empty(shape)))

large = (5000, 10000)
normal = lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu")
uniform = lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu")
in_place("he_normal_50M", normal, large)
in_place("he_uniform_50M", uniform, large)
fresh("he_normal_50M_fresh", normal, large)
fresh("he_uniform_50M_fresh", uniform, large)
in_place("orthogonal_1024", torch.nn.init.orthogonal_, (1024, 1024))
"""


def torch_python():
    """The interpreter of a virtual environment that has torch, or None."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    has_torch = [python, "-c", "import torch"]
    if subprocess.run(has_torch, capture_output=True).returncode == 0:
        return python
    # The wheel for processors alone is a tenth of the size of the default one.
    indices = [["--index-url", "https://download.pytorch.org/whl/cpu"], []]
    for index in indices:
        install = [python, "-m", "pip", "install", "--quiet", "numpy", "torch", *index]
        if subprocess.run(install, capture_output=True, timeout=1800).returncode == 0:
            return python
    return None


def run(command):
    """The lines `name seconds` that a command prints."""
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    times = {}
    for line in out.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] in BOUNDS:
            times[fields[0]] = float(fields[1])
    return times


def main():
    try:
        python = torch_python()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"skipped: no virtual environment with torch: {error}")
        return 0
    if python is None:
        print("skipped: torch can't be installed here")
        return 0
    ours = ["cargo", "bench", "--quiet", "-p", "firecraft-init", "--bench", "timings"]
    run(ours)  # builds
    best = {}
    for _ in range(ROUNDS):
        for side, command in [("firecraft", ours), ("torch", [python, "-c", TORCH])]:
            for name, seconds in run(command).items():
                best[name, side] = min(seconds, best.get((name, side), seconds))
    missed = 0
    print(f"{'':20} {'firecraft':>10} {'torch':>10} {'ratio':>7} {'bound':>7}")
    for name, bound in BOUNDS.items():
        a, b = best[name, "firecraft"], best[name, "torch"]
        verdict = "" if a <= bound * b else "  missed"
        missed += bool(verdict)
        print(f"{name:20} {a:8.4f} s {b:8.4f} s {a / b:7.2f} {bound:7.2f}{verdict}")
    return 1 if missed and "--strict" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

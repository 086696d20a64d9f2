#!/usr/bin/env python3
"""Times firecraft-init against torch in the same run.

    python3 crates/init/benches/peers/init.py [--strict]

Makes a virtual environment with torch under the target directory. Where torch
can't be installed it says so and exits 0. With --strict it exits 1 if a bound
is missed.

Both sides measure the same work the same way: the median of nine runs in one
process. The sides take turns, `ROUNDS` times, and the median ratio of the
rounds counts, so that a round that another program disturbed does not.

With --torch PYTHON, or PEERS_PYTHON in the environment, it uses an interpreter
that has torch already, with --bench FILE a built `timings` benchmark (`cargo
bench -p firecraft-init --bench timings --no-run` prints its name); with both it
measures and nothing else.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "peers-venv"
ROUNDS = 5
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


def built_bench():
    """The executable of our side."""
    build = ["cargo", "bench", "--quiet", "-p", "firecraft-init", "--bench", "timings"]
    build += ["--no-run", "--message-format=json"]
    out = subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for line in out.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "timings":
            return message["executable"]
    raise RuntimeError("cargo built no executable")


def run(command):
    """The lines `name seconds` that a command prints."""
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    fields = [line.split() for line in out.splitlines()]
    return {name: float(seconds) for name, seconds in fields}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strict", action="store_true", help="fail if a bound is missed")
    parser.add_argument(
        "--torch",
        help="an interpreter that has torch",
        default=os.environ.get("PEERS_PYTHON"),
    )
    parser.add_argument("--bench", help="the built benchmark `timings`")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    try:
        python = arguments.torch or torch_python()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"skipped: no virtual environment with torch: {error}")
        return 0
    if python is None:
        print("skipped: torch can't be installed here")
        return 0
    ours, theirs = [arguments.bench or built_bench()], [python, "-c", TORCH]
    rounds = [(run(ours), run(theirs)) for _ in range(arguments.rounds)]
    missed = 0
    print(f"{'':20} {'firecraft':>10} {'torch':>10} {'ratio':>7} {'bound':>7}")
    for name, bound in BOUNDS.items():
        a, b = (statistics.median(times[name] for times in side) for side in zip(*rounds))
        ratio = statistics.median(ours[name] / theirs[name] for ours, theirs in rounds)
        missed += ratio > bound
        verdict = "  missed" if ratio > bound else ""
        print(f"{name:20} {a:8.4f} s {b:8.4f} s {ratio:7.2f} {bound:7.2f}{verdict}")
    return 1 if missed and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())

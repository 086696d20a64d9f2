#!/usr/bin/env python3
"""Times firecraft-norm against torch and burn's own layers in the same run.

    python3 crates/norm/benches/peers/norm.py [--strict] [--all]

Measures batch normalisation, with --all the other layers and convolutions too. Makes a virtual
environment with torch under the target directory. Where torch can't be
installed it says so and exits 0. With --strict it exits 1 if a bound is missed.

All sides have `THREADS` threads and run alternately, `ROUNDS` times; the best
of each pass counts, so that another load on the machine weighs on all alike.
torch is given the gradient of the output; burn makes it, within the time of the
backward pass. The bandwidth is that of the layer alone, without this `ones`.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "peers-venv"
ROUNDS = 3
THREADS = "2"

# The time of a training step of batch normalisation may be at most this
# multiple of that of the others.
OF_TORCH = 0.8
OF_BURN = 1 / 3

# Bytes that a step must move at the least: forward it reads the input and
# writes the output, backward it reads input and gradient and writes one.
TENSORS_MOVED = 5

TORCH = """
import sys, time, torch
from torch import nn
torch.set_num_threads(int(sys.argv[1]))
words = sys.argv[2:]

def resident(field):
    with open("/proc/self/status") as status:
        return next(float(l.split()[1]) / 1024 for l in status if l.startswith(field))

def step(name, layer, shape, act=None, outputs=None):
    label = f"{name}/" + "x".join(map(str, shape))
    if words[:1] == ["peak"]:
        if words[1] != label:
            return
    elif not label.startswith(tuple(words)):
        return
    torch.manual_seed(1)
    x = torch.randn(shape).requires_grad_()
    if words[:1] == ["peak"]:
        # What the first step of all needs is not the layer's.
        layer(x[:2]).sum().backward()
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    before = resident("VmRSS")
    grad = torch.ones((shape[0], outputs or shape[1], *shape[2:]))
    best = [float("inf")] * 2
    for _ in range(1 if words[:1] == ["peak"] else 12):
        x.grad = None
        start = time.perf_counter()
        y = layer(x) if act is None else act(layer(x))
        between = time.perf_counter()
        y.backward(grad)
        end = time.perf_counter()
        del y
        times = [between - start, end - between]
        best = [min(a, b * 1e3) for a, b in zip(best, times)]
    if words[:1] == ["peak"]:
        print(label, resident("VmHWM") - before)
    else:
        print(label, *best)

for shape in [(64, 64, 56, 56), (64, 256, 14, 14), (128, 32, 32, 32)]:
    c = shape[1]
    step("batch", nn.BatchNorm2d(c), shape)
    step("batch_relu", nn.BatchNorm2d(c), shape, nn.ReLU(inplace=True))
    step("group", nn.GroupNorm(8, c), shape)
    step("instance", nn.InstanceNorm2d(c, affine=True), shape)
for shape in [(8192, 768), (16384, 256)]:
    step("layer", nn.LayerNorm(shape[1]), shape)
    step("rms", nn.RMSNorm(shape[1]), shape)
    step("batch", nn.BatchNorm1d(shape[1]), shape)
for shape, outputs in [
    ((64, 1, 28, 28), 32), ((64, 32, 14, 14), 64), ((64, 64, 14, 14), 64),
    ((64, 128, 7, 7), 128), ((16, 64, 56, 56), 64),
]:
    conv = nn.Conv2d(shape[1], outputs, 3, padding=1, bias=False)
    step("conv", conv, shape, outputs=outputs)
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


def built():
    """The benchmark's program, built now."""
    command = ["cargo", "bench", "-p", "firecraft-norm", "--bench", "speed", "--no-run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    for line in done.stderr.splitlines():
        if "Executable" in line and "speed" in line:
            return line.split("(")[-1].rstrip(")")
    sys.exit("cargo named no program")


def run(command):
    """The numbers that a command prints, by name."""
    environment = dict(os.environ, RAYON_NUM_THREADS=THREADS)
    out = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, env=environment
    ).stdout
    fields = [line.split() for line in out.splitlines()]
    return {name: [float(n) for n in numbers] for name, *numbers in fields}


def peaks(rust, torch):
    """Prints the memory that one step needs in a fresh process."""
    print(f"\n{'peak MiB beside the input':34} {'firecraft':>10} {'torch':>10}")
    missed = False
    for name in ["batch/64x64x56x56", "batch/64x256x14x14", "batch/128x32x32x32"]:
        ours = run([*rust, "peak", name])[name][0]
        theirs = run([*torch, "peak", name])[name][0]
        verdict = "" if ours <= theirs else "  missed"
        missed |= bool(verdict)
        print(f"{name:34} {ours:10.1f} {theirs:10.1f}{verdict}")
    return missed


def main():
    try:
        python = torch_python()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"skipped: no virtual environment with torch: {error}")
        return 0
    if python is None:
        print("skipped: torch can't be installed here")
        return 0
    rust = [os.environ.get("SPEED_PROGRAM") or built()]
    torch = [python, "-c", TORCH, THREADS]
    words = ["batch"]
    if "--all" in sys.argv:
        words += ["group", "instance", "layer", "rms", "conv"]
    best = {}
    for _ in range(ROUNDS):
        for side, command in [("firecraft", [*rust, *words]), ("torch", [*torch, *words])]:
            for name, numbers in run(command).items():
                pick = max if name == "bandwidth" else min
                old = best.get((name, side), numbers)
                best[name, side] = [pick(a, b) for a, b in zip(old, numbers)]

    bandwidth = best["bandwidth", "firecraft"][0]
    print(f"memory: {bandwidth:.1f} GB/s (triad, {THREADS} threads)\n")
    print(
        f"{'ms, forward + backward':34} {'firecraft':>15} {'torch':>15} {'burn':>15}"
        f" {'/torch':>7} {'/burn':>7} {'ones':>6} {'GB/s':>6} {'of peak':>7}"
    )
    missed = False
    for name, side in best:
        if side != "torch":
            continue
        layer, shape = name.split("/")
        *ours, ones = best[name, "firecraft"]
        theirs = best[name, "torch"]
        burns = best[f"{layer}_burn/{shape}", "firecraft"][:2]
        to_torch, to_burn = sum(ours) / sum(theirs), sum(ours) / sum(burns)
        elements = 1
        for length in shape.split("x"):
            elements *= int(length)
        rate = TENSORS_MOVED * 4 * elements / (sum(ours) - ones) / 1e6
        # A convolution computes more than it moves.
        moved = "" if layer == "conv" else f" {rate:6.1f} {rate / bandwidth:7.0%}"
        bound = layer == "batch" and shape.count("x") == 3
        verdict = "" if not bound or (to_torch <= OF_TORCH and to_burn <= OF_BURN) else "  missed"
        missed |= bool(verdict)
        columns = " ".join(f"{a:7.2f}+{b:7.2f}" for a, b in [ours, theirs, burns])
        print(
            f"{name:34} {columns} {to_torch:7.2f} {to_burn:7.2f} {ones:6.2f}{moved}{verdict}"
        )
    missed |= peaks(rust, torch)
    return 1 if missed and "--strict" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Images per second of torch's DataLoader, beside `photos --loader-only`.

    python3 benches/peers/loader.py FOLDER [--side 160] [--turns 3] [--strict]

FOLDER has one folder of photographs per class. Both sides decode, take a
random resized crop with antialiasing, mirror half of the images, jitter the
colours and normalise, in batches of 32, first with 1 and then with 2 workers,
and take turns in one run. torchvision does it in two ways, on Pillow's images
and on tensors of bytes, and the faster one counts.

Each side reads all images `--epochs` times in a turn and its best epoch counts,
so that neither the start of processes nor that of threads is measured; the
median ratio of the turns counts, so that a turn that another program disturbed
does not. With --strict it exits 1 if the ratio at 2 workers is below 3.

It makes a virtual environment with torch and torchvision under the target
directory, or uses the interpreter that PEERS_PYTHON names; where they can't be
installed it says so and exits 0.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "peers-venv"
# Our images per second at 2 workers must be at least this multiple of torch's.
BOUND = 3.0

TORCH = """
import sys, time, torch
from torchvision import datasets
from torchvision.transforms import v2

folder, way, side, workers, epochs = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
steps = [
    v2.RandomResizedCrop(side, scale=(0.35, 1.0), antialias=True),
    v2.RandomHorizontalFlip(),
    v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
]
if way == "tensors":
    steps.insert(0, v2.PILToTensor())
else:
    steps.append(v2.PILToTensor())
steps.append(v2.ToDtype(torch.float32, scale=True))
steps.append(v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
loader = torch.utils.data.DataLoader(
    datasets.ImageFolder(folder, v2.Compose(steps)),
    batch_size=32,
    shuffle=True,
    num_workers=workers,
    persistent_workers=workers > 0,
)
best = 0.0
for _ in range(epochs):
    start, images = time.perf_counter(), 0
    for batch, _ in loader:
        images += len(batch)
    best = max(best, images / (time.perf_counter() - start))
print(f"{best} images/s")
"""


def peers_python():
    """An interpreter that has torch and torchvision, or None."""
    if "PEERS_PYTHON" in os.environ:
        return pathlib.Path(os.environ["PEERS_PYTHON"])
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    has_peers = [python, "-c", "import torch, torchvision"]
    if subprocess.run(has_peers, capture_output=True).returncode == 0:
        return python
    install = [python, "-m", "pip", "install", "--quiet", "torch", "torchvision"]
    done = subprocess.run(install, capture_output=True, timeout=1800)
    return python if done.returncode == 0 else None


def built_photos():
    """The example, built as a user builds it."""
    build = ["cargo", "build", "--release", "--locked", "-p", "photos"]
    subprocess.run(build, cwd=ROOT, check=True)
    return TARGET / "release" / "photos"


def rate(command):
    """The number in the line `N images/s` that a command prints."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{done.stderr}")
    return float(re.search(r"([\d.]+) images/s", done.stdout).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--photos", help="the built example; built when absent")
    parser.add_argument("--strict", action="store_true", help="fail if the bound is missed")
    given = parser.parse_args()
    try:
        python = peers_python()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"skipped: no virtual environment with torch: {error}")
        return 0
    if python is None:
        print("skipped: torch and torchvision can't be installed here")
        return 0
    program = given.photos or built_photos()

    def torch(way, workers):
        words = [given.folder, way, given.side, workers, given.epochs]
        return rate([python, "-c", TORCH, *words])

    missed = False
    print("workers  firecraft   on Pillow  on tensors   ratio")
    for workers in given.workers:
        ratios = []
        for _ in range(given.turns):
            flags = ["--side", given.side, "--workers", workers]
            ours = rate([program, given.folder, *flags, "--loader-only", given.epochs])
            theirs = [torch(way, workers) for way in ("pillow", "tensors")]
            ratios.append(ours / max(theirs))
            pillow, tensors = theirs
            print(
                f"{workers:7}  {ours:7.0f}/s  {pillow:8.0f}/s  {tensors:8.0f}/s  {ratios[-1]:6.2f}",
                flush=True,
            )
        ratio = statistics.median(ratios)
        missed |= workers == 2 and ratio < BOUND
        print(f"{workers:7}  median of the ratios: {ratio:.2f}", flush=True)
    return 1 if missed and given.strict else 0


if __name__ == "__main__":
    sys.exit(main())

"""Images per second of torch's DataLoader, beside `photos --loader-only`.

    python3 benches/peers/loader.py FOLDER [--side 160] [--epochs 3]

FOLDER has one folder of photographs per class. Both sides decode, take a
random resized crop, mirror half of the images, jitter the colours and
normalise, in 2 workers, batches of 32, and take turns in one run. The script
makes its own virtual environment below `target/`; without network it says so
and ends.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VENV = ROOT / "target" / "peers"
NEEDED = ["torch", "torchvision"]


def with_peers():
    """The interpreter of the environment that has the peers, made if missing."""
    python = VENV / "bin" / "python"
    probe = [str(python), "-c", "import torch, torchvision"]
    if python.exists() and subprocess.run(probe, capture_output=True).returncode == 0:
        return python
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    made = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *NEEDED])
    if made.returncode != 0:
        print("torch can't be installed here: no comparison")
        sys.exit(0)
    return python


def torch_rate(folder, side, epoch_count, workers):
    import torch
    from torchvision import datasets
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.PILToTensor(),
            v2.RandomResizedCrop(side, scale=(0.35, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(folder, transform),
        batch_size=32,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    best = 0.0
    for _ in range(epoch_count):
        start, images = time.perf_counter(), 0
        for batch, _ in loader:
            images += len(batch)
        best = max(best, images / (time.perf_counter() - start))
    return best


def our_rate(program, folder, side, epoch_count, workers):
    command = [str(program), folder, "--side", str(side), "--workers", str(workers)]
    command += ["--loader-only", str(epoch_count)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"(\d+) images/s", printed).group(1))


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder")
    arguments.add_argument("--side", type=int, default=160)
    arguments.add_argument("--epochs", type=int, default=3)
    arguments.add_argument("--turns", type=int, default=3)
    arguments.add_argument("--photos", help="the built example; built when absent")
    arguments.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if not given.inside:
        python = with_peers()
        sys.exit(subprocess.run([str(python), *sys.argv, "--inside"]).returncode)

    program = given.photos
    if program is None:
        build = ["cargo", "build", "--release", "-p", "photos", "--message-format=short"]
        subprocess.run(build, cwd=ROOT, check=True)
        program = ROOT / "target" / "release" / "photos"
    print("workers  firecraft      torch      ratio")
    for workers in (1, 2):
        ratios = []
        for _ in range(given.turns):
            ours = our_rate(program, given.folder, given.side, given.epochs, workers)
            torch = torch_rate(given.folder, given.side, given.epochs, workers)
            ratios.append(ours / torch)
            print(f"{workers:7}  {ours:7.0f}/s  {torch:7.0f}/s  {ours / torch:7.2f}")
        print(f"{workers:7}  median of the ratios: {sorted(ratios)[len(ratios) // 2]:.2f}")


if __name__ == "__main__":
    main()

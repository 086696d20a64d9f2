#!/usr/bin/env python3
"""Times firecraft-augment against albumentations and torchvision in one run.

    python3 crates/augment/benches/peers/augment.py [--strict]

One thread each, 256x256 RGB bytes in. Makes a virtual environment with
albumentations 2.0.8 and torchvision under the target directory, or uses the
interpreter that PEERS_PYTHON names; where they can't be installed it says so
and exits 0. Each side runs alternately, `ROUNDS` times; the best round of each
counts. With --strict it exits 1 if an operation is slower than 0.8 of
albumentations, or a pipeline misses its bound.
"""

import os
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[4]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
VENV = TARGET / "peers-venv"
ROUNDS = 4
# Our speed must be at least this multiple of albumentations'.
WORST, MEDIAN = 0.8, 2.0
PIPELINES = {"training_pipeline": 4.0, "geometric_chain": 6.0}

ALBUMENTATIONS = """
import time, cv2, numpy as np
cv2.setNumThreads(1)
import albumentations as A
from albumentations.pytorch import ToTensorV2

rng = np.random.default_rng(7)
image = cv2.GaussianBlur(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8), (0, 0), 5)
image = cv2.normalize(image, None, 20, 235, cv2.NORM_MINMAX)

def measure(name, *operations):
    work = A.Compose(list(operations))
    for _ in range(3): work(image=image)
    best = float("inf")
    for _ in range(7):
        start, runs = time.perf_counter(), 0
        while time.perf_counter() - start < 0.02:
            work(image=image)
            runs += 1
        best = min(best, (time.perf_counter() - start) / runs)
    print(name, best)

on = dict(p=1)
measure("horizontal_flip", A.HorizontalFlip(**on))
measure("vertical_flip", A.VerticalFlip(**on))
measure("transpose", A.Transpose(**on))
measure("random_crop_224", A.RandomCrop(224, 224, **on))
measure("rotate", A.Rotate((17, 17), border_mode=cv2.BORDER_REFLECT_101, **on))
measure("affine", A.Affine(rotate=(-15, 15), **on))
measure("perspective", A.Perspective(scale=(0.1, 0.1), **on))
measure("elastic", A.ElasticTransform(alpha=25, sigma=5, **on))
measure("resize_224", A.Resize(224, 224, **on))
measure("random_resized_crop_224", A.RandomResizedCrop((224, 224), **on))
measure("brightness_contrast", A.RandomBrightnessContrast(**on))
measure("gamma", A.RandomGamma(**on))
measure("hue", A.HueSaturationValue(**on))
measure("color_jitter", A.ColorJitter((.6, 1.4), (.6, 1.4), (.6, 1.4), (-.1, .1), **on))
measure("grayscale", A.ToGray(**on))
measure("rgb_shift", A.RGBShift(**on))
measure("permute_channels", A.ChannelShuffle(**on))
measure("invert", A.InvertImg(**on))
measure("posterize", A.Posterize(num_bits=4, **on))
measure("solarize", A.Solarize(**on))
measure("auto_contrast", A.AutoContrast(**on))
measure("equalize", A.Equalize(**on))
measure("sharpness", A.Sharpen(**on))
measure("box_blur_5", A.Blur(blur_limit=(5, 5), **on))
measure("gaussian_blur_7", A.GaussianBlur(blur_limit=(7, 7), sigma_limit=(1.5, 1.5), **on))
measure("erasing", A.Erasing(**on))
measure("normalize", A.Normalize(**on))
measure("geometric_chain", A.HorizontalFlip(), A.Rotate((-15, 15), **on),
        A.Affine(translate_percent=(-.1, .1), **on), A.Affine(scale=(.8, 1.2), **on),
        A.Affine(rotate=(-8, 8), **on))
measure("training_pipeline", A.RandomResizedCrop((224, 224)), A.HorizontalFlip(),
        A.ColorJitter((.6, 1.4), (.6, 1.4), (.6, 1.4), (-.1, .1), **on), A.Normalize(),
        ToTensorV2())
"""

TORCHVISION = """
import time, torch
torch.set_num_threads(1)
from torchvision.transforms import v2

image = torch.nn.functional.interpolate(torch.rand(1, 3, 32, 32), (256, 256), mode="bicubic")[0]
image = (image.clamp(0, 1) * 255).to(torch.uint8)

def measure(name, *operations):
    work = v2.Compose(list(operations))
    for _ in range(3): work(image)
    best = float("inf")
    for _ in range(7):
        start, runs = time.perf_counter(), 0
        while time.perf_counter() - start < 0.02:
            work(image)
            runs += 1
        best = min(best, (time.perf_counter() - start) / runs)
    print(name, best)

measure("horizontal_flip", v2.RandomHorizontalFlip(1))
measure("vertical_flip", v2.RandomVerticalFlip(1))
measure("random_crop_224", v2.RandomCrop(224))
measure("rotate", v2.RandomRotation((17, 17), interpolation=v2.InterpolationMode.BILINEAR))
measure("affine", v2.RandomAffine(15, interpolation=v2.InterpolationMode.BILINEAR))
measure("perspective", v2.RandomPerspective(0.2, 1))
measure("elastic", v2.ElasticTransform(50.0, 5.0))
measure("resize_224", v2.Resize((224, 224), antialias=False))
measure("random_resized_crop_224", v2.RandomResizedCrop(224, antialias=False))
measure("hue", v2.ColorJitter(hue=(0.1, 0.1)))
measure("color_jitter", v2.ColorJitter(0.4, 0.4, 0.4, 0.1))
measure("grayscale", v2.Grayscale(3))
measure("permute_channels", v2.RandomChannelPermutation())
measure("invert", v2.RandomInvert(1))
measure("posterize", v2.RandomPosterize(4, 1))
measure("solarize", v2.RandomSolarize(128, 1))
measure("auto_contrast", v2.RandomAutocontrast(1))
measure("equalize", v2.RandomEqualize(1))
measure("sharpness", v2.RandomAdjustSharpness(1.7, 1))
measure("gaussian_blur_7", v2.GaussianBlur(7, 1.5))
measure("erasing", v2.RandomErasing(1))
floats = v2.ToDtype(torch.float32, scale=True)
normalize = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
measure("normalize", floats, normalize)
bilinear = dict(interpolation=v2.InterpolationMode.BILINEAR)
measure("geometric_chain", v2.RandomHorizontalFlip(), v2.RandomRotation(15, **bilinear),
        v2.RandomAffine(0, translate=(.1, .1), **bilinear),
        v2.RandomAffine(0, scale=(.8, 1.2), **bilinear), v2.RandomAffine(8, **bilinear))
measure("training_pipeline", v2.RandomResizedCrop(224), v2.RandomHorizontalFlip(),
        v2.ColorJitter(0.4, 0.4, 0.4, 0.1), floats, normalize)
"""


def peers_python():
    """An interpreter that has the peers, or None."""
    if "PEERS_PYTHON" in os.environ:
        return pathlib.Path(os.environ["PEERS_PYTHON"])
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    has_peers = [python, "-c", "import albumentations, torchvision"]
    if subprocess.run(has_peers, capture_output=True).returncode == 0:
        return python
    packages = ["albumentations==2.0.8", "opencv-python-headless", "torch", "torchvision"]
    install = [python, "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(install, capture_output=True, timeout=1800)
    return python if done.returncode == 0 else None


def run(command):
    """The lines `name seconds` that a command prints."""
    environment = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    out = subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True, env=environment
    ).stdout
    fields = (line.split() for line in out.splitlines())
    return {f[0]: float(f[1]) for f in fields if len(f) == 2}


def main():
    try:
        python = peers_python()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"skipped: no virtual environment with the peers: {error}")
        return 0
    if python is None:
        print("skipped: the peers can't be installed here")
        return 0
    ours = os.environ.get("OURS", "").split() or [
        "cargo", "bench", "--quiet", "-p", "firecraft-augment", "--bench", "timings"
    ]
    sides = {
        "firecraft": ours,
        "albumentations": [python, "-c", ALBUMENTATIONS],
        "torchvision": [python, "-c", TORCHVISION],
    }
    run([*ours, "--", "invert"] if ours[0] == "cargo" else [*ours, "invert"])  # builds
    best = {}
    for _ in range(ROUNDS):
        for side, command in sides.items():
            for name, seconds in run(command).items():
                best[name, side] = min(seconds, best.get((name, side), seconds))
    missed, ratios = [], []
    print(f"{'':25} {'firecraft':>10} {'albumentations':>22} {'torchvision':>20}")
    for name in [name for name, side in best if side == "firecraft"]:
        a = best[name, "firecraft"]
        cells = []
        for side in ["albumentations", "torchvision"]:
            b = best.get((name, side))
            cells.append("" if b is None else f"{b * 1e6:9.1f} us {b / a:6.2f} x")
        print(f"{name:25} {a * 1e6:7.1f} us {cells[0]:>22} {cells[1]:>20}")
        ratio = best.get((name, "albumentations"), 0) / a
        if name in PIPELINES:
            if ratio < PIPELINES[name]:
                missed.append(f"{name}: {ratio:.2f} of {PIPELINES[name]}")
        elif ratio:
            ratios.append(ratio)
            if ratio < WORST:
                missed.append(f"{name}: {ratio:.2f} of {WORST}")
    median = statistics.median(ratios)
    print(f"median of {len(ratios)} operations: {median:.2f} x albumentations")
    if median < MEDIAN:
        missed.append(f"median: {median:.2f} of {MEDIAN}")
    for line in missed:
        print("missed:", line)
    return 1 if missed and "--strict" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())

"""Trains the models of this folder and writes them, with the images they are tried on.

Needs torch, scikit-learn and onnx, which nothing else here needs together; with those installed,

    python -m models.trained.train_digits            everything, in a few minutes
    python -m models.trained.train_digits digits_vgg    one model

The split, the initial weights and the order of the batches come from SEED; one thread, and only
algorithms that torch calls deterministic. The same torch on the same kind of processor writes the
same bytes; another may round differently, and the count of right answers may move by a few.

SEED was not chosen by its results, and nothing was: every epoch is run, the last weights are kept,
and the test images are counted once, at the end.

Each convolution is followed by batch normalisation and ReLU; the exporter folds the normalisation
into the convolution. A pool comes after the ReLU, as in VGG, so what it sees is never negative.
"""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import digits
from .training import chosen, export, torch

# scikit-learn need not be there when this file is type-checked.
datasets: Any = importlib.import_module("sklearn.datasets")

SEED = 2014
TRAINED_ON, CALIBRATION = 1200, 256
EPOCHS, BATCH, RATE, DECAY = 40, 50, 4e-3, 1e-2
SHIFT = 2
POOL = "M"
CLASSES = 10

# A number is a 3x3 convolution with so many channels; POOL halves the map.
Plan = tuple[int | str, ...]
THREE_POOLS: Plan = (16, POOL, 24, POOL, 32, POOL)
VGG: Plan = (12, POOL, 16, POOL, 24, 24, POOL, 32, 32, POOL, 32, 32, POOL)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model to train: its layers, and the pool that POOL stands for."""

    plan: Plan
    pool: Callable[[], Any]

    def build(self) -> Any:
        """The untrained network; its layers' names become the names of the ONNX nodes."""
        net = torch.nn.Sequential()
        channels = 1
        for number, step in enumerate(self.plan):
            if isinstance(step, int):
                self._add_convolution(net, number, channels, step)
                channels = step
            else:
                net.add_module(f"pool{self.plan[: number + 1].count(POOL)}", self.pool())
        side = digits.SMALL * digits.FACTOR >> self.plan.count(POOL)
        net.add_module("flatten", torch.nn.Flatten())
        net.add_module("classifier", torch.nn.Linear(channels * side * side, CLASSES))
        return net

    def _add_convolution(self, net: Any, position: int, before: int, after: int) -> None:
        number = sum(isinstance(step, int) for step in self.plan[: position + 1])
        net.add_module(f"conv{number}", torch.nn.Conv2d(before, after, 3, padding=1, bias=False))
        net.add_module(f"norm{number}", torch.nn.BatchNorm2d(after))
        net.add_module(f"relu{number}", torch.nn.ReLU())


RECIPES: dict[str, Recipe] = {
    "digits_pool2": Recipe(THREE_POOLS, lambda: torch.nn.MaxPool2d(2)),
    "digits_pool3": Recipe(THREE_POOLS, lambda: torch.nn.MaxPool2d(3, 2, 1)),
    "digits_vgg": Recipe(VGG, lambda: torch.nn.MaxPool2d(2)),
}


@dataclass(frozen=True, slots=True)
class Split:
    """The digits, shuffled once: 1200 to train on, 597 to test."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @classmethod
    def load(cls) -> "Split":
        bundled = datasets.load_digits()
        order = np.random.default_rng(SEED).permutation(len(bundled.target))
        return cls(bundled.images[order].astype(np.uint8), bundled.target[order].astype(np.uint8))

    @property
    def training(self) -> tuple[Any, Any]:
        return self._tensors(slice(TRAINED_ON))

    @property
    def test(self) -> tuple[Any, Any]:
        return self._tensors(slice(TRAINED_ON, None))

    def _tensors(self, part: slice) -> tuple[Any, Any]:
        images = torch.from_numpy(digits.enlarged(self.pixels[part]))
        return images, torch.from_numpy(self.labels[part].astype(np.int64))

    def write(self) -> None:
        """The test images as they are, and the calibration images as the models take them."""
        rest = slice(TRAINED_ON, None)
        np.savez_compressed(digits.TEST_FILE, pixels=self.pixels[rest], labels=self.labels[rest])
        images = digits.enlarged(self.pixels[:CALIBRATION])
        np.savez_compressed(digits.CALIBRATION_FILE, image=images)


def trained(recipe: Recipe, images: Any, labels: Any) -> Any:
    """The network after the last epoch, ready to be asked."""
    torch.manual_seed(SEED)
    net = recipe.build().train()
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = torch.nn.functional.cross_entropy(net(shifted(images[batch])), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def shifted(images: Any) -> Any:
    """The batch moved by up to SHIFT pixels each way, background coming in."""
    down, right = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
    padded = torch.nn.functional.pad(images, (SHIFT,) * 4)
    height, width = images.shape[-2:]
    return padded[..., down : down + height, right : right + width]


def right_answers(net: Any, images: Any, labels: Any) -> int:
    with torch.no_grad():
        return int((net(images).argmax(1) == labels).sum())


def write(net: Any, path: Path, facts: dict[str, str]) -> None:
    """The network as ONNX, any number of images at a time, with ``facts`` as metadata."""
    side = digits.SMALL * digits.FACTOR
    axes = {digits.INPUT: {0: "batch"}, digits.OUTPUT: {0: "batch"}}
    export(net, path, torch.zeros(1, 1, side, side), axes, facts)


def main() -> None:
    names = chosen(RECIPES)
    split = Split.load()
    split.write()
    for name in names:
        net = trained(RECIPES[name], *split.training)
        right = right_answers(net, *split.test)
        answers = f"{right}/{len(split.labels) - TRAINED_ON}"
        facts = {"seed": str(SEED), "test_right": answers, "trained_by": Path(__file__).name}
        write(net, digits.FOLDER / f"{name}.onnx", facts)
        sys.stdout.write(f"{name}: {answers} test images right\n")


if __name__ == "__main__":
    main()

"""Trains the decoders of this folder and writes them, with the images they are tried on.

Needs torch, scikit-learn, Pillow and onnx, which nothing else here needs together; with those
installed,

    python -m models.trained.train_decoders                    everything, in half an hour
    python -m models.trained.train_decoders decoder_deconv3    one model

Each model gives its input back: two convolutions of stride 2 and one of stride 1 make a quarter of
the numbers of the image, two upsamplings by 2 make an image of them again, the second without
anything after it. All but the upsamplings is the same in every model.

The initial weights and the crops come from SEED; one thread, and only algorithms that torch calls
deterministic. The same torch on the same kind of processor writes the same bytes; another may round
differently, which moves the PSNR by some hundredths of a dB.

SEED was not chosen by its results, and nothing was: every step is made, the last weights are kept,
and the test images are looked at once, at the end.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import images
from .training import chosen, export, torch

# scikit-learn need not be there when this file is type-checked.
datasets: Any = importlib.import_module("sklearn.datasets")

SEED = 2016
STEPS, BATCH, RATE = 6000, 16, 4e-3
CALIBRATION = 24
RGB, FIRST, SECOND, CODE, LAST = 3, 16, 32, 16, 24
FACTOR = 2

Pixels = NDArray[np.uint8]
Layers = dict[str, Any]
Upsampling = Callable[[str, int, int], Layers]


def deconvolution(kernel: int, pad: int, output_padding: int) -> Upsampling:
    """A transposed convolution of stride 2 that exactly doubles the map."""

    def layers(name: str, before: int, after: int) -> Layers:
        window = kernel, FACTOR, pad, output_padding
        return {name: torch.nn.ConvTranspose2d(before, after, *window)}

    return layers


def subpixel(name: str, before: int, after: int) -> Layers:
    """Four channels for each, which become the 2x2 pixels of one."""
    convolution = torch.nn.Conv2d(before, after * FACTOR**2, 3, padding=1)
    return {name: convolution, f"{name}_shuffle": torch.nn.PixelShuffle(FACTOR)}


def icnr(name: str, before: int, after: int) -> Layers:
    """The same without biases, started as a repetition of pixels (ICNR: Aitken et al. 2017)."""
    convolution = torch.nn.Conv2d(before, after * FACTOR**2, 3, padding=1, bias=False)
    weight = convolution.weight
    with torch.no_grad():
        weight.copy_(weight[:: FACTOR**2].repeat_interleave(FACTOR**2, dim=0))
    return {name: convolution, f"{name}_shuffle": torch.nn.PixelShuffle(FACTOR)}


def resized(name: str, before: int, after: int) -> Layers:
    """Pixels repeated, then a convolution: what is constant stays constant."""
    repeated = torch.nn.Upsample(scale_factor=FACTOR, mode="nearest")
    return {f"{name}_resize": repeated, name: torch.nn.Conv2d(before, after, 5, padding=2)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model to train: how it enlarges a map by 2, and for how long."""

    upsampling: Upsampling
    steps: int = STEPS


RECIPES: dict[str, Recipe] = {
    "decoder_deconv2": Recipe(deconvolution(2, 0, 0)),
    "decoder_deconv3": Recipe(deconvolution(3, 1, 1)),
    "decoder_deconv4": Recipe(deconvolution(4, 1, 0)),
    "decoder_deconv5": Recipe(deconvolution(5, 2, 1)),
    "decoder_brief": Recipe(deconvolution(3, 1, 1), STEPS // 4),
    "decoder_subpixel": Recipe(subpixel),
    "decoder_icnr": Recipe(icnr),
    "decoder_resize": Recipe(resized),
}


def built(upsampling: Upsampling) -> Any:
    """The untrained network; its layers' names become the names of the ONNX nodes."""
    layers: Layers = {
        "down1": torch.nn.Conv2d(RGB, FIRST, 4, FACTOR, 1),
        "relu1": torch.nn.ReLU(),
        "down2": torch.nn.Conv2d(FIRST, SECOND, 4, FACTOR, 1),
        "relu2": torch.nn.ReLU(),
        "code": torch.nn.Conv2d(SECOND, CODE, 3, padding=1),
        "relu3": torch.nn.ReLU(),
        **upsampling("up1", CODE, LAST),
        "relu4": torch.nn.ReLU(),
        **upsampling("up2", LAST, RGB),
    }
    net = torch.nn.Sequential()
    for name, layer in layers.items():
        net.add_module(name, layer)
    return net


class Pictures:
    """The two pictures, and the crops that are cut from them."""

    def __init__(self) -> None:
        bundled: list[Pixels] = datasets.load_sample_images().images
        self._parts = list(_training_parts(bundled))
        self._bundled = bundled

    def training(self, count: int, source: np.random.Generator) -> Pixels:
        """Crops at random places outside the test strip, each place as likely."""
        side = images.SIDE
        places = [(p.shape[0] - side + 1) * (p.shape[1] - side + 1) for p in self._parts]
        crops: list[Pixels] = []
        for part in source.choice(len(places), count, p=np.array(places) / sum(places)):
            pixels = self._parts[part]
            top, left = (int(source.integers(size - side + 1)) for size in pixels.shape[:2])
            crops.append(pixels[top : top + side, left : left + side])
        return np.stack(crops)

    def test(self) -> Pixels:
        """The test strip of both pictures, in tiles; what is left over is at the top."""
        return np.stack([crop for picture in self._bundled for crop in _tiles(picture)])

    def write(self) -> None:
        calibration = self.training(CALIBRATION, np.random.default_rng([SEED, 1]))
        np.savez_compressed(images.CALIBRATION_FILE, pixels=calibration)
        np.savez_compressed(images.TEST_FILE, pixels=self.test())


def _training_parts(pictures: list[Pixels]) -> Iterator[Pixels]:
    for picture in pictures:
        yield picture[:, : images.TESTED.start]
        yield picture[:, images.TESTED.stop :]


def _tiles(picture: Pixels) -> Iterator[Pixels]:
    side = images.SIDE
    for top in range(picture.shape[0] % side, picture.shape[0], side):
        for left in range(images.TESTED.start, images.TESTED.stop, side):
            yield picture[top : top + side, left : left + side]


def trained(recipe: Recipe, pictures: Pictures) -> Any:
    """The network after the last step, ready to be asked."""
    torch.manual_seed(SEED)
    net = built(recipe.upsampling).train()
    optimiser = torch.optim.Adam(net.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=recipe.steps)
    source = np.random.default_rng([SEED, 0])
    for _ in range(recipe.steps):
        crops = torch.from_numpy(images.scaled(pictures.training(BATCH, source)))
        loss = torch.nn.functional.mse_loss(net(crops), crops)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def psnr_of(net: Any, tested: images.Images) -> float:
    with torch.no_grad():
        return images.psnr(net(torch.from_numpy(tested)).numpy(), tested)


def write(net: Any, path: Path, psnr: str) -> None:
    """The network as ONNX: any number of images, of any size that is a multiple of four."""
    sizes = {0: "batch", 2: "height", 3: "width"}
    example = torch.zeros(1, RGB, images.SIDE, images.SIDE)
    facts = {"seed": str(SEED), "test_psnr": psnr, "trained_by": Path(__file__).name}
    export(net, path, example, {images.INPUT: sizes, images.OUTPUT: sizes}, facts)


def main() -> None:
    names = chosen(RECIPES)
    pictures = Pictures()
    pictures.write()
    for name in names:
        net = trained(RECIPES[name], pictures)
        psnr = f"{psnr_of(net, images.test_images()):.2f} dB"
        write(net, images.FOLDER / f"{name}.onnx", psnr)
        sys.stdout.write(f"{name}: {psnr}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

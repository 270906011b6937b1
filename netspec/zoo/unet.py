"""U-Nets: that of Ronneberger et al. 2015 in the padded form of today, and that of denoising diffusion."""

from netc.netspec.layers import Conv2d, TimeUnet, Unet
from netc.netspec.spec import NetSpec

SOURCE = "github.com/milesial/Pytorch-UNet, UNet(3, 2, bilinear=False); Ronneberger et al. 2015, fig. 1"


def unet() -> NetSpec:
    """64 to 1024 channels in four steps down and up, transposed convolutions, two classes for each pixel."""
    return NetSpec("unet", (224, 224, 3), (Unet(name="body"), Conv2d(2, 1, 1, "valid", name="head")), source=SOURCE)


def tiny_unet_diffusion() -> NetSpec:
    """Time-conditioned, of ten classes: 32 to 64 channels on images of 8x8; sides that 4 divides fit, 28x28 too."""
    source = "Ho et al. 2020, appendix B, in small, with an embedding of time and class in each block"
    return NetSpec("tiny-unet-diffusion", (8, 8, 3), (TimeUnet(1, 32, (1, 2, 2), classes=10, name="body"),), source)

"""The U-Net of Ronneberger et al. 2015 in the padded form with batch norm that is trained today."""

from netc.netspec.layers import Conv2d, Unet
from netc.netspec.spec import NetSpec

SOURCE = "github.com/milesial/Pytorch-UNet, UNet(3, 2, bilinear=False); Ronneberger et al. 2015, fig. 1"


def unet() -> NetSpec:
    """64 to 1024 channels in four steps down and up, transposed convolutions, two classes for each pixel."""
    return NetSpec("unet", (224, 224, 3), (Unet(name="body"), Conv2d(2, 1, 1, "valid", name="head")), source=SOURCE)

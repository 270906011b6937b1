"""The networks that netc knows by name."""

from __future__ import annotations

from functools import partial

from netc.netspec.vocabulary import Vocabulary
from netc.netspec.zoo import (
    alexnet,
    branching,
    cifar,
    convnext,
    densenet,
    dit,
    efficientnet,
    flux,
    googlenet,
    gpt,
    inception,
    llama,
    mamba,
    mnasnet,
    mnist,
    mobilenet,
    mobilevit,
    moe,
    nanochat,
    resnet,
    shufflenet,
    squeezenet,
    swin,
    unet,
    vae,
    vgg,
    vit,
)
from netc.netspec.zoo.sizes import Entry

ZOO: Vocabulary[Entry] = Vocabulary("net", "a name that `netc ls` shows")
ZOO.add("mnist-linear", Entry(mnist.mnist_linear, 7_850))
ZOO.add("mnist-mlp", Entry(mnist.mnist_mlp, 669_706))
ZOO.add("mnist-cnn", Entry(mnist.mnist_cnn, 1_676_458))
ZOO.add("cifar-cnn", Entry(cifar.cifar_cnn, 2_431_018))
ZOO.add("cifar-bn", Entry(cifar.cifar_bn, 2_431_210))
ZOO.add("resnet18", Entry(partial(resnet.resnet, "resnet18"), 11_689_512))
ZOO.add("resnet34", Entry(partial(resnet.resnet, "resnet34"), 21_797_672))
ZOO.add("resnet50", Entry(partial(resnet.resnet, "resnet50"), 25_557_032))
ZOO.add("resnet101", Entry(partial(resnet.resnet, "resnet101"), 44_549_160))
ZOO.add("resnet152", Entry(partial(resnet.resnet, "resnet152"), 60_192_808))
ZOO.add("wide_resnet50_2", Entry(partial(resnet.resnet, "wide_resnet50_2"), 68_883_240))
ZOO.add("resnext50_32x4d", Entry(partial(resnet.resnet, "resnext50_32x4d"), 25_028_904))
ZOO.add("alexnet", Entry(alexnet.alexnet, 61_100_840))
ZOO.add("vgg11", Entry(partial(vgg.vgg, "vgg11"), 132_863_336))
ZOO.add("vgg13", Entry(partial(vgg.vgg, "vgg13"), 133_047_848))
ZOO.add("vgg16", Entry(partial(vgg.vgg, "vgg16"), 138_357_544))
ZOO.add("vgg19", Entry(partial(vgg.vgg, "vgg19"), 143_667_240))
ZOO.add("vgg11_bn", Entry(partial(vgg.vgg, "vgg11_bn"), 132_868_840))
ZOO.add("vgg13_bn", Entry(partial(vgg.vgg, "vgg13_bn"), 133_053_736))
ZOO.add("vgg16_bn", Entry(partial(vgg.vgg, "vgg16_bn"), 138_365_992))
ZOO.add("vgg19_bn", Entry(partial(vgg.vgg, "vgg19_bn"), 143_678_248))
ZOO.add("squeezenet1_0", Entry(partial(squeezenet.squeezenet, "squeezenet1_0"), 1_248_424))
ZOO.add("squeezenet1_1", Entry(partial(squeezenet.squeezenet, "squeezenet1_1"), 1_235_496))
ZOO.add("densenet121", Entry(partial(densenet.densenet, "densenet121"), 7_978_856))
ZOO.add("densenet169", Entry(partial(densenet.densenet, "densenet169"), 14_149_480))
ZOO.add("densenet201", Entry(partial(densenet.densenet, "densenet201"), 20_013_928))
ZOO.add("googlenet", Entry(googlenet.googlenet, 6_624_904))  # without its auxiliary heads
ZOO.add("inception_v3", Entry(inception.inception_v3, 23_834_568))  # without its auxiliary head
ZOO.add("shufflenet_v2_x0_5", Entry(partial(shufflenet.shufflenet_v2, "shufflenet_v2_x0_5"), 1_366_792))
ZOO.add("shufflenet_v2_x1_0", Entry(partial(shufflenet.shufflenet_v2, "shufflenet_v2_x1_0"), 2_278_604))
ZOO.add("resnet18-cifar", Entry(partial(resnet.resnet_cifar, "resnet18"), 11_173_962))
ZOO.add("resnet34-cifar", Entry(partial(resnet.resnet_cifar, "resnet34"), 21_282_122))
ZOO.add("convnext_tiny", Entry(partial(convnext.convnext, "convnext_tiny"), 28_589_128))
ZOO.add("convnext_small", Entry(partial(convnext.convnext, "convnext_small"), 50_223_688))
ZOO.add("convnext_base", Entry(partial(convnext.convnext, "convnext_base"), 88_591_464))
ZOO.add("tiny-gpt", Entry(gpt.tiny_gpt, 808_320))
ZOO.add("gpt2", Entry(gpt.gpt2, 124_439_808))
ZOO.add("gpt2-medium", Entry(gpt.gpt2_medium, 354_823_168))
ZOO.add("gpt2-large", Entry(gpt.gpt2_large, 774_030_080))
ZOO.add("gpt2-xl", Entry(gpt.gpt2_xl, 1_557_611_200))
ZOO.add("tiny-llama", Entry(llama.tiny_llama, 746_752))
ZOO.add("smollm2-135m", Entry(llama.smollm2_135m, 134_515_008))
ZOO.add("llama-3.2-1b", Entry(llama.llama_3_2_1b, 1_235_814_400))
ZOO.add("tiny-moe", Entry(moe.tiny_moe, 1_783_040))
ZOO.add("tiny-nanochat", Entry(nanochat.tiny_nanochat, 819_968))
ZOO.add("tiny-nanochat-gated", Entry(nanochat.tiny_nanochat_gated, 819_842))
ZOO.add("tiny-mamba", Entry(mamba.tiny_mamba, 474_880))
ZOO.add("mobilenet_v1", Entry(mobilenet.mobilenet_v1, 4_231_976))
ZOO.add("mobilenet_v2", Entry(mobilenet.mobilenet_v2, 3_504_872))
ZOO.add("mobilenet_v3_large", Entry(partial(mobilenet.mobilenet_v3, "mobilenet_v3_large"), 5_483_032))
ZOO.add("mobilenet_v3_small", Entry(partial(mobilenet.mobilenet_v3, "mobilenet_v3_small"), 2_542_856))
ZOO.add("mobilenetv4_conv_small", Entry(partial(mobilenet.mobilenetv4, "mobilenetv4_conv_small"), 3_774_024))
ZOO.add("mobilenetv4_conv_medium", Entry(partial(mobilenet.mobilenetv4, "mobilenetv4_conv_medium"), 9_715_512))
ZOO.add("mnasnet1_0", Entry(mnasnet.mnasnet1_0, 4_383_312))
ZOO.add("efficientnet_b0", Entry(partial(efficientnet.efficientnet, "efficientnet_b0"), 5_288_548))
ZOO.add("efficientnet_b1", Entry(partial(efficientnet.efficientnet, "efficientnet_b1"), 7_794_184))
ZOO.add("efficientnet_b2", Entry(partial(efficientnet.efficientnet, "efficientnet_b2"), 9_109_994))
ZOO.add("efficientnet_b3", Entry(partial(efficientnet.efficientnet, "efficientnet_b3"), 12_233_232))
ZOO.add("efficientnet_v2_s", Entry(efficientnet.efficientnet_v2_s, 21_458_488))
ZOO.add("vit_tiny_patch16_224", Entry(partial(vit.vit, "vit_tiny_patch16_224"), 5_717_416))
ZOO.add("vit_small_patch16_224", Entry(partial(vit.vit, "vit_small_patch16_224"), 22_050_664))
ZOO.add("vit_base_patch16_224", Entry(partial(vit.vit, "vit_base_patch16_224"), 86_567_656))
ZOO.add("deit_tiny_patch16_224", Entry(partial(vit.vit, "deit_tiny_patch16_224"), 5_717_416))
ZOO.add("vit_tiny_patch4_32", Entry(partial(vit.vit, "vit_tiny_patch4_32"), 5_362_762))
ZOO.add("swin_t", Entry(partial(swin.swin, "swin_t"), 28_288_354))
ZOO.add("swin_s", Entry(partial(swin.swin, "swin_s"), 49_606_258))
ZOO.add("swin_b", Entry(partial(swin.swin, "swin_b"), 87_768_224))
ZOO.add("mobilevit_s", Entry(mobilevit.mobilevit_s, 5_578_632))
ZOO.add("unet", Entry(unet.unet, 31_037_698))
ZOO.add("tiny-dit", Entry(partial(dit.dit, "tiny-dit"), 1_272_324))
ZOO.add("tiny-dit-28", Entry(partial(dit.dit, "tiny-dit-28"), 1_275_408))
ZOO.add("dit_s_2", Entry(partial(dit.dit, "dit_s_2"), 32_865_056))
ZOO.add("dit_b_2", Entry(partial(dit.dit, "dit_b_2"), 130_315_808))
ZOO.add("dit_l_2", Entry(partial(dit.dit, "dit_l_2"), 457_840_672))
ZOO.add("dit_xl_2", Entry(partial(dit.dit, "dit_xl_2"), 674_834_720))
ZOO.add("tiny-mdm", Entry(dit.tiny_mdm, 1_302_656))
ZOO.add("tiny-branching", Entry(branching.tiny_branching, 153_348))
ZOO.add("tiny-flux", Entry(partial(flux.flux, "tiny-flux"), 1_645_700))
ZOO.add("flux-4b", Entry(partial(flux.flux, "flux-4b"), 3_876_560_000))
ZOO.add("tiny-unet-diffusion", Entry(unet.tiny_unet_diffusion, 691_649))
ZOO.add("tiny-vae", Entry(vae.tiny_vae, 41_093))

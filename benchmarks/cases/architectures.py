"""Published networks of the kinds that users run, built of `nn` or of ``torch.nn`` by the same lines.

Each returns a module whose output is scores of classes, (N, classes) or (N, classes, positions ...).
"""

import itertools

import torch


def resnet18(library):
    """18 layers of 3 x 3 convolutions with shortcuts; 224 x 224 pixels.

    Reference: He et al., "Deep residual learning for image recognition" (2016), table 1.
    """

    class Block(library.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1 = library.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = library.BatchNorm2d(outputs)
            self.conv2 = library.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = library.BatchNorm2d(outputs)
            self.relu = library.ReLU()
            self.downsample = None
            if stride > 1:
                convolution = library.Conv2d(inputs, outputs, 1, stride, bias=False)
                self.downsample = library.Sequential(convolution, library.BatchNorm2d(outputs))

        def forward(self, x):
            shortcut = x if self.downsample is None else self.downsample(x)
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + shortcut)

    widths = (64, 64, 64, 128, 128, 256, 256, 512, 512)
    return library.Sequential(
        *normalized(library, 3, 64, 7, 2, 3),
        library.MaxPool2d(3, 2, 1),
        *(Block(inputs, outputs, outputs // inputs) for inputs, outputs in itertools.pairwise(widths)),
        *head(library, 512, 1000),
    )


def mobilenet_v2(library):
    """Depthwise 3 x 3 between two 1 x 1 convolutions, 17 times; 224 x 224 pixels.

    Reference: Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (2018), table 2.
    """

    class Block(library.Module):
        def __init__(self, inputs, outputs, stride, expansion):
            super().__init__()
            hidden = inputs * expansion
            expand = normalized(library, inputs, hidden, activation=library.ReLU6) if expansion > 1 else []
            depthwise = normalized(library, hidden, hidden, 3, stride, 1, hidden, library.ReLU6)
            self.layers = library.Sequential(*expand, *depthwise, *normalized(library, hidden, outputs)[:2])
            self.adds = stride == 1 and inputs == outputs

        def forward(self, x):
            y = self.layers(x)
            return x + y if self.adds else y

    stages = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
    blocks, inputs = [], 32
    for expansion, outputs, count, stride in stages:
        for i in range(count):
            blocks.append(Block(inputs, outputs, 1 if i else stride, expansion))
            inputs = outputs
    first = normalized(library, 3, 32, 3, 2, 1, activation=library.ReLU6)
    last = normalized(library, 320, 1280, activation=library.ReLU6)
    return library.Sequential(*first, *blocks, *last, *head(library, 1280, 1000))


def inception(library):
    """The layers of Inception-v3 to its 17 x 17 blocks: 1 x 7 and 7 x 1 convolutions; 299 x 299 pixels.

    Reference: Szegedy et al., "Rethinking the Inception architecture for computer vision" (2016), table 1, figure 6.
    """

    def chain(*layers):
        return library.Sequential(*itertools.chain.from_iterable(normalized(library, *layer) for layer in layers))

    class Branches(library.Module):
        """Branches side by side, their channels one after the other."""

        def __init__(self, *branches):
            super().__init__()
            self.branches = library.ModuleList(branches)

        def forward(self, x):
            return cat([branch(x) for branch in self.branches], 1)

    def averaged(inputs, outputs):
        return library.Sequential(library.AvgPool2d(3, 1, 1), *normalized(library, inputs, outputs))

    cat = _cat_of(library)
    wide, tall = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))
    return library.Sequential(
        *normalized(library, 3, 32, 3, 2),
        *normalized(library, 32, 32, 3),
        *normalized(library, 32, 64, 3, 1, 1),
        library.MaxPool2d(3, 2),
        *normalized(library, 64, 80),
        *normalized(library, 80, 192, 3),
        library.MaxPool2d(3, 2),
        Branches(
            chain((192, 64)),
            chain((192, 48), (48, 64, 5, 1, 2)),
            chain((192, 64), (64, 96, 3, 1, 1), (96, 96, 3, 1, 1)),
            averaged(192, 32),
        ),
        Branches(chain((256, 384, 3, 2)), chain((256, 64), (64, 96, 3, 1, 1), (96, 96, 3, 2)), library.MaxPool2d(3, 2)),
        Branches(
            chain((736, 192)),
            chain((736, 128), (128, 128, *wide), (128, 192, *tall)),
            chain((736, 128), (128, 128, *tall), (128, 128, *wide), (128, 128, *tall), (128, 192, *wide)),
            averaged(736, 192),
        ),
        *head(library, 768, 1000),
    )


def vit(library):
    """ViT-Ti/16: 12 transformer layers of width 192 on patches of 16 x 16; 224 x 224 pixels.

    Reference: Touvron et al., "Training data-efficient image transformers" (2021), table 1.
    """
    width, heads, layers, patch, size = 192, 3, 12, 16, 224

    class ViT(library.Module):
        def __init__(self):
            super().__init__()
            self.patches = library.Conv2d(3, width, patch, patch)
            self.positions = library.Embedding((size // patch) ** 2, width)
            layer = library.TransformerEncoderLayer(
                width, heads, 4 * width, 0.0, library.functional.gelu, batch_first=True, norm_first=True
            )
            self.encoder = library.TransformerEncoder(
                layer, layers, library.LayerNorm(width), enable_nested_tensor=False
            )
            self.head = library.Linear(width, 1000)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2) + self.positions.weight
            return self.head(self.encoder(x).mean(1))

    return ViT()


def unet(library):
    """Three halvings and three transposed convolutions with shortcuts, 32 channels first; 128 x 128 pixels.

    Reference: Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation" (2015), figure 1.
    """
    cat, widths = _cat_of(library), (32, 64, 128, 256)

    def twice(inputs, outputs):
        layers = normalized(library, inputs, outputs, 3, 1, 1) + normalized(library, outputs, outputs, 3, 1, 1)
        return library.Sequential(*layers)

    class UNet(library.Module):
        def __init__(self):
            super().__init__()
            self.down = library.ModuleList([twice(i, o) for i, o in itertools.pairwise((1, *widths))])
            pairs = list(itertools.pairwise(widths[::-1]))
            self.up = library.ModuleList([library.ConvTranspose2d(i, o, 2, 2) for i, o in pairs])
            self.merge = library.ModuleList([twice(i, o) for i, o in pairs])
            self.pool = library.MaxPool2d(2)
            self.head = library.Conv2d(widths[0], 2, 1)

        def forward(self, x):
            kept = []
            for i, layer in enumerate(self.down):
                x = layer(self.pool(x) if i else x)
                kept.append(x)
            for up, merge, shortcut in zip(self.up, self.merge, kept[-2::-1], strict=True):
                x = merge(cat([shortcut, up(x)], 1))
            return self.head(x)

    return UNet()


def crepe(library):
    """CREPE "tiny", the pitch of frames of 1,024 samples: 1-D convolutions of 512 and of 64 taps.

    Reference: Kim et al., "CREPE: a convolutional representation for pitch estimation" (2018), figure 1.
    """
    widths = (1, 128, 16, 16, 16, 32, 64)
    layers = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        taps, stride, padding = (64, 1, (31, 32)) if i else (512, 4, (254, 254))
        layers += [library.ConstantPad1d(padding, 0.0), library.Conv1d(inputs, outputs, taps, stride), library.ReLU()]
        layers += [library.BatchNorm1d(outputs), library.MaxPool1d(2)]
    return library.Sequential(*layers, library.Flatten(), library.Linear(256, 360))


def conv_lstm(library):
    """DeepConvLSTM, activities from 113 sensors over 24 steps: four convolutions of 5 x 1, two layers of LSTM.

    Reference: Ordonez and Roggen, "Deep convolutional and LSTM recurrent neural networks for multimodal wearable
    activity recognition" (2016), figure 2.
    """
    sensors, filters, units = 113, 64, 128

    class ConvLSTM(library.Module):
        def __init__(self):
            super().__init__()
            pairs = itertools.pairwise((1, *[filters] * 4))
            layers = [(library.Conv2d(inputs, outputs, (5, 1)), library.ReLU()) for inputs, outputs in pairs]
            self.convolutions = library.Sequential(*itertools.chain.from_iterable(layers))
            self.lstm = library.LSTM(filters * sensors, units, 2, batch_first=True)
            self.head = library.Linear(units, 18)

        def forward(self, x):
            x = self.convolutions(x).transpose(1, 2).flatten(2)
            return self.head(self.lstm(x)[0][:, -1])

    return ConvLSTM()


def speaker_encoder(library):
    """A voice as a vector: three layers of LSTM of 256 over 160 frames of 40 mel bands (Resemblyzer's network).

    Reference: Wan et al., "Generalized end-to-end loss for speaker verification" (2018), section 3.
    """

    class SpeakerEncoder(library.Module):
        def __init__(self):
            super().__init__()
            self.lstm = library.LSTM(40, 256, 3, batch_first=True)
            self.linear = library.Linear(256, 256)

        def forward(self, x):
            x = library.functional.relu(self.linear(self.lstm(x)[1][0][-1]))
            return x / (x * x).sum(1, keepdim=True).sqrt()

    return SpeakerEncoder()


def tcn(library):
    """A temporal convolutional network: 8 residual levels of 25 channels, 7 taps, dilations to 128; 784 steps.

    Reference: Bai et al., "An empirical evaluation of generic convolutional and recurrent networks" (2018), section 3.
    """
    channels, taps, levels = 25, 7, 8

    class Level(library.Module):
        def __init__(self, inputs, dilation):
            super().__init__()
            self.pad = library.ConstantPad1d(((taps - 1) * dilation, 0), 0.0)
            self.conv1 = library.Conv1d(inputs, channels, taps, dilation=dilation)
            self.conv2 = library.Conv1d(channels, channels, taps, dilation=dilation)
            self.relu = library.ReLU()
            self.shortcut = library.Conv1d(inputs, channels, 1) if inputs != channels else None

        def forward(self, x):
            y = self.relu(self.conv1(self.pad(x)))
            y = self.relu(self.conv2(self.pad(y)))
            return self.relu(y + (x if self.shortcut is None else self.shortcut(x)))

    class TCN(library.Module):
        def __init__(self):
            super().__init__()
            self.levels = library.Sequential(*(Level(channels if i else 1, 2**i) for i in range(levels)))
            self.head = library.Linear(channels, 10)

        def forward(self, x):
            return self.head(self.levels(x)[:, :, -1])

    return TCN()


def normalized(library, inputs, outputs, kernel=1, stride=1, padding=0, groups=1, activation=None):
    """A convolution, batch normalisation and a rectifier."""
    convolution = library.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return [convolution, library.BatchNorm2d(outputs), (activation or library.ReLU)()]


def head(library, channels, classes):
    """Means of the channels and scores."""
    return [library.AdaptiveAvgPool2d(1), library.Flatten(), library.Linear(channels, classes)]


def _cat_of(library):
    """`cat` is a function of `nn`, and of ``torch`` rather than ``torch.nn``."""
    return torch.cat if library is torch.nn else library.cat

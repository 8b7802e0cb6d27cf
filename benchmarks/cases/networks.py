"""The networks that are trained here and in the experiments, built of `nn` or of ``torch.nn`` by the same lines."""

import itertools

MLP = (784, 256, 128, 10)
RESNET_STAGES = (16, 32, 64)  # channels; each stage but the first halves the image
RESNET_BLOCKS = 3  # in each stage: 6 · 3 + 2 layers


def mlp(library):
    """A perceptron of 28 × 28 pixels with two hidden layers."""
    first, second, third = (library.Linear(i, o) for i, o in itertools.pairwise(MLP))
    return library.Sequential(first, library.ReLU(), second, library.ReLU(), third)


def lenet5(library):
    """LeNet-5 of 28 × 28 pixels, with rectifiers and maxima where the original has tanh and means.

    Reference: LeCun et al., "Gradient-based learning applied to document recognition" (1998), section II.B.
    """
    return library.Sequential(
        library.Conv2d(1, 6, 5, padding=2),
        library.ReLU(),
        library.MaxPool2d(2),
        library.Conv2d(6, 16, 5),
        library.ReLU(),
        library.MaxPool2d(2),
        library.Flatten(),
        library.Linear(400, 120),
        library.ReLU(),
        library.Linear(120, 84),
        library.ReLU(),
        library.Linear(84, 10),
    )


def resnet20(library, channels=3):
    """The residual network of 20 layers for small images of `channels` channels and 10 classes.

    Where a block halves the image, its shortcut takes every second pixel and adds channels of zeros.

    Reference: He et al., "Deep residual learning for image recognition" (2016), section 4.2.
    """

    def convolution(inputs, outputs, stride=1):
        return library.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)

    class Block(library.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.stride, self.added = outputs // inputs, outputs - inputs
            self.conv1 = convolution(inputs, outputs, self.stride)
            self.bn1 = library.BatchNorm2d(outputs)
            self.relu = library.ReLU()
            self.conv2 = convolution(outputs, outputs)
            self.bn2 = library.BatchNorm2d(outputs)

        def forward(self, x):
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            if self.added:
                x = x[:, :, :: self.stride, :: self.stride]
                x = library.functional.pad(x, (0, 0, 0, 0, self.added // 2, self.added // 2))
            return self.relu(y + x)

    first = RESNET_STAGES[0]
    widths = [first, *(width for width in RESNET_STAGES for _ in range(RESNET_BLOCKS))]
    blocks = [Block(inputs, outputs) for inputs, outputs in itertools.pairwise(widths)]
    head = [library.AdaptiveAvgPool2d(1), library.Flatten(), library.Linear(widths[-1], 10)]
    return library.Sequential(convolution(channels, first), library.BatchNorm2d(first), library.ReLU(), *blocks, *head)


def character_model(library, symbols=103, width=256):
    """A vector for each character, two layers of LSTM, and a score for each character that may follow."""

    class CharacterModel(library.Module):
        def __init__(self):
            super().__init__()
            self.embedding = library.Embedding(symbols, width)
            self.lstm = library.LSTM(width, width, num_layers=2)
            self.head = library.Linear(width, symbols)

        def walk(self, ids, hx=None):
            """Scores (T, B, symbols) after each of the characters (T, B), and the states after the last."""
            y, hx = self.lstm(self.embedding(ids), hx)
            return self.head(y), hx

        def forward(self, ids):
            return self.walk(ids)[0].reshape(-1, symbols)

    return CharacterModel()


def gpt(library, symbols=103, context=128, width=128, layers=4, heads=4, tied=True):
    """The decoder of `nn.models`, with a row of scores for each character; for PyTorch it is written out here."""

    class Block(library.Module):
        def __init__(self):
            super().__init__()
            self.norm1 = library.LayerNorm(width)
            self.attention = Attention()
            self.norm2 = library.LayerNorm(width)
            self.expand = library.Linear(width, 4 * width)
            self.contract = library.Linear(4 * width, width)

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.contract(library.functional.gelu(self.expand(self.norm2(x))))

    class Attention(library.Module):
        def __init__(self):
            super().__init__()
            self.qkv = library.Linear(width, 3 * width)
            self.output = library.Linear(width, width)

        def forward(self, x):
            B, T, _ = x.shape
            shape = (B, T, heads, width // heads)
            q, k, v = (part.reshape(shape).transpose(1, 2) for part in self.qkv(x).split(width, -1))
            y = library.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.output(y.transpose(1, 2).reshape(B, T, width))

    class Decoder(library.Module):
        def __init__(self):
            super().__init__()
            self.token = library.Embedding(symbols, width)
            self.position = library.Embedding(context, width)
            self.blocks = library.ModuleList([Block() for _ in range(layers)])
            self.norm = library.LayerNorm(width)
            self.head = library.Linear(width, symbols, bias=False)
            if tied:
                self.head.weight = self.token.weight

        def forward(self, ids):
            x = self.token(ids) + self.position.weight[: ids.shape[1]]
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    class Trained(library.Module):
        def __init__(self):
            super().__init__()
            sizes = {"context": context, "width": width, "layers": layers, "heads": heads, "tied": tied}
            ours = hasattr(library, "models")
            self.decoder = library.models.GPT(symbols, **sizes) if ours else Decoder()

        def forward(self, ids):
            return self.decoder(ids).reshape(-1, symbols)

    return Trained()


def bert(torch, weights, ids, attention_mask=None, heads=12, eps=1e-12, token_type_ids=None):
    """The vectors (B, T, width) of `nn.models.BERT` by PyTorch's functions; `weights` has the names of its state."""
    F = torch.nn.functional

    def linear(name, x):
        return F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def normalized(name, x):
        return F.layer_norm(
            x, x.shape[-1:], weights[f"{name}.LayerNorm.weight"], weights[f"{name}.LayerNorm.bias"], eps
        )

    B, T = ids.shape
    mask = None if attention_mask is None else attention_mask[:, None, None, :].bool()
    words, places, kinds = (weights[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
    kind = kinds[0] if token_type_ids is None else F.embedding(token_type_ids, kinds)
    x = normalized("embeddings", F.embedding(ids, words) + places[:T] + kind)
    shape = B, T, heads, x.shape[-1] // heads
    for layer in itertools.count():
        name = f"encoder.layer.{layer}"
        if f"{name}.output.dense.weight" not in weights:
            return x
        parts = (linear(f"{name}.attention.self.{part}", x) for part in ("query", "key", "value"))
        q, k, v = (part.view(shape).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2).reshape(x.shape)
        x = normalized(f"{name}.attention.output", linear(f"{name}.attention.output.dense", y) + x)
        y = linear(f"{name}.output.dense", F.gelu(linear(f"{name}.intermediate.dense", x)))
        x = normalized(f"{name}.output", y + x)

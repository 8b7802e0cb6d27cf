"""Who speaks? The Resemblyzer speaker encoder, with its trained weights, on spoken clips, beside PyTorch.

The encoder is three layers of LSTM that read 40 frequency bands, a hundred times a second; the last state becomes a
vector of length 1, and voices are alike as far as their vectors point the same way. Weights come from the package
``resemblyzer`` (which is not imported: it would need librosa), clips from Debian's ``alsa-utils``: eight by one speaker
and a noise. Ours and PyTorch's vectors must agree within 1e-5; the time per clip is measured side by side at the same
number of threads. The picture in ``figures/`` shows what the encoder hears, and the similarities.

    python -m experiments.trainings.speech [--sounds FOLDER] [--weights FILE] [--threads N]

Reference: Wan et al., "Generalized end-to-end loss for speaker verification" (2018); features and weights are those of
the package resemblyzer, but silence is left in.
"""

import argparse
import importlib.util
import wave
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import kernels
import nn
from nn import plot

FIGURES = Path(__file__).parent / "figures"
SOUNDS = Path("/usr/share/sounds/alsa")
RATE = 16_000  # samples a second
WINDOW, HOP = RATE * 25 // 1000, RATE * 10 // 1000  # samples
BANDS = 40
PART, PART_STEP = 160, 77  # frames of 10 ms that the encoder sees at once, and from one part to the next
COVERED = 0.75  # share of the last part that must be sound
LOUDNESS = -30  # dB below full scale, at least
TOLERANCE = 1e-5
ROUNDS = 10


# --- what the encoder hears -------------------------------------------------------------------------------------------


def read_wav(path):
    """The sound of a file as float32 at 16,000 samples a second, both channels averaged."""
    with wave.open(str(path)) as file:
        rate, channels, size = file.getframerate(), file.getnchannels(), file.getsampwidth()
        if size != 2 or rate % RATE:
            raise ValueError(f"{path}: needs 16 bits at a multiple of {RATE} Hz, got {8 * size} bits at {rate} Hz")
        samples = np.frombuffer(file.readframes(file.getnframes()), np.dtype("<i2"))
    return slower(samples.reshape(-1, channels).mean(axis=1) / 32768, rate // RATE).astype(np.float32)


def slower(sound, factor):
    """Every `factor`-th sample, once what would fold over has been filtered out: a sinc under a Kaiser window."""
    if factor == 1:
        return sound
    reach = 32 * factor
    taps = np.sinc(np.arange(-reach, reach + 1) * 0.95 / factor) * np.kaiser(2 * reach + 1, 10)
    return np.convolve(sound, taps / taps.sum(), mode="same")[::factor]


def loud(sound):
    """The sound, made louder if its power is below `LOUDNESS`."""
    level = 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12)
    return sound * np.float32(10 ** (max(LOUDNESS - level, 0) / 20))


def mel_filters():
    """Triangles over the frequencies of a spectrum, (bands, WINDOW // 2 + 1), each with an area of 1.

    Slaney's scale of pitch: linear up to 1,000 Hz, logarithmic above.
    """
    top = 15 + np.log(RATE / 2 / 1000) * 27 / np.log(6.4)
    marks = np.linspace(0, top, BANDS + 2)
    edges = np.where(marks < 15, marks * 200 / 3, 1000 * np.exp((marks - 15) * np.log(6.4) / 27))
    frequencies = np.linspace(0, RATE / 2, WINDOW // 2 + 1)
    low, center, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (frequencies - low) / (center - low), (high - frequencies) / (high - center)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)


def mel_spectrogram(sound):
    """The power in each band, (frames, bands), in windows of 25 ms every 10 ms; beyond the ends is silence."""
    padded = np.pad(sound.astype(np.float64), WINDOW // 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    spectrum = np.fft.rfft(sliding_window_view(padded, WINDOW)[::HOP] * hann)
    return (np.abs(spectrum) ** 2 @ mel_filters().T).astype(np.float32)


def parts(sound):
    """What the encoder sees of a sound, (parts, PART, bands): overlapping, the last one filled up with silence."""
    frames = -(-(len(sound) + 1) // HOP)
    starts = list(range(0, max(1, frames - PART + PART_STEP + 1), PART_STEP))
    if len(starts) > 1 and len(sound) / HOP - starts[-1] < COVERED * PART:
        starts.pop()
    mel = mel_spectrogram(np.pad(sound, (0, max(0, (starts[-1] + PART) * HOP - len(sound)))))
    return np.stack([mel[start : start + PART] for start in starts])


# --- the encoder ------------------------------------------------------------------------------------------------------


def encoder(library, units=256, layers=3):
    """The network, from `nn` or from `torch.nn`."""

    class Encoder(library.Module):
        def __init__(self):
            super().__init__()
            self.lstm = library.LSTM(BANDS, units, layers, batch_first=True)
            self.linear = library.Linear(units, units)
            self.relu = library.ReLU()

        def forward(self, mel):
            _, (h, _) = self.lstm(mel)
            y = self.relu(self.linear(h[-1]))
            return y / (y * y).sum(1, True).sqrt()

    return Encoder()


def packaged_weights():
    """The file of the installed package resemblyzer, None without it."""
    found = importlib.util.find_spec("resemblyzer")
    return None if found is None else Path(found.submodule_search_locations[0]) / "pretrained.pt"


def pair(weights):
    """Our encoder and PyTorch's with the weights of a file."""
    import torch

    state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
    state = {name: value for name, value in state.items() if name.startswith(("lstm.", "linear."))}
    units = state["linear.weight"].shape[0]
    layers = sum(name.startswith("lstm.weight_ih_l") for name in state)
    ours, theirs = encoder(nn, units, layers), encoder(torch.nn, units, layers)
    ours.load_state_dict(state)
    theirs.load_state_dict(state)
    return ours.eval(), theirs.eval()


def embed(mel, ours, theirs):
    """The vector of one clip by both libraries: the mean of its parts', of length 1."""
    import torch

    with nn.no_grad(), torch.no_grad():
        both = ours(nn.Tensor(mel)).array, theirs(torch.from_numpy(mel)).numpy()
    means = [each.mean(axis=0) for each in both]
    return [mean / np.linalg.norm(mean) for mean in means]


def times(mels, ours, theirs, rounds):
    """Median seconds for a clip, ours and PyTorch's, taken in turns."""
    import torch

    turns = [(ours, list(map(nn.Tensor, mels)), []), (theirs, list(map(torch.from_numpy, mels)), [])]
    with nn.no_grad(), torch.no_grad():
        for _ in range(rounds):
            for network, clips, seconds in turns:
                for clip in clips:
                    begin = perf_counter()
                    network(clip)
                    seconds.append(perf_counter() - begin)
    return [median(seconds) for *_, seconds in turns]


# --- the experiment ---------------------------------------------------------------------------------------------------


def draw(names, mels, similarities, path):
    """The bands of the first clip over time, and how alike all clips are."""
    canvas, (left, right) = plot.figure(13, 5, columns=2, width_ratios=(1, 1.1))
    heard = 10 * np.log10(mels[0][0].T + 1e-10)
    image = left.imshow(heard, origin="lower", aspect="auto", cmap=plot.SEQUENTIAL, vmin=heard.max() - 60)
    left.set(xlabel="time (10 ms)", ylabel=f"{BANDS} bands, low to high", title=f"What the encoder hears: {names[0]}")
    left.spines[:].set_visible(False)
    canvas.colorbar(image, ax=left, label="dB").outline.set_visible(False)
    plot.grid(similarities, names, names, ax=right, label="cosine", limits=(0.3, 1), title="Similarity of the voices")
    canvas.savefig(path)


def missing(sounds, weights):
    """What to install, where something is not found."""
    if not (weights and weights.is_file()):
        return "no weights: pip install --no-deps resemblyzer, or --weights FILE with its pretrained.pt"
    if not sorted(sounds.glob("*.wav")):
        return f"no clips in {sounds}: apt-get install alsa-utils, or --sounds FOLDER with .wav files"
    return None


def run(sounds=SOUNDS, weights=None, threads=None, folder=FIGURES, rounds=ROUNDS):
    """Embed every clip by both libraries; print, time and draw.

    Returns
    -------
    dict or None
        ``names``; ``similarities``, a matrix; ``difference``, the largest between the two libraries' vectors;
        ``ours_seconds`` and ``torch_seconds`` per clip. None where clips or weights are missing, which is printed.
    """
    weights = weights or packaged_weights()
    if message := missing(sounds, weights):
        print(message)
        return None
    import torch

    threads = threads or kernels.get_num_threads()
    kernels.set_num_threads(threads)
    torch.set_num_threads(threads)
    ours, theirs = pair(weights)
    files = sorted(sounds.glob("*.wav"))
    names = [file.stem.replace("_", " ") for file in files]
    mels = [parts(loud(read_wav(file))) for file in files]
    vectors = np.array([embed(mel, ours, theirs) for mel in mels])
    difference = np.abs(vectors[:, 0] - vectors[:, 1]).max().item()
    similarities = vectors[:, 0] @ vectors[:, 0].T
    # Starting one library's threads can change the other's number: assert after both have run.
    assert kernels.get_num_threads() == torch.get_num_threads() == threads
    seconds = times(mels, ours, theirs, rounds)
    assert kernels.get_num_threads() == torch.get_num_threads() == threads

    width = max(map(len, names))
    print("similarity of the voices (cosine):")
    for name, row in zip(names, similarities, strict=True):
        print(f"  {name:{width}}  " + "  ".join(f"{value:.2f}" for value in row))
    verdict = "equal" if difference <= TOLERANCE else "NOT equal"
    print(f"vectors, ours and PyTorch's: {verdict} within {TOLERANCE:g}, largest difference {difference:.1e}")
    print(f"median time per clip, {threads} thread{'s' if threads > 1 else ''} each:")
    print(f"  innerloop {seconds[0] * 1e3:7.3f} ms")
    print(f"  PyTorch   {seconds[1] * 1e3:7.3f} ms  ({seconds[1] / seconds[0]:.2f} times ours)")
    folder.mkdir(parents=True, exist_ok=True)
    draw(names, mels, similarities, folder / "speech.png")
    print(f"picture: {folder}/speech.png")
    found = {"names": names, "similarities": similarities, "difference": difference}
    return found | {"ours_seconds": seconds[0], "torch_seconds": seconds[1]}


def main():
    parser = argparse.ArgumentParser(description="Tell voices apart with trained weights, beside PyTorch.")
    parser.add_argument("--sounds", type=Path, default=SOUNDS, help="folder of .wav files")
    parser.add_argument("--weights", type=Path, help="pretrained.pt of resemblyzer (default: the installed package's)")
    parser.add_argument("--threads", type=int, help="threads of both libraries (default: all that kernels would use)")
    options = parser.parse_args()
    result = run(options.sounds, options.weights, options.threads)
    raise SystemExit(result is None or result["difference"] > TOLERANCE)


if __name__ == "__main__":
    main()

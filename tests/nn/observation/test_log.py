"""The log of observations."""

import csv
import json
import math

import numpy as np
import pytest

import nn
from tests.nn.observation.training import perceptron, train


@pytest.fixture(scope="module")
def log():
    model = perceptron()
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    with nn.observe(model, optimizer, every=2, quantiles=(0.5,), histogram=[-1, 0, 1]) as log:
        train(model, optimizer, 5, log)
    return log


def test_shapes(log):
    assert log.steps == [0, 2, 4] and log.layers == list("01234") and len(log.parameters) == 6
    for values in (log.activations, log.gradients):
        counts, edges = values.pop("histogram")
        assert counts.shape == (3, 5, 2) and edges.tolist() == [-1, 0, 1]
        assert values.pop("quantiles").shape == (3, 5, 1)
        assert all(array.shape == (3, 5) for array in values.values())
    assert list(log.weights) == ["norm", "gradient_norm", "update", "ratio"]
    assert all(array.shape == (3, 6) for array in log.weights.values())


def test_table(log):
    step, layers, parameters = log.table().split("\n\n")
    assert step == "step 4"
    heading, *lines = layers.splitlines()
    assert heading.split("  ")[0].strip() == "layer" and "gradient std" in heading
    assert [line.split()[0] for line in lines] == log.layers
    assert float(lines[1].split()[2]) == pytest.approx(log.activations["std"][-1, 1], rel=5e-3)
    assert lines[0].split()[4] == "-"  # a linear layer saturates nowhere
    heading, *lines = parameters.splitlines()
    assert [line.split()[0] for line in lines] == log.parameters
    assert float(lines[2].split()[-1]) == pytest.approx(log.weights["ratio"][-1, 2], rel=5e-3)
    assert len({len(line) for line in [heading, *lines]}) == 1


def test_to_json_and_back(log):
    content = json.loads(json.dumps(log.to_dict()))
    assert content["steps"] == log.steps and content["nonfinite"] == []
    for kind in ("activations", "gradients", "weights"):
        for name, values in getattr(log, kind).items():
            if name == "histogram":
                for found, expected in zip(content[kind][name], values, strict=True):
                    assert found == expected.tolist()
            else:
                np.testing.assert_array_equal(np.array(content[kind][name]), values)
    assert content["scalars"]["loss"] == [[0, 1, 2, 3, 4], log.scalars["loss"][1].tolist()]


def test_to_csv(log, tmp_path):
    """A number a line: every statistic of every layer and parameter on every sampled step, and the scalars."""
    log.to_csv(tmp_path / "log.csv")
    with open(tmp_path / "log.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {(int(r["step"]), r["kind"], r["name"], r["statistic"]): float(r["value"]) for r in rows}
    assert len(found) == len(rows)
    for kind, names in (("activations", log.layers), ("gradients", log.layers), ("weights", log.parameters)):
        for statistic, values in getattr(log, kind).items():
            if statistic not in ("histogram", "quantiles"):
                read = [[found.pop((step, kind, name, statistic)) for name in names] for step in log.steps]
                np.testing.assert_array_equal(read, values)
    for name, (steps, values) in log.scalars.items():
        assert [found.pop((step, "scalars", name, "")) for step in steps] == values.tolist()
    assert not found


def test_repr(log):
    assert repr(log).startswith("Log(steps 0 to 4, 3 of them sampled, 5 layers, 6 parameters, ")
    with nn.observe(perceptron()) as empty:
        empty.record(loss=math.nan)
    assert repr(empty) == "Log(no steps, 5 layers, 6 parameters, loss nan, not finite from step 0 on (loss loss))"


def test_first_nonfinite():
    model = perceptron()
    with nn.observe(model) as log:
        log.record(other=math.nan)
        assert log.first_nonfinite is None
        log.record(loss=math.inf)
        log.record(loss=math.nan)
    assert log.nonfinite == [(0, "loss", "loss")] and log.first_nonfinite == (0, "loss", "loss")
    assert math.isnan(log.scalars["other"][1][0])


def test_only_numbers_are_recorded():
    with nn.observe(perceptron()) as log, pytest.raises((TypeError, ValueError)):
        log.record(loss=nn.ones(3))
    assert log.scalars == {}

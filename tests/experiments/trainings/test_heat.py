"""The heat equation, short: some steps, compared with PyTorch."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from experiments.trainings import heat


def test_the_closed_solution():
    t, x, h = np.float64(0.3), np.linspace(0.1, 0.9, 9), 1e-4
    u = heat.solution
    ut = (u(t + h, x) - u(t - h, x)) / (2 * h)
    uxx = (u(t, x + h) - 2 * u(t, x) + u(t, x - h)) / h**2
    np.testing.assert_allclose(ut, heat.ALPHA * uxx, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(u(0, x), heat.initial(x))


def test_some_steps(tmp_path, capsys):
    result = heat.run(seed=0, steps=300, threads=1, folder=tmp_path / "figures", rounds=1)
    assert result["rms"] < 0.5
    assert result["difference"] <= heat.TOLERANCE
    assert (tmp_path / "figures" / "heat.png").stat().st_size > 5000
    printed = capsys.readouterr().out
    assert "error against the closed solution" in printed and "equal within 0.0001" in printed

"""The laboratory: seeds, checks, verdicts, digests, and the same call on a cluster."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from experiments import lab

SOURCE = '''# %% [markdown]
# # A title

# %%
import numpy as np

CARD = "a card"
FULL = {"seeds": 2}


def run(config, seed):
    """One seed."""
    return {"value": seed}  # a comment


def check(results, mode):
    return []


def draw_value(results):
    return None


if __name__ == "__main__":
    draw_value([])
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one experiment, `sample`, whose source a test may write."""
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    (tmp_path / "depth").mkdir()
    source = tmp_path / "depth" / "sample.py"
    source.write_text(SOURCE)
    return source


# --- checks -----------------------------------------------------------------------------------------------------------


def test_a_check_holds_within_its_bounds():
    assert lab.check("x", 1.0, at_least=1.0).holds
    assert lab.check("x", 1.0, at_most=1.0).holds
    assert not lab.check("x", 1.1, at_least=0.0, at_most=1.0).holds
    assert not lab.check("x", -0.1, at_least=0.0).holds
    assert not lab.check("x", math.nan, at_least=0.0).holds
    assert lab.check("x", 1, at_least=0).bounds == "≥ 0"
    assert lab.check("x", 1, at_most=2).bounds == "≤ 2"
    assert lab.check("x", 1, at_least=0, at_most=2).bounds == "0 to 2"
    with pytest.raises(ValueError, match="'x' has no bound"):
        lab.check("x", 1.0)


def test_a_paired_comparison_needs_the_mean_and_every_seed():
    mean, least = lab.paired("a - b", [0.1, 0.3], at_least=0.2)
    assert mean.value == pytest.approx(0.2) and least.value == pytest.approx(0.1)
    assert mean.claim == "a - b, mean of 2 seeds"
    mean, least = lab.paired("a - b", [-0.01, 0.9], at_least=0.2)
    assert mean.holds and not least.holds


def test_verdicts():
    good, bad = lab.check("good", 1, at_least=0), lab.check("bad", 1, at_most=0)
    assert lab.verdict([good, good]) == "reproduced"
    assert lab.verdict([good, bad]) == "partial"
    assert lab.verdict([bad, good]) == "not reproduced"
    with pytest.raises(ValueError, match="there is no check"):
        lab.verdict([])


# --- digests and files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before, after",
    [
        ("# # A title", "# # Another title"),
        ("One seed.", "A single seed."),
        ("  # a comment", ""),
        ('"a card"', '"another"'),
        ("return []", "return [1]"),
        ("return None", "return 1"),
        ("draw_value([])", "draw_value([1])"),
    ],
)
def test_what_is_only_shown_needs_no_new_run(project, before, after):
    code, whole = lab.code_digest("sample"), lab.file_digest("sample")
    assert before in SOURCE
    project.write_text(SOURCE.replace(before, after))
    assert lab.code_digest("sample") == code and lab.file_digest("sample") != whole


@pytest.mark.parametrize(
    "before, after", [('"seeds": 2', '"seeds": 3'), ('"value": seed', '"value": 0'), ("as np", "")]
)
def test_what_is_computed_does(project, before, after):
    code = lab.code_digest("sample")
    assert before in SOURCE
    project.write_text(SOURCE.replace(before, after))
    assert lab.code_digest("sample") != code


def test_a_helper_counts(project):
    project.write_text(SOURCE.replace("import numpy as np", "from experiments.helper import value"))
    helper = lab.ROOT / "helper.py"
    helper.write_text("value = 1")
    code = lab.code_digest("sample")
    helper.write_text("value = 1  # a comment")
    assert lab.code_digest("sample") == code
    helper.write_text("value = 2")
    assert lab.code_digest("sample") != code


def test_results_are_current_until_the_code_changes(project):
    assert not lab.is_current("sample")
    lab.file("sample", ".json").write_text(json.dumps({"digest": lab.code_digest("sample")}))
    assert lab.is_current("sample")
    project.write_text(SOURCE.replace("seed}", "seed + 1}"))
    assert not lab.is_current("sample")
    with pytest.raises(ValueError, match="sample are not of its present code"):
        lab.render("sample")


def test_names():
    assert lab.names()[:5] == lab.ORDER[:5], "the foundations come first, in the order of reading"
    assert sorted(lab.names()) == sorted({name for chapter in lab.CHAPTERS for name in lab.names(chapter)})
    with pytest.raises(ValueError, match="none named 'perpetuum_mobile'; there are tensors"):
        lab.folder("perpetuum_mobile")
    with pytest.raises(ValueError, match="'fast' or 'full', not 'slow'"):
        lab.configuration("init_variance", "slow")


def test_only_full_mode_is_kept():
    with pytest.raises(ValueError, match="only full mode"):
        lab.Study("init_variance", "fast", {}, [], 0.0).save()
    with pytest.raises(ValueError, match="save: results are kept with those of PyTorch beside them: pip install torch"):
        lab.Study("init_variance", "full", {}, [], 0.0).save()


def test_without_pytorch_there_is_no_comparison(monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    monkeypatch.setattr(lab, "_run_seeds", lambda name, config: [])
    assert lab.study("init_variance", "fast").pytorch is None


def test_the_set_up_cell_finds_the_repository(tmp_path):
    chapter = tmp_path / "copy" / "experiments" / "foundations"
    chapter.mkdir(parents=True)
    (chapter.parent / "lab.py").touch()
    command = [sys.executable, "-c", f"{lab.SETUP}\nprint(sys.path[-1])"]
    found = subprocess.run(command, cwd=chapter, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == str(tmp_path / "copy"), found.stderr
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert f"the repository with the folder experiments is not around {tmp_path}" in found.stderr


# --- seeds ------------------------------------------------------------------------------------------------------------


def test_streams_are_independent_and_repeatable():
    values = [[generator.random() for generator in lab.streams(seed)] for seed in range(3)]
    assert len({value for three in values for value in three}) == 9
    assert [generator.random() for generator in lab.streams(1)] == values[1]


def test_results_are_plain():
    given = {"a": np.float32(0.5), 1: np.arange(2), "x": np.array([[1 / 3]]), "t": (None, True, "s"), "f": 1 / 3}
    plain = {"a": 0.5, "1": [0, 1], "x": [[0.3333333]], "t": [None, True, "s"], "f": 1 / 3}
    assert lab._plain(given) == plain
    assert json.loads(json.dumps(lab._plain(given))) == plain
    with pytest.raises(TypeError, match="set is no number"):
        lab._plain({"a": {1}})


def test_processes_and_a_dask_cluster_give_the_same_results():
    joblib = pytest.importorskip("joblib")
    distributed = pytest.importorskip("distributed")
    config = lab.configuration("perceptron", "fast") | {"seeds": 2}
    alone = [lab._run_seed("perceptron", config, seed) for seed in range(2)]
    assert lab._run_seeds("perceptron", config) == alone
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        assert lab._run_seeds("perceptron", config) == alone

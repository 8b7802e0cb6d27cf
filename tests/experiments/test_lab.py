"""The laboratory: seeds, digests, files, pages, and the same call on a cluster."""

import json
import math

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


def answer_value(results):
    return 1


EXERCISES = []


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
        ("return 1", "return 2"),
        ("EXERCISES = []", "EXERCISES = [answer_value]"),
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
    stored = {"digest": lab.code_digest("sample"), "root_seed": lab.SEED}
    lab.file("sample", ".json").write_text(json.dumps(stored))
    assert lab.is_current("sample")
    lab.file("sample", ".json").write_text(json.dumps(stored | {"root_seed": lab.SEED + 1}))
    assert not lab.is_current("sample")
    lab.file("sample", ".json").write_text(json.dumps(stored))
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


def test_results_are_kept_as_strict_json():
    given = {"a": [math.nan, math.inf, 1.5], "b": {"c": -math.inf}, "d": "text"}
    text = json.dumps(lab._strict(given), allow_nan=False)
    np.testing.assert_equal(lab._loose(json.loads(text)), given)
    for name in lab.names():
        json.loads(lab.file(name, ".json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


# --- pages ------------------------------------------------------------------------------------------------------------


def test_fast_mode_gives_no_verdict():
    fast = lab.Study("sgd_noise", "fast", {}, [], 1.0)
    fast.__class__ = type("Fast", (lab.Study,), {"checks": [lab.check("x", 1, at_least=0)]})
    assert fast.summary == "exact checks hold" and "erdict" not in fast.table()
    fast.__class__ = type("Fast", (lab.Study,), {"checks": [lab.check("x", 1, at_least=2)]})
    assert fast.summary == "1 of 1 exact checks fail"


def test_a_source_is_shown_as_it_is_written():
    page = lab.source(lab.streams)
    assert "[`experiments/lab.py`](../../experiments/lab.py)" in page
    assert "```python\ndef streams(seed):" in page and page.endswith("]\n```")
    assert page.startswith("<!-- source of experiments.lab:streams -->")


def test_processes_and_a_dask_cluster_give_the_same_results():
    joblib = pytest.importorskip("joblib")
    distributed = pytest.importorskip("distributed")
    config = lab.configuration("perceptron", "fast") | {"seeds": 2}
    alone = [lab._run_seed("perceptron", config, seed) for seed in range(2)]
    assert lab._run_seeds("perceptron", config) == alone
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        assert lab._run_seeds("perceptron", config) == alone

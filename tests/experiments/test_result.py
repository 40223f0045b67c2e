"""The verdicts on fabricated runs, the files of results, and the recorded results."""

import json
import re
import subprocess
from dataclasses import asdict, replace
from importlib import resources

import pytest

from convnets.experiments import (
    EXPERIMENTS,
    ArmRun,
    Cost,
    ExperimentResult,
    Hypothesis,
    recorded,
    running,
)
from convnets.experiments.running import commit_of, means, rounded

RECORDED = resources.files("convnets.experiments") / "recorded"


def result(
    better: list[float], worse: list[float], metric: str = "test accuracy"
) -> ExperimentResult:
    runs = [
        ArmRun(
            arm=arm,
            seed=seed,
            test_accuracy=value if metric == "test accuracy" else 0.5,
            training_loss=value if metric == "training loss" else 1.0,
            losses=[2.0, 1.0],
            validation_accuracies=[0.5],
            seconds=3.0,
            machine="a machine; PyTorch 2.11",
            date="2025-01-01",
        )
        for arm, values in (("new", better), ("old", worse))
        for seed, value in enumerate(values)
    ]
    costs = {"new": Cost(100, 2_000), "old": Cost(110, 2_100)}
    budget = {"epochs": 1, "images": 5_000, "data": "fashion-mnist-small", "children": 0}
    return ExperimentResult(
        "test", "Is it better?", metric, budget, costs, [Hypothesis("new", "old")], runs
    )


def test_a_claim_holds_if_the_difference_exceeds_the_margin():
    found = result([0.90, 0.91, 0.92], [0.80, 0.81, 0.82])
    assert found.compare(found.hypotheses[0]).supported is True
    # Pooled standard deviation 0.01; t for 4 degrees of freedom; two means of three.
    assert found.compare(found.hypotheses[0]).margin == pytest.approx(2.78 * 0.01 * (2 / 3) ** 0.5)
    assert "91.0% against 81.0%" in found.verdict()
    assert "At this budget the claim holds: the difference of 10.0 points" in found.verdict()


def test_a_difference_within_the_margin_is_not_significant():
    found = result([0.80, 0.85, 0.90], [0.79, 0.84, 0.89])
    assert found.compare(found.hypotheses[0]).supported is None
    assert "At this budget the difference of 1.0 points is not significant" in found.verdict()


def test_a_difference_and_a_margin_that_round_to_the_same_number_get_another_digit():
    found = result([0.8964, 0.9011, 0.9058], [0.8853, 0.8900, 0.8947])
    assert "of 1.11 points is larger than the 1.07 points" in found.verdict()


def test_with_two_seeds_only_a_large_difference_is_significant():
    found = result([0.90, 0.92], [0.86, 0.88])  # ranges that do not overlap
    assert found.compare(found.hypotheses[0]).supported is None


def test_a_significant_difference_of_the_other_sign_supports_the_opposite():
    found = result([0.80, 0.81, 0.82], [0.90, 0.91, 0.92])
    assert found.compare(found.hypotheses[0]).supported is False
    assert "At this budget the opposite of the claim holds" in found.verdict()


def test_a_lower_loss_is_better():
    found = result([0.30, 0.31, 0.32], [0.90, 0.91, 0.92], "training loss")
    comparison = found.compare(found.hypotheses[0])
    assert comparison.difference == pytest.approx(0.6)
    assert comparison.supported is True
    assert "training loss 0.310 against 0.910" in found.verdict()


def test_one_seed_supports_nothing_however_large_the_difference():
    found = result([0.9], [0.1])
    assert found.compare(found.hypotheses[0]).supported is None
    assert "One seed does not show how much results vary; run at least two." in found.verdict()
    assert found.summary("new").standard_error is None


def test_the_summary_of_an_arm_has_mean_range_and_standard_error():
    row = result([0.90, 0.91, 0.92], [0.8, 0.8, 0.8]).summary("new")
    assert (row.runs, row.lowest, row.highest) == (3, 0.90, 0.92)
    assert row.mean == pytest.approx(0.91)
    assert row.standard_error == pytest.approx(0.01 / 3**0.5)
    assert (row.parameters, row.macs) == (100, 2_000)


def test_a_verdict_without_runs_raises_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match="no run of 'new'; run the experiment first"):
        result([], [0.5]).verdict()


def test_the_frame_has_a_row_for_each_arm():
    pytest.importorskip("pandas")
    frame = result([0.9, 0.91], [0.8, 0.81]).frame()
    assert list(frame["arm"]) == ["new", "old"]
    assert {"parameters", "macs", "mean", "lowest", "highest", "standard_error"} <= set(frame)


def test_a_result_that_is_saved_and_loaded_is_equal(tmp_path):
    found = result([0.9, 0.91], [0.8, 0.81])
    path = found.save(tmp_path / "deep" / "result.json")
    assert ExperimentResult.load(path) == found
    assert ExperimentResult.load(path).verdict() == found.verdict()
    assert [entry.name for entry in path.parent.iterdir()] == ["result.json"]


def test_the_origin_lists_the_effort_the_machines_and_the_dates():
    found = result([0.9, 0.91], [0.8, 0.81])
    machine = "a machine; PyTorch 2.11, 2025-01-01"
    assert found.origin() == f"5,000 images, 1 epoch, 2 seeds; {machine}"
    found.runs[-1] = replace(found.runs[-1], date="2025-01-02")
    assert found.origin().endswith(f"; {machine} and 2025-01-02")
    found.runs[-1] = replace(found.runs[-1], machine="another")
    assert found.origin().endswith(f"; {machine}; another, 2025-01-02")
    del found.runs[-1]
    found.budget |= {"images": None, "epochs": 4, "children": 12}
    assert found.effort() == (
        "all images of fashion-mnist-small, 12 networks per search, 4 epochs, 1 to 2 seeds"
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"costs": 3})])
def test_a_file_that_holds_no_result_raises_an_error(text, tmp_path):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"other\.json does not hold the result of an experiment"):
        ExperimentResult.load(path)


def test_a_long_curve_is_averaged_over_all_its_values():
    values = [float(number) for number in range(1_003)]
    short = means(values, 200)
    assert len(short) == 200
    assert short[0] < short[1] < short[-1]
    assert means(values[:3], 200) == values[:3]
    assert means([1.0, 3.0, 5.0, 7.0], 2) == [2.0, 6.0]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_recorded_result_has_the_question_and_the_arms_of_its_experiment(name):
    found, entry = recorded(name), EXPERIMENTS[name]
    assert (found.experiment, found.question, found.metric) == (name, entry.question, entry.metric)
    assert found.hypotheses == list(entry.hypotheses)
    assert list(found.costs) == [arm.name for arm in entry.arms]
    assert found.origin()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_recorded_result_has_every_seed_of_every_arm_at_the_budget_of_today(name):
    found, entry = recorded(name), EXPERIMENTS[name]
    seeds = {
        arm.name: [run.seed for run in found.runs if run.arm == arm.name] for arm in entry.arms
    }
    number = len(seeds[entry.arms[0].name])
    assert number >= entry.cpu.seeds
    assert all(sorted(own) == list(range(number)) for own in seeds.values())
    assert sum(map(len, seeds.values())) == len(found.runs)
    assert found.budget == json.loads(json.dumps(asdict(entry.cpu)))
    assert found.costs == entry.costs(entry.cpu)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_recorded_file_that_is_loaded_and_saved_stays_the_same_to_the_byte(name, tmp_path):
    path = RECORDED / f"{name}-cpu.json"
    assert ExperimentResult.load(path).save(tmp_path / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_recorded_run_is_one_line_with_rounded_curves_and_a_commit(name):
    found = recorded(name)
    lines = (RECORDED / f"{name}-cpu.json").read_text("utf-8").splitlines()
    assert sum(line.startswith('  {"arm": ') for line in lines) == len(found.runs)
    for run in found.runs:
        assert re.fullmatch("[0-9a-f]{40}(-dirty)?", run.commit or run.added_in_commit)
        for curve in (run.validation_accuracies, run.losses):
            assert curve == [rounded(value) for value in curve]


def test_the_commit_of_a_file_is_marked_if_tracked_files_have_changed(tmp_path):
    file = tmp_path / "file.py"
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]

    def commit() -> str | None:
        running._commit.cache_clear()
        return commit_of(file)

    file.write_text("1")
    assert commit() is None
    subprocess.run([*git, "init", "--quiet"], cwd=tmp_path, check=True)
    assert commit() is None
    (tmp_path / "other.py").write_text("1")
    subprocess.run([*git, "add", "file.py", "other.py"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "--quiet", "--message=1"], cwd=tmp_path, check=True)
    clean = commit()
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "untracked.json").write_text("2")
    assert commit() == clean
    file.write_text("2")
    other = tmp_path / "other.py"
    assert commit_of(file) == commit_of(other) == clean  # read once in a process
    assert commit() == f"{clean}-dirty"


def test_every_recorded_file_belongs_to_an_experiment():
    found = {file.name for file in RECORDED.iterdir()}
    cpu, gpu = ({f"{name}-{budget}.json" for name in EXPERIMENTS} for budget in ("cpu", "gpu"))
    assert cpu <= found <= cpu | gpu


def test_the_error_for_a_budget_that_was_not_recorded_names_the_command_that_runs_it():
    command = "convnets experiment degradation --budget never --output-dir results"
    with pytest.raises(ValueError, match=re.escape(command)):
        recorded("degradation", "never")

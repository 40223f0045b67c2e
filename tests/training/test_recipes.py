import pytest

from convnets.training import RECIPES, Recipe
from convnets.training.recipes import SCHEDULES, multi_step, one_cycle, resolve_recipe, step_decay


def test_one_cycle_rises_to_one_and_ends_at_zero():
    assert one_cycle(0.0, 5) == 0
    assert one_cycle(0.25, 5) == 1
    assert one_cycle(1.0, 5) == pytest.approx(0)


def test_multi_step_multiplies_at_each_milestone():
    schedule = multi_step((0.5, 0.1), (0.75, 0.1))
    assert [schedule(p, 300) for p in (0.49, 0.5, 0.75)] == pytest.approx([1, 0.1, 0.01])


def test_step_decay_does_not_depend_on_the_number_of_epochs():
    schedule = step_decay(8, 0.96)
    assert schedule(7.9 / 80, 80) == 1
    assert schedule(8.1 / 80, 80) == schedule(8.1 / 160, 160) == 0.96


@pytest.mark.parametrize("schedule", SCHEDULES.values())
def test_schedules_stay_between_zero_and_one(schedule):
    assert all(0 <= schedule(step / 100, 100) <= 1 for step in range(101))


def test_every_recipe_names_its_schedule_and_its_source():
    for name, recipe in RECIPES.items():
        assert recipe.schedule in (*SCHEDULES, "plateau"), name
        assert recipe.source or name == "plain-sgd"


def test_the_slides_weight_decay_for_resnet_is_a_tenth_of_the_papers():
    assert RECIPES["resnet"].weight_decay == pytest.approx(
        10 * RECIPES["resnet-slide"].weight_decay
    )


def test_epochs_and_batch_size_can_be_overridden():
    recipe = resolve_recipe("resnet", epochs=3, batch_size=32)
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (3, 32, 0.1)
    assert resolve_recipe(recipe) == recipe


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("best",), "unknown recipe 'best'; choose one of modern"),
        (("modern", 0), "at least one epoch, got 0"),
        (("modern", 1, 0), "at least one image, got 0"),
        ((Recipe(epochs=0, batch_size=8, learning_rate=0.1),), "at least one epoch"),
    ],
)
def test_impossible_recipes_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        resolve_recipe(*arguments)

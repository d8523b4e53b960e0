"""Looks tell animals apart as far as these differ by more than each of them varies."""

import numpy as np

from tracking.resemblance import FEATURES, Appearance, Resemblance

ANIMALS = 10
NOISE = 0.01


def watched(looks, random, *, seconds=20, drift=0.0):
    """Return what is learnt of animals of some looks, alone but for five encounters of each."""
    learnt = Resemblance()
    seen = [[] for _ in looks]
    for step in range(4 * seconds):
        for animal, look in enumerate(looks):
            seen[animal].append(look + random.normal(0, NOISE, FEATURES))
            if step >= 4:
                learnt.add_later(seen[animal][-5], seen[animal][-1])
            place = random.normal(0, drift, FEATURES)
            learnt.add_now(animal, step / 4, seen[animal][-1] + place, 0.25)
    for look in np.repeat(looks, 5, axis=0):
        first, later = look + random.normal(0, np.hypot(NOISE, drift), (2, FEATURES))
        learnt.add_reunion(Appearance(first, 0.1), Appearance(later, 0.1))
    return learnt


def unlike(learnt, looks, random):
    """Return how unlike what is known of each animal is to a short look at each, shape (known, seen)."""
    short = [Appearance(look + random.normal(0, NOISE, FEATURES), 0.2) for look in looks]
    known = [Appearance(look + random.normal(0, NOISE / 2, FEATURES), 9.0) for look in looks]
    return np.array([[learnt.unlike(one, other) for other in short] for one in known])


def test_animals_of_different_looks_are_told_apart():
    random = np.random.default_rng(0)
    looks = 5 + random.normal(0, 0.1, (ANIMALS, FEATURES))
    costs = unlike(watched(looks, random), looks, random)
    assert (costs.argmin(axis=0) == np.arange(ANIMALS)).all()
    assert np.diag(costs).mean() < -2


def test_looks_count_nothing_where_animals_differ_by_no_more_than_each_varies():
    random = np.random.default_rng(1)
    looks = np.full((ANIMALS, FEATURES), 5.0)
    assert not unlike(watched(looks, random), looks, random).any()


def test_looks_that_depend_on_the_place_count_nothing():
    """At one moment animals look different, and for a while stay so, but not from one stretch to the next."""
    random = np.random.default_rng(2)
    looks = np.full((ANIMALS, FEATURES), 5.0)
    costs = unlike(watched(looks, random, drift=0.03), looks + random.normal(0, 0.03, looks.shape), random)
    assert np.abs(costs).max() < 1


def test_nothing_is_said_of_an_animal_that_nobody_saw():
    assert Resemblance().unlike(Appearance(), Appearance(np.ones(FEATURES), 1.0)) == 0

"""Modifiers: published and hand-made numbers, what the stages do together, and what is refused."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import turnwise
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.records import ImagePart, Message, Outcome, StopReason, Task, TextPart, Trajectory, Turn
from turnwise.trainers.credit import Tokens, TurnBatch, estimate, list_modifiers, modify, register_modifier
from turnwise.trainers.credit.modified_episodes import cluster
from turnwise.trainers.credit.modifiers import Modifiers
from turnwise.trainers.credit.segments import returns_to_go


def singles(outcomes, logprobs=None, **more):
    """Episodes of one unscored turn of one token."""
    count = len(outcomes)
    likely = {} if logprobs is None else {"entropies": [[-x] for x in logprobs], "token_counts": [[1]] * count}
    return TurnBatch.from_lists([[None]] * count, outcomes, **likely, **more)


def close(seen, expected, atol=1e-6):
    np.testing.assert_allclose(seen, expected, atol=atol)


# ---- outcomes and turn rewards ---------------------------------------------------------------------------------------


def test_unlikeliness():
    batch = singles([1, 1, 0, 1], [-0.2, -0.9, -0.5, -0.4])
    changed = modify("unlikeliness", batch)
    close(changed.outcome, [0.8125, 1, 0, 0.875])
    close(estimate("grpo", changed), [0.309304, 0.721709, -1.477785, 0.446772])
    close(modify("unlikeliness", batch, beta=0.5).outcome, [0.625, 1, 0, 0.75])
    # equal ones share the lower rank; a voided or an empty episode is in no rank; a negative outcome stays
    ties = singles([1, 1, 1, 1, -1], [-0.3, -0.3, -0.1, -0.9, -0.2], valid=[True, True, True, False, True])
    close(modify("unlikeliness", ties).outcome, [1, 1, 1 - 0.25 * 3 / 4, 1, -1])


def test_the_likelihood_is_that_of_all_tokens_whatever_turns_they_are_cut_into():
    # 3 tokens of -0.2 and 1 of -1.0: -0.4, less likely than -0.35
    batch = TurnBatch.from_lists([[None, None], [None]], [1, 1], entropies=[[0.2, 1.0], [0.35]], token_counts=[[3, 1], [9]])
    close(modify("unlikeliness", batch).outcome, [1, 0.875])


def test_an_outcome_that_is_modified_reaches_estimators_of_components():
    batch = singles([1, 1, 0], [-0.2, -0.9, -0.5], components={"outcome": [1.0, 1.0, 0.0]})
    changed = modify("unlikeliness", batch)
    assert changed.component_names == ("outcome",)
    close(changed.components[:, 0], changed.outcome)
    assert batch.components.tolist() == [[1], [1], [0]]
    shaped = modify("clip_delta", TurnBatch.from_lists([[0.2, 0.4]], [1.0], components={"a": [0.6], "outcome": [1.0]}), clip=False)
    assert shaped.component_names == ("a", "outcome", "clip_delta")
    close(shaped.components, [[0.6, 1.0, -0.4]])
    close(modify("clip_delta", shaped, alpha=2.0, clip=False).components, [[0.6, 1.0, -0.2]])  # [.2, 0] of [.2, .4], then [.4, 0]


def test_redit_has_the_mean_and_the_scale_it_says():
    batch = TurnBatch.from_lists([[0.0, None]] * 40000, [1.0] * 40000, groups=range(40000), seeds=range(40000))
    gaussian = modify("redit", batch).outcome - 1.0
    # standard errors: of the mean 0.05 / 200, of the deviation 0.05 / 283
    assert abs(gaussian.mean()) < 0.001
    assert gaussian.std() == pytest.approx(0.05, abs=0.0008)
    assert (np.abs(gaussian) < 0.05).mean() == pytest.approx(math.erf(math.sqrt(0.5)), abs=0.01)
    uniform = modify("redit", batch, noise="uniform", of="both")
    for noise in (uniform.outcome - 1.0, uniform.reward[::2]):
        assert np.abs(noise).max() < 0.05
        assert abs(noise.mean()) < 0.0006
        assert noise.std() == pytest.approx(0.028868, abs=0.0003)
    assert abs(np.corrcoef(uniform.outcome, uniform.reward[::2])[0, 1]) < 0.02
    assert not uniform.reward[1::2].any()  # nobody scored these
    assert not uniform.scored[1::2].any()


def test_redit_follows_from_the_seed_and_gives_equal_outcomes_a_signal():
    batch = singles([1.0] * 4, seeds=[7, 8, 9, 7])
    noisy = modify("redit", batch).outcome
    assert noisy[0] == noisy[3]
    assert len(set(noisy.tolist())) == 3
    assert modify("redit", singles([1.0], seeds=[9])).outcome[0] == noisy[2]  # whoever else is there
    assert estimate("grpo", modify("redit", batch)).all()
    assert not estimate("grpo", batch).any()
    assert modify("redit", batch, of="turns").outcome.tolist() == [1.0] * 4


PRM = [0.6, 0.9, 0.3, 0.8]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({"delta": False}, [-0.1, 0, -0.4, 0]), ({"clip": False}, [-0.3, 0.6, 0.3, 0]), ({}, [-0.1, 0.4, -0.4, 0])],
)
def test_clip_delta(parameters, expected):
    close(modify("clip_delta", TurnBatch.from_lists([PRM], [1.0]), eta=0.7, **parameters).reward, expected)
    close(modify("clip_delta", TurnBatch.from_lists([PRM], [1.0]), eta=0.7, alpha=0.5, **parameters).reward, 0.5 * np.array(expected))


def test_clip_delta_passes_over_what_nobody_scored():
    # the scored ones but the last turn are .6, .9, .3; in the second the last turn is unscored and .3 its end
    batch = TurnBatch.from_lists([[0.6, None, 0.9, 0.3, 0.8], [0.6, None, 0.9, 0.3, None], [0.5], []], [0.0] * 4)
    changed = modify("clip_delta", batch, clip=False)
    close(changed.reward, [-0.3, 0, 0.6, 0.3, 0, -0.3, 0, 0.6, 0.3, 0, 0])
    assert changed.scored.tolist() == batch.scored.tolist()


def test_potential_changes_returns_by_the_state_alone():
    states = [[0.1, 0.5, 0.3, 1.0], [0.2, 0.4], [0.0, 0.5, 0.25]]
    batch = TurnBatch.from_lists([[0.0, 0.5, None], [0.25], [None, 0.0]], [1.0, 0.0, 0.5], potentials=states)
    for gamma in (1.0, 0.9):
        changed = modify("potential", batch, gamma=gamma)
        moved = returns_to_go(changed.reward, batch.offsets, gamma) - returns_to_go(batch.reward, batch.offsets, gamma)
        close(moved, [-0.1, -0.5, -0.3, -0.2, 0.0, -0.5])
    assert changed.scored.all()
    # by hand, gamma 0.9: .9 * .5 - .1, .5 + .9 * .3 - .5, -.3; .25 - .2; .9 * .5 - 0, -.5
    close(changed.reward, [0.35, 0.27, -0.3, 0.05, 0.45, -0.5])
    # the last state's own score: + .9 * 1, + .9 * .4, + .9 * .25
    close(modify("potential", batch, gamma=0.9, end="own").reward, [0.35, 0.27, 0.6, 0.41, 0.45, -0.275])
    close(modify("potential", batch, gamma=0.9, weight=2.0).reward, [0.7, 0.04, -0.6, -0.15, 0.9, -1.0])


def test_potential_leaves_an_episode_whose_states_are_not_known():
    states = [[0.1, None, 0.3], [0.1, 0.2, None], [0.1, 0.2, 0.3]]
    batch = TurnBatch.from_lists([[None, 0.0]] * 3, [0.0] * 3, potentials=states, valid=[True, True, False])
    changed = modify("potential", batch)
    close(changed.reward, [0, 0, 0.1, -0.2, 0, 0])  # the last state need not be known where it counts 0
    assert changed.scored.tolist() == [False, True, True, True, False, True]
    assert not modify("potential", batch, end="own").reward.any()


# ---- advantages ------------------------------------------------------------------------------------------------------


def test_xrpo():
    batch = singles([1, 1, 0], [-0.2, -0.9, -0.5])
    close(modify("xrpo", batch, estimate("grpo", batch)), [0.577349, 0.866024, -1.154698])
    # lam 1: 1 - 0.693041 = 0.306959, kappa 1 leaves it
    close(modify("xrpo", batch, np.ones(3), lam=1.0, kappa=1.0), [1, 1.306959, 1])
    # below the baseline a success is left as it is
    close(modify("xrpo", batch, np.array([1.0, -1.0, -1.0])), [1, -1, -1])
    # success is the environment's word, whatever the outcome became
    close(modify("xrpo", singles([0.5, 0.9, 1], [-0.2, -0.9, -0.9], success=[True, True, False]), np.ones(3)), [1, 1.5, 1])


def test_empg_modifies_any_advantage():
    entropies = [[0.2, 0.8], [0.5, 1.1], [0.35]]
    batch = TurnBatch.from_lists([[0, 0], [0, 0], [0]], [1.0, 0.0, 0.5], entropies=entropies)
    close(modify("empg", batch, estimate("grpo", batch)), [1.360826, 0.603129, -1.145556, -0.676218, -0.142181])
    close(modify("empg", batch, estimate("grpo", batch), zeta=0.05), [1.343968, 0.611942, -1.155137, -0.667405, -0.133368])
    g = [1.451668, 0.745311, 1.040165, 0.534039, 1.228810]
    close(modify("empg", batch, np.ones(5), zeta=0.0), np.array(g) - np.mean(g))
    assert estimate("empg", batch, base="turn_rloo").tolist() == modify("empg", batch, estimate("turn_rloo", batch)).tolist()


@pytest.mark.parametrize(
    ("outcome", "entropies", "expected"),
    [
        (1.0, [[0.4, 0.2], [0.6]], [-1.224722, 0, 1.224722]),
        (0.0, [[0.5, 0.25], [0.25]], [1.224737, 0, -1.224737]),
    ],
)
def test_entropy_weighting_of_tokens(outcome, entropies, expected):
    batch, tokens = singles([outcome] * 2), Tokens.from_turns(entropies)
    close(modify("entropy_weighting", batch, tokens, np.zeros(3)), expected)
    # the token rewards themselves: 1.08, 1.10, 1.12, and 1.066667, 1.1, 1.133333
    rewards = [1.08, 1.10, 1.12] if outcome else [1.066667, 1.1, 1.133333]
    close(modify("entropy_weighting", batch, tokens, np.full(3, -2.0), mode="scale"), -2.0 * np.array(rewards))


def test_entropy_weighting_of_sequences():
    # means 0.22 (of two turns) and 0.27
    batch = TurnBatch.from_lists([[0, 0], [0]], [1.0, 1.0])
    tokens = Tokens.from_turns([[0.1], [0.34], [0.27]])
    close(modify("entropy_weighting", batch, tokens, np.ones(3), level="sequence", mode="scale"), [1.089796, 1.089796, 1.110204])
    close(modify("entropy_weighting", batch, tokens, np.zeros(3), level="sequence", inner_eps=0.0), [-1, -1, 1])


def test_entropy_weighting_counts_tokens_over_turns_and_pools_successes_and_failures_apart():
    # the third token of the first episode is in its second turn, and alone at its place; the failure is compared with nobody
    batch = TurnBatch.from_lists([[0, 0], [0], [0]], [1.0, 1.0, 0.0])
    tokens = Tokens.from_turns([[0.3, 0.1], [0.4], [0.1, 0.3], [0.7]])
    scaled = modify("entropy_weighting", batch, tokens, np.ones(6), mode="scale")
    close(scaled, [1.15, 1.05, 1.1, 1.05, 1.15, 1.1])  # 0.1 * 2 * (3/4, 1/4), then alone 0.1 * 1 * 1
    assert tokens.place(batch).tolist() == [0, 1, 2, 0, 1, 0]
    # a certain token counts as the floor: 1/0.001 of 1/0.001 + 1/0.5
    sure = modify("entropy_weighting", singles([0, 0]), Tokens.from_turns([[0.0], [0.5]]), np.ones(2), mode="scale")
    close(sure, [1 + 0.2 * 1000 / 1002, 1 + 0.2 * 2 / 1002])


# ---- episodes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rewards", "outcomes", "keep", "expected"),
    [
        # four wins, four losses, half: the two best wins and the two worst losses
        ([0.1, 0.4, 0.3, 0.2, 0.1, 0.4, 0.3, 0.2], [1] * 4 + [0] * 4, None, [0, 1, 1, 0, 1, 0, 0, 1]),
        # one win: it stays, and three losses
        ([0.9, 0.1, 0.2, 0.3, 0.4, 0.5], [1] + [0] * 5, 4, [1, 1, 1, 1, 0, 0]),
        # one loss
        ([0.1, 0.2, 0.3, 0.4, 0.9], [1, 1, 1, 1, 0], 4, [0, 1, 1, 1, 1]),
        # odd: one more of what there is more of; of wins where both are as many
        ([0.1, 0.2, 0.3, 0.4, 0.5], [1, 1, 0, 0, 0], 3, [0, 1, 1, 1, 0]),
        ([0.1, 0.2, 0.3, 0.4], [1, 1, 0, 0], 3, [1, 1, 1, 0]),
        # equal ones: the earlier stay; only wins; more than there are
        ([0.5] * 4, [1] * 4, 2, [1, 1, 0, 0]),
        ([0.5, 0.1], [1, 0], 8, [1, 1]),
    ],
)
def test_prof(rewards, outcomes, keep, expected):
    batch = TurnBatch.from_lists([[r] for r in rewards], outcomes)
    assert modify("prof", batch, keep=keep).tolist() == [bool(x) for x in expected]


def test_prof_takes_the_mean_of_scored_turns_and_no_voided_episode():
    # means 0.3, 0.2, 0 (nothing scored); the voided one neither counts nor fills a place
    batch = TurnBatch.from_lists([[0.3, None], [0.1, 0.3], [None], [0.9]], [1, 1, 1, 1], valid=[True, True, True, False])
    assert modify("prof", batch).tolist() == [True, True, False, False]
    gone = Modifiers([{"prof": {"keep": 1}}]).dropped(batch)
    assert gone["prof"].tolist() == [False, True, True, False]


def test_filters_see_what_those_before_them_left():
    register_modifier("no_first_for_test", "filter")(_no_first)
    batch = TurnBatch.from_lists([[0.9], [0.5], [0.1]], [1, 1, 1])
    gone = Modifiers(["no_first_for_test", {"prof": {"keep": 1}}]).dropped(batch)
    assert {name: dropped.tolist() for name, dropped in gone.items()} == {
        "no_first_for_test": [True, False, False],
        "prof": [False, False, True],
    }


def _no_first(batch):
    return np.arange(batch.num_episodes) > 0


def test_clusters():
    # "abcdefghij" and "abcdefghiX" share 9 of 10: ratio 0.9
    texts = ["abcdefghij", "abcdefghiX", "0123456789", "abcdefghij", "abcdefghXX"]
    assert cluster(texts, 0.9) == [0, 0, 1, 0, 2]
    assert cluster(texts, 0.95) == [0, 1, 2, 0, 3]
    assert cluster(texts, 0.0) == [0] * 5
    # with the first of a cluster, not the last that joined it: the third is 0.9 like the second alone
    assert cluster(["abcdefghij", "abcdefghiX", "abcdefghXX"], 0.9) == [0, 0, 1]
    assert cluster(["abcdefghXX", "abcdefghij", "abcdefghiX"], 0.9) == [0, 1, 0]  # and so the order matters


@given(st.lists(st.text("ab ", max_size=12), max_size=12), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
@settings(max_examples=50, deadline=None)
def test_clusters_are_those_of_the_plain_definition(texts, threshold):
    from difflib import SequenceMatcher

    firsts, expected = [], []
    for text in texts:
        found = next((n for n, first in enumerate(firsts) if SequenceMatcher(None, text, first).ratio() >= threshold), len(firsts))
        firsts += [text] if found == len(firsts) else []
        expected.append(found)
    assert cluster(texts, threshold) == expected


def played(*observations, name="t", score=1.0, valid=True):
    turns = tuple(
        Turn(index=n, observation=(Message(role="user", content=seen),), action=Message(role="assistant", content="x"), anchor=f"own{n}")
        for n, seen in enumerate(observations)
    )
    outcome = Outcome(score=score) if valid else Outcome.void("broken")
    stop = StopReason.SUCCESS if valid else StopReason.ENV_FAULT
    return Trajectory(task=Task(id=name, env_id="e", split="train", data={"n": name}), turns=turns, outcome=outcome, stop=stop)


def test_similar_anchors():
    group = [
        played("You are in the hall, step 1.", "A red door."),
        played("You are in the hall, step 7.", "A cellar."),
        played("A red door!"),
    ]
    batch = TurnBatch.from_trajectories(modify("similar_anchors", group, threshold=0.9))
    assert batch.anchor.tolist() == [0, 1, 0, 2, 1]
    assert TurnBatch.from_trajectories(modify("similar_anchors", group, threshold=1.0)).anchor.tolist() == [0, 1, 2, 3, 4]
    # the same text in another group is another state; a voided episode has none and opens no cluster
    other = [played("A cellar.", valid=False), played("A cellar."), played("A cellar.", name="u")]
    assert TurnBatch.from_trajectories(modify("similar_anchors", other)).anchor.tolist() == [-1, 0, 1]
    # what another group saw first joins nothing: these two are 0.9 like it, and 0.8 like each other
    apart = [played("abcdefghij", name="u"), played("Xbcdefghij", "abcdefghiX")]
    assert TurnBatch.from_trajectories(modify("similar_anchors", apart, threshold=0.9)).anchor.tolist() == [0, 1, 2]
    assert group[0].turns[0].anchor == "own0"
    with pytest.raises(ValueError, match=r"threshold is 2; a similarity is in 0\.\.1"):
        modify("similar_anchors", [], threshold=2)


def test_the_same_text_beside_another_image_is_another_state():
    one, two = ((TextPart(text="The screen now:"), ImagePart(data=data)) for data in (b"1", b"2"))
    batch = TurnBatch.from_trajectories(modify("similar_anchors", [played(one, two, one), played("The screen now:")]))
    assert batch.anchor.tolist() == [0, 1, 0, 2]


def test_similar_anchors_give_gigpo_states_to_compare():
    group = [played("At the fork. Time 1", score=1.0), played("At the fork. Time 2", score=0.0)]
    counted = Modifiers([{"similar_anchors": {"threshold": 0.9}}])
    seen = counted.episodes(group)
    # episode part 0.5, and 0.5 more from the shared state
    close(estimate("gigpo", TurnBatch.from_trajectories(seen)), [1.0, -1.0])
    close(estimate("gigpo", TurnBatch.from_trajectories(group)), [1.0, -1.0])  # both were "own0"
    close(estimate("gigpo", TurnBatch.from_trajectories(modify("similar_anchors", group, threshold=1.0))), [0.5, -0.5])
    assert counted.counts == {"similar_anchors_turns": 2}


# ---- all together ----------------------------------------------------------------------------------------------------


def test_stages_work_in_the_order_of_the_list_and_count_what_they_changed():
    batch = singles([1, 1, 0, 1], [-0.2, -0.9, -0.5, -0.4], seeds=[1, 2, 3, 4])
    chain = Modifiers([{"unlikeliness": {"beta": 0.5}}, {"redit": {"scale": 0.01}}, "xrpo"])
    changed = chain.rewards(batch)
    close(changed.outcome, modify("redit", modify("unlikeliness", batch, beta=0.5), scale=0.01).outcome, 0)
    advantages = estimate("grpo", changed)
    close(chain.advantages(changed, advantages), modify("xrpo", changed, advantages), 0)
    # ranks 3, 0, 1, 2: two of three successes change; noise on all; only the unlikeliest success is sharpened (mean -0.5)
    assert chain.counts == {
        "unlikeliness_turns": 0,
        "unlikeliness_outcomes": 2,
        "redit_turns": 0,
        "redit_outcomes": 4,
        "xrpo_turns": 1,
    }
    tokens = Tokens.from_turns([[0.5]] * 4)
    assert chain.tokens(batch, tokens, advantages) is advantages
    assert list(chain.dropped(batch)) == []


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (["unlikelines"], r"no modifier 'unlikelines'; allowed: .*Did you mean 'unlikeliness'"),
        ([{"xrpo": {"lambda": 1.0}}], r"no parameter of modifier 'xrpo': 'lambda'; allowed: kappa, lam\..*Did you mean 'lam'"),
        ([{"xrpo": {}, "redit": {}}], r"an entry names \['redit', 'xrpo'\]; give one modifier per entry"),
        (["xrpo", "redit"], r"'redit' \(reward\) is listed after 'xrpo' \(advantage\).*list them in the order episodes, filter, reward"),
        (["redit", {"redit": {"of": "turns"}}], r"has one twice; list each once"),
        ([{"redit": {"noise": "pink"}}], "noise is 'pink'; allowed: gaussian, uniform"),
        ([{"redit": {"of": "all"}}], "of is 'all'; allowed: outcome, turns, both"),
        ([{"potential": {"end": "one"}}], "end is 'one'; allowed: zero, own"),
        ([{"prof": {"keep": 0}}], "keep is 0; at least 1"),
        ([{"entropy_weighting": {"level": "turn"}}], "level is 'turn'; allowed: token, sequence"),
        ([{"entropy_weighting": {"mode": "add"}}], "mode is 'add'; allowed: replace, scale"),
        ([{"similar_anchors": {"threshold": -1}}], "threshold is -1"),
    ],
)
def test_wrong_lists_are_told_before_anything_runs(entries, message):
    with pytest.raises(ValueError, match=message):
        Modifiers(entries)


def test_every_modifier_works_by_its_name_alone():
    for name in list_modifiers():
        Modifiers([name])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unlikeliness", "modifier 'unlikeliness' needs the log-probs of every turn"),
        ("xrpo", "modifier 'xrpo' needs the log-probs"),
        ("empg", "modifier 'empg' needs the entropy of every turn"),
        ("redit", "modifier 'redit' needs the seed of every episode"),
        ("potential", "modifier 'potential' needs a score of every state"),
    ],
)
def test_what_a_batch_lacks_is_named(name, message):
    batch = TurnBatch.from_lists([[0.0]], [1.0])
    with pytest.raises(ValueError, match=message):
        modify(name, *((batch, np.ones(1)) if name in ("xrpo", "empg") else (batch,)))


def test_names_and_kinds_are_checked():
    with pytest.raises(ValueError, match=r"modifier 'xrpo' is already .*modified_advantages\.xrpo"):
        register_modifier("xrpo", "advantage")(_no_first)
    with pytest.raises(ValueError, match=r"no kind of modifier 'rewards'.*Did you mean 'reward'"):
        register_modifier("mine", "rewards")
    with pytest.raises(ValueError, match="episode 1: potentials has 1 states for 1 turns; give one more than turns"):
        TurnBatch.from_lists([[0.0], [0.0]], [0, 0], potentials=[[0, 1], [1]])


def test_one_of_ones_own():
    register_modifier("halved_for_test", "advantage")(_halved)
    batch = singles([1, 0])
    close(modify("halved_for_test", batch, estimate("rloo", batch)), [0.5, -0.5])
    close(Modifiers([{"halved_for_test": {"by": 4.0}}]).advantages(batch, estimate("rloo", batch)), [0.25, -0.25])


def _halved(batch, advantages, *, by=2.0):
    del batch
    return advantages / by


def test_what_the_guide_shows_runs():
    guide = (Path(turnwise.__file__).parent / "docs" / "credit.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```python\n(.*?)```", guide, re.DOTALL))
    last = 'print(modify("first_only", batch, np.array([1.0, 2.0]), share=0.5).tolist(), list_modifiers()[3])'
    code += f"\nimport numpy as np\nfrom turnwise import list_modifiers\n{last}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[1.0, 2.0] first_only\n"


def test_modifying_on_numpy_loads_no_torch():
    code = (
        "import sys; from turnwise.trainers.credit.modifiers import Modifiers, list_modifiers; [Modifiers([n]) for n in list_modifiers()]"
    )
    subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=True)


def test_columns_of_trajectories():
    turns = tuple(
        Turn(index=n, observation=(), action=Message(role="assistant", content="x"), potential=phi) for n, phi in enumerate([0.5, None])
    )
    task = Task(id="t", env_id="e", split="train")
    outcome = Outcome(score=0.75, success=True)
    one = Trajectory(task=task, turns=turns, outcome=outcome, stop=StopReason.SUCCESS, start_potential=0.25, policy_seed=11)
    batch = TurnBatch.from_trajectories([one])
    assert (batch.success.tolist(), batch.seeds.tolist()) == ([True], [11])
    np.testing.assert_equal(batch.potentials, [[0.25, 0.5], [0.5, np.nan]])
    assert TurnBatch.from_lists([[0.0]] * 3, [1.0, 0.5, float("nan")]).success.tolist() == [True, False, False]
    assert isinstance(batch.to_torch().potentials, torch.Tensor)

"""Numbers worked out by hand for small groups; every estimator with the published choices."""

from dataclasses import replace

import numpy as np
import pytest
from turnwise.trainers.credit import TurnBatch, estimate

IG = TurnBatch.from_lists([[0.12, 0.23, None], [0.05, None], [-0.05, 0.15, None]], [1.0, 0.0, 0.5])
GTPO = TurnBatch.from_lists([[0, 0, 0], [-0.1, 0], [0, 0, 0]], [1.0, 1.0, 0.3])
STATES = [["A", "B", "C"], ["A", "D"], ["A", "B", "B"]]
GIGPO = TurnBatch.from_lists([[0, 0, 0], [0, 0], [0, 0, 0]], [10.0, 0.0, 10.0], anchors=STATES)
BASE = TurnBatch.from_lists([[0], [0], [0]], [1.0, 0.0, 0.5], token_counts=[[5], [3], [4]])


def check(name, batch, expected, **parameters):
    np.testing.assert_allclose(estimate(name, batch, **parameters), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [2.809388, 2.598102, 1.224742, -1.752957, -1.224742, -1.056431, 0.528216, 0.0]),
        ({"gamma": 0.9}, [2.439351, 2.475628, 1.224742, -1.630483, -1.224742, -1.109253, 0.528216, 0.0]),
        ({"mode": "joint"}, [1.846367, 2.246413, 2.307958, -1.384775, -0.769319, -0.461592, 0.461592, 0.769319]),
    ],
)
def test_igpo(parameters, expected):
    check("igpo", IG, expected, **parameters)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"eps": 1e-6}, [0.461322, 0.748403, 1.067381, 0.429425, 1.067381, -1.347284, -1.261160, -1.165467]),
        ({"ddof": 1, "eps": 1e-6}, [0.431528, 0.700067, 0.998444, 0.401690, 0.998444, -1.260269, -1.179708, -1.090195]),
        (
            {"scope": "turn", "ddof": 1, "eps": 1e-6, "floor": 0.0},
            [0.592688, 0.446387, 0.707105, 0.561872, 0.699059, -1.154560, -1.145446, -0.707105],
        ),
    ],
)
def test_gtpo(parameters, expected):
    check("gtpo", GTPO, expected, **parameters)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"cross_steps": True}, [5.508333, 2.333333, 2.5, -13.516667, -7.5, 5.508333, 2.333333, 2.833333]),
        ({}, [6.341667, 3.166667, 3.333333, -12.683333, -6.666667, 6.341667, 3.166667, 3.666667]),
        (
            {"std": True, "cross_steps": True},
            [1.117412, -0.037287, 0.540062, -2.774885, -1.620185, 1.117412, -0.037287, 1.694758],
        ),
        ({"std": True}, [1.154700, 0.000002, 0.577350, -2.309401, -1.154700, 1.154700, 0.000002, 1.732047]),
        # the episode part alone
        ({"step_weight": 0.0, "cross_steps": True}, [2.5] * 3 + [-7.5] * 2 + [2.5] * 3),
        ({"step_weight": 0.0}, [3.333333] * 3 + [-6.666667] * 2 + [3.333333] * 3),
        ({"step_weight": 0.0, "std": True, "cross_steps": True}, [0.540062] * 3 + [-1.620185] * 2 + [0.540062] * 3),
        ({"step_weight": 0.0, "std": True}, [0.577350] * 3 + [-1.154700] * 2 + [0.577350] * 3),
    ],
)
def test_gigpo(parameters, expected):
    check("gigpo", GIGPO, expected, **parameters)


@pytest.mark.parametrize(
    ("std", "expected"),
    [
        (False, [3.008333, -0.166667, 0.0, -6.016667, 0.0, 3.008333, -0.166667, 0.333333]),
        (True, [0.577350, -0.577348, 0.0, -1.154700, 0.0, 0.577350, -0.577348, 1.154697]),
    ],
)
def test_gigpo_step_part(std, expected):
    with_steps, without = (estimate("gigpo", GIGPO, std=std, step_weight=w) for w in (1.0, 0.0))
    np.testing.assert_allclose(with_steps - without, expected, atol=1e-5)


def test_gigpo_without_its_steps_needs_no_anchors():
    batch = TurnBatch.from_lists([[0, 0, 0], [0, 0], [0, 0, 0]], [10.0, 0.0, 10.0])
    check("gigpo", batch, [3.333333] * 3 + [-6.666667] * 2 + [3.333333] * 3, step_weight=0.0)


def test_equal_anchor_labels_of_different_groups_are_different_states():
    one = [[0.0], [0.0]], [1.0, 0.0], [["A"], ["A"]]
    two = TurnBatch.from_lists(one[0] * 2, one[1] * 2, groups=[0, 0, 1, 1], anchors=one[2] * 2)
    alone = estimate("gigpo", TurnBatch.from_lists(*one[:2], anchors=one[2]))
    check("gigpo", two, [*alone, *alone])


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("grpo", {}, [0.999998, -0.999998, 0.0]),
        ("grpo", {"ddof": 0}, [1.224742, -1.224742, 0.0]),
        ("grpo", {"std": False}, [0.5, -0.5, 0.0]),
        ("rloo", {}, [0.75, -0.75, 0.0]),
        ("dr_grpo", {}, [0.5, -0.5, 0.0]),
        ("opo", {}, [0.416667, -0.583333, -0.083333]),
        ("reinforce_pp", {}, [0.998187, -1.397461, -0.199637]),
        ("reinforce_pp_baseline", {}, [0.998187, -1.397461, -0.199637]),
        ("pass_at_k", {}, [0.5, 0.0, 0.0]),
    ],
)
def test_outcome_baselines(name, parameters, expected):
    check(name, BASE, expected, **parameters)


def test_pass_at_k_gives_nothing_to_ties():
    check("pass_at_k", TurnBatch.from_lists([[0]] * 3, [1.0, 1.0, 0.0]), [0, 0, 0])
    check("pass_at_k", TurnBatch.from_lists([[0]] * 3, [-1.0, -3.0, 0.0], valid=[True, True, False]), [2.0, 0, 0])


def test_reinforce_pp_discounts_turns():
    # returns 0.95, 0.5 + 0.9 * 0 = 0.5 and 0.9, 1: mean 0.8375, deviations squared .01265625 .11390625 .00390625 .02640625: std 0.228674
    batch = TurnBatch.from_lists([[0.5, 0.5], [0, 0]], [0.0, 1.0])
    check("reinforce_pp", batch, [0.491966, -1.475899, 0.273315, 0.710618], gamma=0.9)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [([0, 0, 0], [-0.499999] * 3), ([1, 0, 0], [0.866024, -0.866024, -0.866024]), ([1, 1, 1], [0, 0, 0])],
)
def test_ngrpo(outcomes, expected):
    check("ngrpo", TurnBatch.from_lists([[0]] * 3, outcomes), expected)


def test_s_grpo_pays_early_exits():
    exits = {"turn_rewards": [[0]] * 4, "outcomes": [0, 1, 1, 1]}
    check("s_grpo", TurnBatch.from_lists(**exits, token_counts=[[1], [2], [3], [4]]), [-0.4375, 0.5625, 0.0625, -0.1875])
    # as long as each other: the same reward, 1, 0.5, 0.5, mean 0.5 with the wrong one
    check("s_grpo", TurnBatch.from_lists(**exits, token_counts=[[1], [2], [4], [4]]), [-0.5, 0.5, 0.0, 0.0])


def test_gdpo_normalises_every_component_by_itself():
    # a: z = 1, 0, -1 (over 100); b: z = -1, 0, 1 (over 0.01); their plain sum would follow a alone
    parts = {"a": [200.0, 100.0, 0.0], "b": [0.0, 0.01, 0.02]}
    batch = TurnBatch.from_lists([[0]] * 3, [0.0] * 3, components=parts)
    np.testing.assert_allclose(estimate("gdpo", batch, whitened=False), [0, 0, 0], atol=2e-4)
    np.testing.assert_allclose(estimate("gdpo", batch, weights={"a": 1.0}, whitened=False), [1, 0, -1], atol=1e-6)
    np.testing.assert_allclose(estimate("gdpo", batch, weights={"a": 0.5, "b": 2.0}), [-1, 0, 1], atol=1e-4)
    with pytest.raises(ValueError, match=r"weighs \['c'\].*allowed: a, b"):
        estimate("gdpo", batch, weights={"c": 1.0})
    # without components: the turn rewards' sum and the outcome
    plain = TurnBatch.from_lists([[1.0], [0.0]], [0.0, 1.0])
    check("gdpo", plain, [0.707106, -0.707106], weights={"turn": 1.0}, whitened=False)


def test_mt_grpo():
    outcomes = [1.0, 0.0, 1.0]
    expected = [1.577050, 0.577250, -1.154501, -1.154501, -0.422550, 0.577250]
    check("mt_grpo", TurnBatch.from_lists([[1, 0], [0.5, 0], [0, 0]], outcomes), expected)
    check("mt_grpo", TurnBatch.from_lists([[1], [0.5], [0]], outcomes), [1.090947, -0.872757, -0.218189])


def test_ppr_and_spa_without_a_critic_are_returns():
    judged = TurnBatch.from_lists([[0.8, 0.6, None], [0.5, None], [0.9, None, None]], [1.0, 0.0, 1.0])
    check("ppr", judged, [2.4, 1.6, 1.0, -0.5, 0.0, 1.9, 1.0, 1.0], whitened=False)
    shares = TurnBatch.from_lists([[0.7, 0.5, 0.8], [0.6, 0.45], [0.4, 0.7, 0.6]], [1.0, 0.0, 0.5])
    check("spa", shares, [2.0, 1.3, 0.8, 1.05, 0.45, 1.7, 1.3, 0.6], whitened=False)


def test_ppr_leaves_an_episode_of_one_turn_alone():
    check("ppr", TurnBatch.from_lists([[0.5]], [0.25]), [0.75], whitened=False)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, [2.495009, -0.018073, -0.074733, -0.493580, -1.331274]),
        ({"step_ddof": 0}, [2.653208, -0.156497, -0.015408, -0.483692, -1.420261]),
    ],
)
def test_istar(parameters, expected):
    check("istar", TurnBatch.from_lists([[0.1, -0.05], [0.05, 0.025], [-0.025]], [1.0, 0.0, 0.0]), expected, **parameters)


@pytest.mark.parametrize(
    ("zeta", "expected"),
    [
        (0.1, [1.360826, 0.603129, -1.145556, -0.676218, -0.142181]),
        (0.05, [1.343968, 0.611942, -1.155137, -0.667405, -0.133368]),
    ],
)
def test_empg(zeta, expected):
    batch = TurnBatch.from_lists([[0, 0], [0, 0], [0]], [1.0, 0.0, 0.5], entropies=[[0.2, 0.8], [0.5, 1.1], [0.35]])
    check("empg", batch, expected, zeta=zeta)


def test_rebel():
    beliefs = [["g1", "g2"], ["g1", "g1"], ["g1", "g2", "g3"]]
    batch = TurnBatch.from_lists([[0.3, 0.5], [0.2, 0.1], [0.4, 0.6, 0.5]], [10.0, 0.0, 10.0], anchors=beliefs)
    check("rebel", batch, [5.831302, 3.314583, -9.158698, -9.256198, 5.916927, 3.352083, 3.333333])


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({}, [0.999997, 1.089895, -0.999997, -1.089895, 0, 0]), ({"std": False}, [0.475, 0.5, -0.475, -0.5, 0, 0])],
)
def test_hgpo(parameters, expected):
    states = [["A", "B"], ["A", "B"], ["C", "B"]]
    check("hgpo", TurnBatch.from_lists([[0, 1], [0, 0], [0, 0.5]], [0.0] * 3, anchors=states), expected, **parameters)


def test_hgpo_leaves_out_levels_that_say_nothing():
    check("hgpo", GIGPO, [0.707106, -0.707103, 0, -1.414213, 0, 0.707106, -0.707103, 1.414207])


@pytest.mark.parametrize(
    ("rewards", "parameters", "expected"),
    [
        ([0, 0, 0], {}, [0.677585, 0.5405, 0.5]),
        ([0, 0, 0], {"gamma": 1.0, "lam": 1.0}, [0.8, 0.6, 0.5]),
        ([0.1, -0.1, 0], {"lam": 0.95}, [0.733568, 0.46525, 0.5]),
        ([0, 0, 0], {"gamma": 1.0, "lam": 0.0}, [0.2, 0.1, 0.5]),
    ],
)
def test_turn_ppo(rewards, parameters, expected):
    batch = TurnBatch.from_lists([rewards], [1.0], values=[[0.2, 0.4, 0.5]])
    check("turn_ppo", batch, expected, whitened=False, **parameters)
    if parameters.get("lam") == 0.0:
        check("vine", batch, expected)


def test_whitening_counts_tokens():
    # 0.8, 0.6, 0.5 with 1, 2, 1 tokens: mean 0.625, squares (.030625 + 2 * .000625 + .015625) / 3: std 0.125831
    batch = TurnBatch.from_lists([[0, 0, 0]], [1.0], values=[[0.2, 0.4, 0.5]], token_counts=[[1, 2, 1]])
    check("turn_ppo", batch, [1.390754, -0.198679, -0.993396], gamma=1.0, lam=1.0)


TREE = {"parents": [-1, 0, -1, 2], "forks": [0, 1, 0, 1]}


@pytest.mark.parametrize(("ddof", "first", "second"), [(1, 0.707105, 0.707106), (0, 0.999996, 0.999998)])
def test_tree_rpo(ddof, first, second):
    # two siblings worth 0.5 and 0; the first one's children 1 and 0, the other's 0 and 0
    batch = TurnBatch.from_lists([[0, 0]] * 4, [1.0, 0.0, 0.0, 0.0], **TREE)
    check("tree_rpo", batch, [first, second, first, -second, -first, 0, -first, 0], ddof=ddof)
    # variances (ddof 1): 0.125 above, 0.5 below
    check("tree_rpo", batch, [0, 0.707106, 0, -0.707106, 0, 0, 0, 0], least_variance=0.2)


def test_tree_grpo():
    batch = TurnBatch.from_lists([[0]] * 4, [1.0, 0.0, 1.0, 1.0], parents=[-1, 0, -1, 2])
    check("tree_grpo", batch, [1.207105, -2.207103, 0.499999, 0.499999])


def test_a_tree_grows_from_a_fork_of_a_fork():
    batch = TurnBatch.from_lists([[0]] * 4, [1.0, 0.0, 1.0, 1.0], parents=[-1, 0, 1, -1])
    # one tree of 1, 0, 1 (mean 2/3, std 0.577350) and one of a single episode
    check("tree_grpo", batch, [1.077350 - 1e-6, -2.654698, 1.077350 - 1e-6, 0.499999])


@pytest.mark.parametrize(("mode", "value"), [("softmax", 0.093778), ("proportional", 0.0), ("mean", 0.353553)])
def test_at2po(mode, value):
    tree = {"parents": [-1, 0, -1], "forks": [0, 1, 0]}
    batch = TurnBatch.from_lists([[0, 0]] * 3, [1.0, 0.0, 0.0], entropies=[[0.6, 0.5], [0.6, 1.0], [0.4, 0.3]], **tree)
    check("at2po", batch, [value, 1.414211, value, -0.707105, -0.707105, -0.707105], mode=mode)


TOKENS = TurnBatch.from_lists([[0.5, 0]], [1.0], token_counts=[[2, 2]], token_values=[[0.1, 0.2, 0.3, 0.4]])


@pytest.mark.parametrize(
    ("gamma", "lam", "plain", "whitened"),
    [
        (1.0, 1.0, [1.4, 1.3, 0.7, 0.6], [0.979796, 0.734847, -0.734847, -0.979796]),
        (1.0, 0.95, [1.274675, 1.2365, 0.67, 0.6], [0.915528, 0.809419, -0.765190, -0.959757]),
        (0.99, 0.95, [1.243540, 1.218012, 0.6603, 0.6], [0.900163, 0.826764, -0.776776, -0.950151]),
    ],
)
def test_token_gae(gamma, lam, plain, whitened):
    check("token_gae", TOKENS, plain, gamma=gamma, lam=lam, whitened=False)
    check("token_gae", TOKENS, whitened, gamma=gamma, lam=lam)


@pytest.mark.parametrize(
    ("lam", "plain", "whitened"),
    [
        (1.0, [1.35, 1.25, 0.7, 0.6], [0.987640, 0.724270, -0.724270, -0.987640]),
        (0.95, [1.260425, 1.2215, 0.67, 0.6], [0.917657, 0.806878, -0.762659, -0.961875]),
    ],
)
def test_bilevel_gae(lam, plain, whitened):
    check("bilevel_gae", TOKENS, plain, lam=lam, whitened=False)
    check("bilevel_gae", TOKENS, whitened, lam=lam)


def test_bilevel_gae_keeps_a_turn_without_reward_apart():
    # A_2 = 1 - 0.4 = 0.6, A_1 = 0.95 * 0.4 - 0.2 + 0.95 * 0.6 = 0.75; then 0.75 and 0.2 - 0.1 + 0.75
    check("bilevel_gae", replace(TOKENS, reward=np.zeros(2)), [0.85, 0.75, 0.7, 0.6], whitened=False)


def test_tokens_of_several_episodes_and_turns_without_any():
    """By hand, gamma and lambda 1, values 0: a token gets what is earned from it on. Turns of 1, 0 and 2 tokens; 0 and 1; none."""
    counts, rewards = [[1, 0, 2], [0, 1], [0]], [[0.25, 0.5, 0], [8.0, 0.125], [2.0]]
    batch = TurnBatch.from_lists(rewards, [1.0, 0.0, 4.0], token_counts=counts, token_values=[[0] * 3, [0], []])
    # what the turn without tokens earned is on the token before it, 0.25 + 0.5; nobody could have earned the 8, nor the 2 and the 4
    check("token_gae", batch, [1.75, 1.0, 1.0, 0.125], whitened=False)
    # over turns, the first 0.75 + 0.5 * 1; inside the last one, its reward for both of its tokens
    check("bilevel_gae", batch, [1.25, 1.0, 1.0, 0.125], turn_gamma=0.5, whitened=False)
    voided = replace(batch, valid=np.array([True, False, True]))
    check("token_gae", voided, [1.75, 1.0, 1.0, 0.0], whitened=False)
    # 1.75, 1 and 1: mean 1.25, variance 0.1875
    check("token_gae", voided, [1.154701, -0.577350, -0.577350, 0.0])


def test_gated_rewards_count_where_the_goal_was_reached():
    rewards, outcomes = [[0.1, 0.1, 0.05], [0.1, 0.1, 0.05], [0.3]], [1.0, 0.0, -1.0]
    plain = TurnBatch.from_lists([rewards[0], [0, 0, 0], [0]], outcomes)
    check("gated", TurnBatch.from_lists(rewards, outcomes), estimate("gtpo", plain), base="gtpo")


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        *(("turn_ppo", "values"), ("vine", "values"), ("empg", "entropy"), ("hgpo", "anchor"), ("rebel", "anchor"), ("gigpo", "anchor")),
        ("token_gae", "action token"),
        *(("tree_rpo", "forked"), ("tree_grpo", "forked"), ("at2po", "forked")),
    ],
)
def test_what_an_estimator_cannot_do_without_is_named(name, missing):
    with pytest.raises(ValueError, match=rf"estimator '{name}' needs .*{missing}"):
        estimate(name, BASE)


def test_turn_rloo():
    batch = TurnBatch.from_lists([[0.1, 0, 0], [0.2, 0], [0]], [1.0, 0.0, 0.0])
    check("turn_rloo", batch, [1.0, 1.0, 1.0, -0.35, -0.5, -0.65])


def test_the_mean_by_turn_index_gives_the_last_turn_of_the_longest_episode_nothing_although_it_won():
    batch = TurnBatch.from_lists([[0.1, 0, 1], [0.2, 0], [0]], [0.0] * 3)
    check("turn_mean", batch, [2 / 3, 0.5, 0.0, -0.7 / 3, -0.5, -1.3 / 3])


def test_turn_rloo_with_a_deviation_counts_ended_episodes_as_zero():
    batch = TurnBatch.from_lists([[0.0, 0.0], [0.0]], [1.0, 0.0])
    # turn 1: returns 1, 0: std (ddof 1) 0.707107; turn 2: 1 and an ended episode's 0: the same
    check("turn_rloo", batch, [1.414212, 1.414212, -1.414212], std=True)


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("grpo", {}, [0, 0]),
        ("grpo", {"singleton": "raw"}, [0.5, 0.5]),
        ("rloo", {}, [0, 0]),
        ("rloo", {"singleton": "raw"}, [0.5, 0.5]),
        ("turn_rloo", {}, [0, 0]),
        ("gigpo", {"step_weight": 0.0}, [0, 0]),
        ("gigpo", {"step_weight": 0.0, "singleton": "raw"}, [0.6, 0.6]),
        # two turns are still one episode
        ("gigpo", {"step_weight": 0.0, "singleton": "raw", "cross_steps": True}, [0.6, 0.6]),
        ("igpo", {}, [0, 0]),
    ],
)
def test_a_group_of_one(name, parameters, expected):
    batch = TurnBatch.from_lists([[0.1, None]], [0.5], anchors=[["a", "b"]])
    check(name, batch, expected, **parameters)


def test_a_pool_of_one_return_is_the_return_itself_in_gtpo():
    batch = TurnBatch.from_lists([[0.25]], [0.5])
    check("gtpo", batch, [0.75])
    check("gtpo", batch, [0.0], singleton="zero")


def test_igpo_with_a_sample_deviation():
    # gains 0.1, 0.3: mean 0.2, std (ddof 1) 0.141421; outcomes 1, 0: mean 0.5, std 0.707107
    batch = TurnBatch.from_lists([[0.3, None], [0.1, None]], [1.0, 0.0])
    check("igpo", batch, [1.414201, 0.707106, -1.414201, -0.707106], ddof=1)


def test_igpo_damps_gains_that_hardly_differ():
    # gains 1e-4, 0: std 5e-5; sqrt(2.5e-9 + 1e-8) + 1e-6 = 1.128034e-4, and 5e-5 / 1.128034e-4 = 0.443249
    check("igpo", TurnBatch.from_lists([[1e-4, None], [0.0, None]], [0.0, 0.0]), [0.443249, 0.0, -0.443249, 0.0])


def test_unscored_turns_stay_out_of_the_pools_unless_asked_in():
    rewards, outcomes = [[None, 0.2], [0.4, 0.0]], [1.0, 0.0]
    # returns, gamma 1: [1.2, 1.2], [0.4, 0.0]; pool without the unscored turn: 1.2, 0.4, 0: mean 0.533333, std 0.498888
    batch = TurnBatch.from_lists(rewards, outcomes)
    check("gtpo", batch, [1.336306, 1.336306, -0.267261, -1.069045], gamma=1.0)
    # with it: mean 0.7, std 0.519615
    check("gtpo", batch, [0.962250, 0.962250, -0.577350, -1.347151], gamma=1.0, unscored="zero")


def test_an_unscored_last_turn_is_in_the_pool_because_it_holds_the_outcome():
    # returns, gamma 1: [1.2, 1.0], [0.4, 0.0]: mean 0.65, std 0.476970
    check("gtpo", TurnBatch.from_lists([[0.2, None], [0.4, 0.0]], [1.0, 0.0]), [1.153113, 0.733799, -0.524142, -1.362769], gamma=1.0)


def test_gigpo_compares_an_unscored_turn_with_the_pool_it_is_not_in():
    # returns, gamma 1: state a: 1.0 (unscored), 0.4, 0.2; the pool's mean is 0.3, so 0.7, 0.1, -0.1. State b: 1.0 alone.
    # episode scores 1.0, 0.4, 0.2: mean 0.533333
    batch = TurnBatch.from_lists([[None, 0.0], [0.4], [0.2]], [1.0, 0.0, 0.0], anchors=[["a", "b"], ["a"], ["a"]])
    check("gigpo", batch, [1.166667, 0.466667, -0.033333, -0.433333], gamma=1.0)
    # in the pool: mean 0.533333
    check("gigpo", batch, [0.933333, 0.466667, -0.266667, -0.666667], gamma=1.0, unscored="zero")

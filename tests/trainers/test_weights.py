import numpy as np
import pytest
import torch
from turnwise.records import Message, Outcome, StopReason, Task, TokenTrace, Trajectory, Turn
from turnwise.trainers.assemble import assemble
from turnwise.trainers.grounding import vote
from turnwise.trainers.loss import policy_loss
from turnwise.trainers.weights import weighted

TRACE = TokenTrace(context_ids=(1,), action_ids=(2, 3), logprobs=(-0.5, -0.25), restart=True)
TARGET = {"target_x1": 40.0, "target_y1": 40.0, "target_x2": 60.0, "target_y2": 50.0}


def episode(measures, task="a", rollout=0, valid=True):
    turn = Turn(index=0, observation=(), action=Message(role="assistant", content="x"), measures=measures, tokens=TRACE)
    outcome = Outcome(score=measures.get("hit", 0.0)) if valid else Outcome.void("gone")
    stop = StopReason.FAILURE if valid else StopReason.ENV_FAULT
    where = Task(id=task, env_id="e", split="test", data={"id": task})
    return Trajectory(task=where, turns=(turn,), outcome=outcome, stop=stop, rollout=rollout)


def test_the_loss_of_an_episode_is_multiplied_by_its_weight():
    """GUI-G1's loss, sum_i rate_i l_i, with rates of 1 on average: 2 and 6 become 0.5 and 1.5."""
    batch = [episode({"difficulty": 2.0}), episode({"difficulty": 6.0}, task="b"), episode({}, task="c", valid=False)]
    advantages = weighted(batch, [1.0, 3.0, -2.0, -4.0, 0.0, 0.0], "difficulty")
    assert advantages.tolist() == [0.5, 1.5, -3.0, -6.0, 0.0, 0.0]
    logprobs = torch.tensor([-0.1, -0.4])

    def losses(values):
        samples = assemble(batch, token_advantages=values)
        parts = []
        for s in samples:
            on = s.action
            a, w, p = (torch.tensor(v[on]) for v in (s.advantage, s.weight, s.logprobs))
            parts.append(float(policy_loss(logprobs, p, a, w).loss))
        return np.array(parts)

    assert losses(advantages) == pytest.approx(losses([1.0, 3.0, -2.0, -4.0, 0.0, 0.0]) * [0.5, 1.5])


def test_weights_that_are_missing_are_refused():
    with pytest.raises(ValueError, match=r"task 'a' has 'difficulty' = None.*Measures there: hit"):
        weighted([episode({"hit": 1.0})], [1.0, 1.0], "difficulty")
    with pytest.raises(ValueError, match="must be a positive measure"):
        weighted([episode({"difficulty": 0.0})], [1.0, 1.0], "difficulty")
    with pytest.raises(ValueError, match=r"\(3,\) advantages for 2 action tokens"):
        weighted([episode({"difficulty": 1.0})], [1.0, 2.0, 3.0], "difficulty")
    assert weighted([episode({}, valid=False)], [0.0, 0.0], "difficulty").tolist() == [0.0, 0.0]


def point(x, y, rollout, task="a"):
    hit = float(40 <= x <= 60 and 40 <= y <= 50)
    return episode({"x": x, "y": y, "width": 100.0, "height": 100.0, "hit": hit, **TARGET}, task=task, rollout=rollout)


def test_a_vote_is_right_where_most_samples_overlap():
    # Squares of side 10 about (38, 45), (62, 45), (50, 45), (52, 45) and one far away: the last two share x 47..55, most votes; 2 of 5 hit.
    samples = [point(x, y, n) for n, (x, y) in enumerate([(38, 45), (62, 45), (50, 45), (52, 45), (90, 90)])]
    far = [point(5, 5, 0, task="b"), point(5, 6, 1, task="b"), point(50, 45, 2, task="b")]
    silent = [episode({"width": 100.0, "height": 100.0, "hit": 0.0, **TARGET}, task="c")]
    done = vote([*samples, *far, *silent, episode({"width": 9.0, "height": 9.0}, task="d"), episode({}, task="e", valid=False)], side=10)
    assert (done["tasks"], done["left_out"]) == (3, 2)
    a, b, c = done["votes"]
    assert (a.point, a.hit, a.single, a.readable) == ((51.0, 45.0), True, 0.4, 5)
    assert (b.hit, b.single) == (False, pytest.approx(1 / 3))
    assert (c.point, c.hit, c.samples, c.readable) == (None, False, 1, 0)
    assert (done["voted"], done["single"]) == (pytest.approx(1 / 3), pytest.approx((0.4 + 1 / 3) / 3))
    with pytest.raises(ValueError, match="no episode has a target"):
        vote([episode({}, valid=False)])

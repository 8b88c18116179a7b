"""Invariants 3, 4 and 5 with images, for both families, against transformers' own padded forward."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from turnwise.agents.models import base_model, with_lora
from turnwise.agents.policy import PolicyAgent
from turnwise.agents.vision import image_reader, rope_positions
from turnwise.records import ImageSpan, Message, TokenTrace
from turnwise.trainers.assemble import assemble
from turnwise.trainers.information_gain import BEFORE, InformationGain
from turnwise.trainers.learner import Learner
from turnwise.trainers.loss import LossOptions
from turnwise.trainers.pack import pack

from .vision_kit import FAMILIES, TALKS, ask, load, own_logits, picture, play


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vlm")


@pytest.fixture(params=FAMILIES)
def policy(request, folder):
    return load(folder, request.param)


def advantages(episodes, seed=3):
    return np.random.default_rng(seed).normal(size=sum(len(t.turns) for t in episodes))


def gradients(model, processor, samples, *, share=True, budget=10_000):
    learner = Learner(model, lr=0.0, images=image_reader(processor))
    model.zero_grad()
    total = 0.0
    for one in pack(samples, budget, share=share):
        terms, _ = learner._policy_terms(one)
        terms.loss.backward()
        total += float(terms.loss.detach())
    return total, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def padded_reference(model, processor, samples):
    model.zero_grad()
    model.set_attn_implementation("eager")
    logprobs = torch.log_softmax(own_logits(model, processor, samples), -1)
    total = torch.zeros(())
    for row, s in enumerate(samples):
        length = len(s.ids)
        picked = logprobs[row, : length - 1].gather(-1, torch.from_numpy(s.ids)[1:, None])[:, 0]
        ratio = (picked - torch.from_numpy(s.logprobs)[1:]).exp()
        advantage, weight = torch.from_numpy(s.advantage)[1:], torch.from_numpy(s.weight)[1:]
        total = total - (weight * torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.28) * advantage)).sum()
    total.backward()
    return float(total.detach()), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def assert_same(a, b):
    assert a[0] == pytest.approx(b[0], abs=1e-5)
    assert a[1].keys() == b[1].keys()
    for name in a[1]:
        torch.testing.assert_close(a[1][name], b[1][name], atol=3e-5, rtol=2e-3, msg=lambda m, name=name: f"{name}: {m}")


def episodes_of(model, processor):
    return play(PolicyAgent(model, processor, max_new_tokens=6))


def test_packed_equals_padded_equals_prefix_shared(policy):
    model, processor = policy
    episodes = episodes_of(model, processor)
    samples = assemble(episodes, advantages(episodes))
    assert [len(s.images) for s in samples] == [4, 3, 2, 1]
    expected = padded_reference(model, processor, samples)
    tower = [name for name, g in expected[1].items() if ".visual." in name and g.abs().max() > 1e-6]
    assert len(tower) > 10  # the loss reaches the vision tower
    for share in (True, False):
        for budget in (10_000, 60, 1):
            assert_same(gradients(model, processor, samples, share=share, budget=budget), expected)


def test_merged_stepwise_and_forked_assembly_agree(policy):
    model, processor = policy
    first, *_ = episodes_of(model, processor)
    values = advantages([first])
    history, spans, turns = [], [], []
    for turn in first.turns:
        t = turn.tokens
        spans += [replace(s, start=s.start + len(history)) for s in t.images]
        history += t.context_ids
        whole = TokenTrace(context_ids=tuple(history), action_ids=t.action_ids, logprobs=t.logprobs, restart=True, images=tuple(spans))
        turns.append(replace(turn, tokens=whole if turn.index == 2 else t))
        history += t.action_ids
    merged = assemble([first], values)
    stepwise = assemble([first], values, merge=False)
    forked = assemble([replace(first, turns=tuple(turns))], values)
    assert [len(x) for x in (merged, stepwise, forked)] == [1, 3, 2]
    assert [p.span for p in forked[1].images] == [p.span for p in merged[0].images]
    expected = gradients(model, processor, merged)
    assert_same(gradients(model, processor, stepwise), expected)
    assert_same(gradients(model, processor, forked), expected)


def test_sampler_and_trainer_agree_and_the_first_ratio_is_one(policy):
    model, processor = policy
    episodes = episodes_of(model, processor)
    samples = assemble(episodes, advantages(episodes))
    learner = Learner(model, lr=1e-3, images=image_reader(processor))
    for sample, ours in zip(samples, learner.logprobs(samples), strict=True):
        np.testing.assert_allclose(sample.logprobs[sample.action], ours.numpy(), atol=1e-5)
    logprobs = torch.log_softmax(own_logits(model, processor, samples), -1)
    for row, s in enumerate(samples):
        at = np.flatnonzero(s.action)
        np.testing.assert_allclose(s.logprobs[at], logprobs[row, at - 1, s.ids[at]].detach().numpy(), atol=1e-4)
    metrics = learner.update(samples)
    assert metrics["ratio_max"] == pytest.approx(1.0, abs=1e-4)
    assert metrics["clip_fraction"] == 0.0


def test_text_alone_runs_as_in_a_text_policy(policy):
    model, processor = policy
    words = [(Message(role="user", content="no picture"),), (Message(role="user", content="still none"),)]
    samples = assemble(play(PolicyAgent(model, processor, max_new_tokens=6), [words, words]))
    (one,) = pack(samples, 10_000)
    assert (one.images, one.positions.ndim) == (None, 2)
    learner = Learner(model, lr=0.0)  # needs no reader
    table = torch.log_softmax(own_logits(model, processor, samples), -1).detach()
    for row, (s, ours) in enumerate(zip(samples, learner.logprobs(samples), strict=True)):
        at = np.flatnonzero(s.action)
        np.testing.assert_allclose(s.logprobs[at], ours.numpy(), atol=1e-5)
        np.testing.assert_allclose(s.logprobs[at], table[row, at - 1, s.ids[at]], atol=1e-4)


def test_the_pictures_matter(policy):
    model, processor = policy
    (episode,) = play(PolicyAgent(model, processor, max_new_tokens=6), TALKS[:1])
    (sample,) = assemble([episode])
    other = play(PolicyAgent(model, processor, max_new_tokens=6), TALKS[2:3])[0].turns[0]
    first, *rest = sample.images
    changed = replace(sample, images=(replace(first, image=other.observation[0].content[0]), *rest))
    changed = replace(changed, images=(replace(changed.images[0], span=replace(first.span, digest=changed.images[0].image.digest)), *rest))
    learner = Learner(model, lr=0.0, images=image_reader(processor))
    a, b = learner.logprobs([sample, changed])
    assert float((a - b).abs().max()) > 0.01


def test_an_image_token_that_was_sampled_or_read_as_text_is_only_a_token(policy):
    model, processor = policy
    image_token = processor.image_token_id
    agent = PolicyAgent(model, processor, max_new_tokens=6)
    (episode,) = play(agent, [[(ask("what is <|image_pad|>", picture(1, 1), "and <|image_pad|>"),), (ask("go on", picture(0, 0)),)]])
    first, second = episode.turns
    assert sum(i == image_token for i in first.tokens.context_ids) == 9 + 2
    forced = replace(first.tokens, action_ids=(image_token, *first.tokens.action_ids[1:]))
    samples = assemble([replace(episode, turns=(replace(first, tokens=forced), second))])
    learner = Learner(model, lr=1e-3, images=image_reader(processor))
    before = learner.logprobs(samples)[0]
    assert np.isfinite(before.numpy()).all()
    assert learner.imitate(samples)["grad_norm"] > 0
    assert float(learner.logprobs(samples)[0][0]) > float(before[0])  # it is trained like any other


def test_each_picture_goes_through_the_tower_once_and_prefixes_need_equal_pictures(policy):
    model, processor = policy
    episodes = episodes_of(model, processor)
    samples = assemble(episodes)
    (one,) = pack(samples, 10_000)
    digests = [p.span.digest for p in one.images.distinct]
    assert len(digests) == len(set(digests)) == 6  # ten placed, six different
    assert one.images.mask.sum() == len(one.images.rows)
    # episodes 0 and 1 share the first turn's context, 2 only what stands before its own first picture
    first = samples[0].images[0].span.start
    prompt = len(episodes[0].turns[0].tokens.context_ids)
    (pair,) = pack([samples[0], samples[2]], 10_000)
    assert pair.tokens - pair.ids.shape[1] == first
    (pair,) = pack(samples[:2], 10_000)
    assert pair.tokens - pair.ids.shape[1] >= prompt
    (whole,) = pack(samples, 10_000, share=False)
    assert whole.ids.shape[1] == whole.tokens == sum(len(s.ids) for s in samples)


def test_the_same_picture_twice_sums_its_gradients(policy):
    model, processor = policy
    talk = [TALKS[0][0], TALKS[0][2]]  # the picture of turn 2 was the first of turn 0
    samples = assemble(play(PolicyAgent(model, processor, max_new_tokens=6), [talk]))
    (one,) = pack(samples, 10_000)
    assert (len(samples[0].images), len(one.images.distinct)) == (3, 2)
    assert_same(gradients(model, processor, samples), padded_reference(model, processor, samples))


def test_a_frozen_tower_stays_and_the_rest_trains(folder):
    for family in FAMILIES:
        model, processor = load(folder, family, freeze=True)
        episodes = episodes_of(model, processor)
        before = {n: p.detach().clone() for n, p in model.named_parameters()}
        Learner(model, lr=1e-3, images=image_reader(processor)).update(assemble(episodes, advantages(episodes)))
        moved = {n for n, p in model.named_parameters() if not torch.equal(p, before[n])}
        assert moved
        assert not any(".visual." in n for n in moved)


@pytest.mark.parametrize("freeze", [False, True])
def test_lora_trains_the_tower_unless_it_is_frozen(folder, freeze):
    for family in FAMILIES:
        model, processor = load(folder, family, freeze=freeze)
        policy = with_lora(model, {"r": 2})
        names = [n for n, p in policy.named_parameters() if p.requires_grad]
        assert all("lora_" in n for n in names)
        assert any("language_model" in n for n in names)
        assert any(".visual." in n for n in names) is not freeze
        episodes = episodes_of(base_model(policy), processor)
        samples = assemble(episodes, advantages(episodes))
        learner = Learner(policy, lr=1e-2, loss=LossOptions(kl_coef=0.01), reference="base", images=image_reader(processor))
        first, second = learner.update(samples), learner.update(samples)
        assert first["ratio_max"] == pytest.approx(1.0, abs=1e-4)
        assert first["kl"] == pytest.approx(0.0, abs=1e-6)
        assert second["kl"] > 1e-7


def test_bfloat16_samples_and_trains(policy):
    model, processor = policy
    model.to(torch.bfloat16)
    episodes = episodes_of(model, processor)
    samples = assemble(episodes, advantages(episodes))
    learner = Learner(model, lr=1e-4, images=image_reader(processor))
    metrics = learner.update(samples)
    assert metrics["ratio_max"] == pytest.approx(1.0, abs=0.2)  # rounding of half precision, no more
    assert metrics["sampler_kl"] < 1e-3
    assert 0 < metrics["grad_norm"] < 1e3


def test_gradient_checkpointing_changes_no_gradient(policy):
    from turnwise.agents.models import recompute_activations

    model, processor = policy
    episodes = episodes_of(model, processor)
    samples = assemble(episodes, advantages(episodes))
    expected = gradients(model, processor, samples)
    recompute_activations(model)
    model.train()
    assert_same(gradients(model, processor, samples), expected)


def test_images_without_a_reader_and_other_pixel_limits_are_refused(folder):
    model, processor = load(folder, "qwen3_vl")
    samples = assemble(episodes_of(model, processor))
    with pytest.raises(ValueError, match="pass images="):
        Learner(model, lr=0.0).logprobs(samples)
    _, smaller = load(folder, "qwen3_vl", max_pixels=32 * 32)
    with pytest.raises(ValueError, match="train with the image processor"):
        Learner(model, lr=0.0, images=image_reader(smaller)).logprobs(samples)


def test_a_trajectory_whose_tokens_hold_other_images_is_refused(folder):
    model, processor = load(folder, "qwen3_vl")
    episode = play(PolicyAgent(model, processor, max_new_tokens=4), TALKS[:1])[0]
    first = episode.turns[0]
    blind = replace(first, tokens=replace(first.tokens, images=()))
    with pytest.raises(ValueError, match="2 new images of 2 were seen"):
        assemble([replace(episode, turns=(blind, *episode.turns[1:]))])
    forgot = replace(episode.turns[1].tokens, restart=True, images=())
    blank = replace(episode.turns[1], observation=(Message(role="user", content="no picture"),), tokens=forgot)
    with pytest.raises(ValueError, match="0 new images of 2 were seen, but the tokens hold 0"):
        assemble([replace(episode, turns=(first, blank))])
    swapped = replace(first, observation=TALKS[2][0])
    with pytest.raises(ValueError, match="keep the messages as they were"):
        assemble([replace(episode, turns=(swapped, *episode.turns[1:]))])


def test_information_gain_of_episodes_with_pictures(policy):
    model, processor = policy
    agent = PolicyAgent(model, processor, max_new_tokens=6)
    episodes = [replace(t, task=replace(t.task, data={"answers": ["1,2"]})) for t in play(agent)]
    found = InformationGain(model, agent.renderer, images=processor.reader)(episodes)
    encode = processor.tokenizer.encode
    before, answer = encode(BEFORE, add_special_tokens=False), encode("1,2", add_special_tokens=False)
    for episode, values in zip(episodes, found, strict=True):
        p = []
        for turn, sample in zip(episode.turns, assemble([episode], merge=False), strict=True):
            ids = np.asarray([*sample.ids[: len(sample.ids) - len(turn.tokens.action_ids)], *before, *answer])
            table = own_logits(model, processor, [replace(sample, ids=ids)])[0].log_softmax(-1).detach()
            at = np.arange(len(ids) - len(answer), len(ids))
            p.append(float(table[at - 1, ids[at]].mean().exp()))
        assert values.turns[:-1] == pytest.approx(list(np.diff(p)), abs=1e-6)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)), max_size=4), st.integers(1, 6), st.data())
def test_positions_are_those_of_transformers_and_continue_anywhere(images, tail, data):
    spans, types, grids = [], [], []
    for gap, height, width in images:
        types += [0] * gap
        spans.append(ImageSpan(digest="d", start=len(types), height=height, width=width))
        types += [1] * (height * width)
        grids.append([1, 2 * height, 2 * width])
    types += [0] * tail
    whole = rope_positions(spans, 0, len(types))
    start = data.draw(st.integers(0, len(types) - 1))
    stop = data.draw(st.integers(start + 1, len(types)))
    assert (rope_positions(spans, start, stop) == whole[:, start:stop]).all()
    if not spans:
        assert (whole == np.arange(len(types))).all()
        return
    for model in _models():
        ids = torch.ones(1, len(types), dtype=torch.long)
        theirs, _ = model.model.get_rope_index(ids, torch.tensor([types]), image_grid_thw=torch.tensor(grids))
        assert (theirs[:, 0].numpy() == whole).all()


_MODELS = []


def _models():
    if not _MODELS:
        from turnwise.agents.tiny_vision import build_vision_model, build_vision_tokenizer

        tokenizer = build_vision_tokenizer(["a"], vocab_size=300)
        _MODELS.extend(build_vision_model(tokenizer, family=f, hidden=16, heads=2, layers=1, vision_layers=1) for f in FAMILIES)
    return _MODELS

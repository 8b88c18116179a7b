"""The local policy: what it samples is what full recomputation of the same tokens says, to numerical tolerance."""

import asyncio

import numpy as np
import pytest
import torch
from turnwise.agents.base import Episode
from turnwise.agents.decoder import Decoder, Sampled, SlotCache
from turnwise.agents.policy import PolicyAgent
from turnwise.agents.render import Renderer, TemplateError
from turnwise.agents.tiny import build_model, build_tokenizer
from turnwise.records import Message, StopReason, Task

TEXTS = ["who wrote the book", "<search> the book </search>", "<answer> anna </answer>", "Doc 1(Title: anna) anna wrote the book"]
STRIPS_THINKING = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{{ m['content'].split('</think>')[-1] if not loop.last else m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(TEXTS, vocab_size=300)


@pytest.fixture
def model(tokenizer):
    return build_model(len(tokenizer), seed=1, hidden=32, layers=2, heads=2)


def full_logprobs(model, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return torch.log_softmax(model(input_ids=torch.tensor([ids])).logits[0].float(), -1)


def task(text: str) -> Task:
    return Task(id=text, env_id="x/X-v0", split="train", prompt=(Message(role="user", content=text),))


def episode(text: str, seed: int) -> Episode:
    return Episode(task=task(text), rollout=0, policy_seed=seed, messages=list(task(text).prompt))


async def talk(agent: PolicyAgent, text: str, seed: int, replies: list[str]):
    run = episode(text, seed)
    observation = run.task.prompt
    acts = []
    for reply in [*replies, None]:
        act = await agent.act(observation, run)
        acts.append(act)
        run.messages.append(act.message)
        if reply is not None:
            observation = (Message(role="user", content=reply),)
            run.messages.extend(observation)
    agent.forget(run)
    return acts


def run_all(agent: PolicyAgent, specs):
    async def main():
        return await asyncio.gather(*(talk(agent, *spec) for spec in specs))

    return asyncio.run(main())


SPECS = [
    ("who wrote the book", 1, ["anna", "the book"]),
    ("who wrote the book", 2, ["the book the book the book", "anna"]),
    ("the book", 3, []),
    ("anna wrote the book anna wrote the book", 4, ["x"]),
]


def test_sampled_logprobs_equal_full_recomputation(model, tokenizer):
    agent = PolicyAgent(model, tokenizer, max_new_tokens=12)
    for acts in run_all(agent, SPECS):
        ids: list[int] = []
        for act in acts:
            trace = act.tokens
            ids += trace.context_ids
            start = len(ids)
            ids += trace.action_ids
            table = full_logprobs(model, ids)
            want = [table[start + k - 1, token].item() for k, token in enumerate(trace.action_ids)]
            np.testing.assert_allclose(trace.logprobs, want, atol=2e-5)
    assert agent.decoder.shared_tokens == len(agent.renderer.full(task("who wrote the book").prompt))


def test_a_draw_does_not_depend_on_who_else_is_decoding(model, tokenizer):
    together = run_all(PolicyAgent(model, tokenizer, max_new_tokens=12), SPECS)
    for spec, acts in zip(SPECS, together, strict=True):
        alone = run_all(PolicyAgent(model, tokenizer, max_new_tokens=12), [spec])[0]
        assert [a.tokens.action_ids for a in alone] == [a.tokens.action_ids for a in acts]


def test_context_is_exactly_the_chat_template(model, tokenizer):
    agent = PolicyAgent(model, tokenizer, max_new_tokens=40)
    texts: list[str] = []
    for act in run_all(agent, [("the book", 5, ["anna"])])[0]:
        trace = act.tokens
        texts += [tokenizer.decode(trace.context_ids), agent.renderer.decode(trace.action_ids)]
    assert texts[0] == "<|im_start|>user\nthe book<|im_end|>\n<|im_start|>assistant\n"
    assert texts[2] in (
        "\n<|im_start|>user\nanna<|im_end|>\n<|im_start|>assistant\n",
        "<|im_end|>\n<|im_start|>user\nanna<|im_end|>\n<|im_start|>assistant\n",
    )


def test_bridge_closes_a_turn_that_was_cut_by_length(tokenizer):
    renderer = Renderer(tokenizer)
    reply = (Message(role="user", content="anna"),)
    after_stop, after_cut = renderer.bridge(reply, ended=True), renderer.bridge(reply, ended=False)
    assert after_cut == (renderer.eos_id, *after_stop)


def test_a_template_that_rewrites_history_forks_instead_of_drifting(model):
    tokenizer = build_tokenizer(TEXTS, vocab_size=300)
    assert not Renderer(tokenizer).rewrites_history
    tokenizer.chat_template = STRIPS_THINKING
    renderer = Renderer(tokenizer)
    assert renderer.rewrites_history
    thought = Message(role="assistant", content="<think> a </think> b")
    assert not renderer.can_append([thought])
    assert renderer.can_append([Message(role="assistant", content="b")])


def test_weights_that_change_are_never_answered_from_an_old_cache(model, tokenizer):
    agent = PolicyAgent(model, tokenizer, max_new_tokens=6)

    async def main():
        run = episode("the book", 7)
        first = await agent.act(run.task.prompt, run)
        run.messages.append(first.message)
        with torch.no_grad():
            for p in model.parameters():
                p.mul_(1.5)
        agent.weights_changed()
        new = (Message(role="user", content="anna"),)
        run.messages.extend(new)
        return first.tokens, (await agent.act(new, run)).tokens

    first, second = asyncio.run(main())
    assert (first.version, second.version) == (0, 1)
    ids = [*first.context_ids, *first.action_ids, *second.context_ids]
    start = len(ids)
    ids += second.action_ids
    table = full_logprobs(model, ids)
    want = [table[start + k - 1, t].item() for k, t in enumerate(second.action_ids)]
    np.testing.assert_allclose(second.logprobs, want, atol=2e-5)


def test_context_overflow_stops_the_episode(model, tokenizer):
    agent = PolicyAgent(model, tokenizer, max_new_tokens=8, max_context=10)
    act = run_all(agent, [("who wrote the book who wrote the book", 1, [])])[0][0]
    assert act.stop is StopReason.CONTEXT_OVERFLOW
    assert act.tokens is None


def test_greedy_takes_the_best_token(model, tokenizer):
    decoder = Decoder(model, temperature=0.0)

    async def main() -> Sampled:
        return await decoder.extend(decoder.open(), [5, 6, 7], max_new_tokens=1, eos_id=2, rng=np.random.default_rng(0))

    out = asyncio.run(main())
    assert out.ids[0] == int(full_logprobs(model, [5, 6, 7])[-1].argmax())


def test_an_error_in_the_model_reaches_everyone_who_waits(model, tokenizer):
    agent = PolicyAgent(model, tokenizer, max_new_tokens=4)

    def fail(**_):
        raise RuntimeError("out of memory")

    agent.decoder._trunk = fail

    async def main():
        talks = (talk(agent, *spec) for spec in SPECS[:2])
        return await asyncio.wait_for(asyncio.gather(*talks, return_exceptions=True), timeout=20)

    assert [str(e) for e in asyncio.run(main())] == ["out of memory"] * 2


def test_a_tokenizer_without_a_template_is_refused():
    tokenizer = build_tokenizer(TEXTS, vocab_size=300)
    tokenizer.chat_template = None
    with pytest.raises(TemplateError, match="no chat template"):
        Renderer(tokenizer)


def test_any_text_survives_the_tokenizer(tokenizer):
    for text in ["", "naïve café", "\U0001f600 <search>", "a\n\n b\t"]:
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


@pytest.mark.parametrize("length", [63, 64, 65])
def test_a_prefix_is_copied_whatever_its_length(length):
    """The cache grows by 64 positions: one of them fills it to the last."""
    cache, keys = SlotCache(), torch.randn(1, 2, length, 8)
    cache.plan(torch.tensor([0]), torch.arange(length)[None], length, 3)
    cache.update(keys, -keys, 0)
    cache.copy(0, [1, 2], length)
    cache.plan(torch.tensor([0, 1, 2]), torch.full((3, 1), length), length + 1, 3)
    found, values = cache.update(torch.zeros(3, 2, 1, 8), torch.zeros(3, 2, 1, 8), 0)
    for row in range(3):
        assert torch.equal(found[row, :, :length], keys[0])
        assert torch.equal(values[row, :, :length], -keys[0])

"""What a policy sees: decoding, placing, forgetting and refusing images."""

import asyncio
import io
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from turnwise.agents.base import Episode
from turnwise.agents.images import ImageError, ImageReader, Placed, decode_image
from turnwise.agents.models import load_policy
from turnwise.agents.policy import PolicyAgent
from turnwise.agents.render import Renderer, TemplateError
from turnwise.agents.rollout import rollout
from turnwise.agents.tiny import build_tiny
from turnwise.agents.tiny_vision import build_image_processor
from turnwise.agents.vision import FORGOTTEN, VisionProcessor, VisionRenderer, image_reader
from turnwise.records import ImagePart, ImageSpan, Message, StopReason, Task, TextPart, TokenTrace, ToolCall
from turnwise.trainers.assemble import assemble
from turnwise.trainers.demonstrate import tokenize_demonstration
from turnwise.trainers.learner import Learner
from turnwise.trajectory_io import read_trajectories, write_trajectories

from ..trainers.vision_kit import FAMILIES, TALKS, TEXTS, Squares, ask, load, own_logits, picture, play, png


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("vlm")


@pytest.fixture(params=FAMILIES)
def policy(request, folder):
    return load(folder, request.param)


@pytest.fixture
def processor(folder):
    return load(folder, "qwen3_vl")[1]


def saved(image, kind, **options) -> ImagePart:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return ImagePart(data=buffer.getvalue(), mime=f"image/{kind.lower()}")


# ---- files to pixels -------------------------------------------------------------------------------------------------


def test_palette_grey_transparent_and_turned_images_are_converted_as_written():
    red = Image.new("RGB", (4, 2), (204, 0, 0))
    assert decode_image(png(red.convert("P"))).getpixel((0, 0)) == (204, 0, 0)  # a colour of the web palette
    assert decode_image(png(Image.new("L", (2, 2), 77))).getpixel((1, 1)) == (77, 77, 77)
    assert decode_image(png(Image.new("1", (2, 2), 1))).getpixel((1, 1)) == (255, 255, 255)
    sixteen = Image.fromarray(np.full((2, 2), 0x8040, np.uint16))
    assert decode_image(png(sixteen)).getpixel((0, 0)) == (0x80, 0x80, 0x80)
    # half transparent red on white, and what is wholly transparent is white whatever colour it hides
    assert decode_image(png(Image.new("RGBA", (2, 2), (255, 0, 0, 128)))).getpixel((0, 0)) == (255, 127, 127)
    assert decode_image(png(Image.new("LA", (2, 2), (0, 0)))).getpixel((0, 0)) == (255, 255, 255)
    clear = Image.new("P", (2, 2), 0)
    clear.putpalette([9, 9, 9] * 256)
    assert decode_image(saved(clear, "GIF", transparency=0)).getpixel((0, 0)) == (255, 255, 255)
    turned = Image.Exif()
    turned[0x0112] = 6  # turn by 90 degrees
    assert decode_image(saved(red, "JPEG", exif=turned)).size == (2, 4)
    assert decode_image(saved(Image.new("CMYK", (2, 2)), "TIFF")).mode == "RGB"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImagePart(data=b""), "no image file that can be read"),
        (lambda: ImagePart(data=b"<svg xmlns='http://www.w3.org/2000/svg'/>", mime="image/svg+xml"), "send PNG, JPEG"),
        (lambda: ImagePart(data=saved(Image.effect_noise((64, 64), 90), "PNG").data[:900]), "is damaged"),
        (lambda: ImagePart(data=saved(Image.effect_noise((64, 64), 90), "JPEG").data[:700]), "is damaged"),
        (lambda: saved(Image.new("RGB", (2, 2)), "GIF", save_all=True, append_images=[Image.new("RGB", (2, 2), "red")]), "2 frames"),
        (lambda: _empty_png(), "damaged|no image file"),
        (lambda: _huge_png(), "too large"),
    ],
)
def test_images_that_cannot_be_shown_say_why(make, message):
    with pytest.raises(ImageError, match=message):
        decode_image(make())


def _header(width, height) -> ImagePart:
    import struct
    import zlib

    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    empty = zlib.compress(b"")
    data = b"IDAT" + empty
    return ImagePart(
        data=b"\x89PNG\r\n\x1a\n"
        + chunk
        + struct.pack(">I", len(empty))
        + data
        + struct.pack(">I", zlib.crc32(data))
        + b"\x00\x00\x00\x00IEND\xaeB`\x82"
    )


def _empty_png() -> ImagePart:
    return _header(0, 0)


def _huge_png() -> ImagePart:
    return _header(20_000, 20_000)


def test_pixels_are_made_once_and_are_the_same_bits_when_made_again(processor):
    part = picture(1, 2)
    reader = processor.reader
    first = reader.pixels(part)
    assert reader.pixels(ImagePart(data=part.data)) is first  # by content, not by object
    assert not first.values.flags.writeable
    other = ImageReader(build_image_processor(), cache_bytes=1)
    again = other.pixels(part)
    other.pixels(picture(0, 0))  # pushes the first out
    third = other.pixels(part)
    assert other.made == 3
    for values in (again.values, third.values):
        assert values.tobytes() == first.values.tobytes()
    assert first.grid == (1, 6, 6)
    assert reader.span(part, 4) == ImageSpan(digest=part.digest, start=4, height=3, width=3)


def test_pixel_limits_bound_the_tokens_of_an_image(folder):
    large = png(Image.new("RGB", (640, 320), "red"))
    for limit, tokens in ((16 * 16 * 50, 50), (16 * 16 * 8, 8)):
        _, processor = load(folder, "qwen3_vl", max_pixels=limit)
        span = processor.reader.span(large, 0)
        assert tokens / 2 <= span.height * span.width <= tokens
        assert span.width == 2 * span.height
    _, processor = load(folder, "qwen3_vl", min_pixels=16 * 16 * 100)
    small = processor.reader.span(png(Image.new("RGB", (3, 3))), 0)
    assert small.height * small.width == 100
    with pytest.raises(ImageError, match="of 1000 x 2 pixels is refused"):
        processor.reader.pixels(png(Image.new("RGB", (1000, 2))))
    with pytest.raises(ValueError, match="0 < min_pixels <= max_pixels"):
        load(folder, "qwen3_vl", min_pixels=500_000)
    with pytest.raises(ValueError, match="no option max_pixel; allowed: min_pixels"):
        load(folder, "qwen3_vl", max_pixel=1)


# ---- messages to tokens ----------------------------------------------------------------------------------------------


def test_ids_are_those_of_the_whole_template_with_each_image_token_repeated(processor):
    renderer = VisionRenderer(processor)
    message = ask("a", picture(0, 0), "b ", picture(1, 1, cells=2))
    context = renderer.context([message])
    tokenizer = processor.tokenizer
    pad = "<|image_pad|>"
    text = f"<|im_start|>user\na<|vision_start|>{pad * 9}<|vision_end|>b <|vision_start|>{pad * 4}<|vision_end|><|im_end|>\n"
    assert list(context.ids) == tokenizer.encode(text + "<|im_start|>assistant\n", add_special_tokens=False)
    assert [(p.span.height, p.span.width) for p in context.images] == [(3, 3), (2, 2)]
    for placed in context.images:
        assert set(context.ids[placed.span.start : placed.span.end]) == {processor.image_token_id}
        assert placed.span.digest == placed.image.digest
    after = renderer.continuation((message,), ended=True)
    assert after.images[0].span.start == context.images[0].span.start + 1  # behind the line end that follows the end token
    assert renderer.full([message]) == context.ids


def test_image_tokens_in_text_stay_text(processor):
    renderer = VisionRenderer(processor)
    call = ToolCall(id="1", name="f", arguments='{"x": "<|image_pad|>"}')
    said = [
        ask("<|image_pad|> \ue0f0", picture(0, 0), "<|image_pad|>"),
        Message(role="assistant", content="<|image_pad|>", tool_calls=(call,)),
    ]
    context = renderer.context([*said, Message(role="user", content="\ue0f0<|image_pad|>")])
    text = processor.tokenizer.decode(context.ids)
    assert text.count("<|image_pad|>") == 9 + 2 + 1 + 1  # the picture's, and those that were written
    assert text.count("\ue0f0") == 2
    assert len(context.images) == 1
    before = processor.tokenizer.decode(context.ids[: context.images[0].span.start])
    assert before == "<|im_start|>user\n<|image_pad|> \ue0f0<|vision_start|>"


def test_a_template_that_does_not_know_images_is_refused(processor):
    processor.tokenizer.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with pytest.raises(TemplateError, match="shows 0 of 1 images"):
        VisionRenderer(processor).context([ask("a", picture(0, 0))])


def test_a_text_policy_says_what_to_do_about_an_image(tmp_path):
    source = build_tiny(["a b"], tmp_path / "tiny", vocab_size=300, hidden=32, layers=1)
    model, tokenizer = load_policy(source)
    with pytest.raises(ValueError, match="reads text only; use a vision-language policy"):
        Renderer(tokenizer).full([ask("look", picture(0, 0))])
    with pytest.raises(ValueError, match="reads text only"):
        play(PolicyAgent(model, tokenizer), TALKS[:1])
    with pytest.raises(ValueError, match=r"reads text only .* remove vision"):
        load_policy(source, vision={"max_pixels": 1000})
    parts = Message(role="user", content=(TextPart(text="a"), TextPart(text=" b")))
    assert Renderer(tokenizer).full([parts]) == Renderer(tokenizer).full([Message(role="user", content="a b")])


# ---- acting ----------------------------------------------------------------------------------------------------------


def test_a_draw_does_not_depend_on_who_else_is_decoding_and_groups_share_the_first_picture(policy):
    model, processor = policy
    together = play(PolicyAgent(model, processor, max_new_tokens=6))
    for number, talk in enumerate(TALKS):
        (alone,) = play(PolicyAgent(model, processor, max_new_tokens=6), [talk], seed=11 + number)
        assert [t.tokens.action_ids for t in alone.turns] == [t.tokens.action_ids for t in together[number].turns]
    agent = PolicyAgent(model, processor, max_new_tokens=2)
    play(agent, [TALKS[0][:1]] * 4)
    assert agent.decoder.shared_tokens == 3 * len(agent.renderer.full(TALKS[0][0]))
    assert agent.decoder._vision.encoded == 2
    play(agent, [TALKS[2]])
    assert agent.decoder._vision.encoded == 3  # one of its two pictures was known


def test_weights_that_change_mid_episode_are_never_answered_from_old_features(policy):
    model, processor = policy
    agent = PolicyAgent(model, processor, max_new_tokens=5)

    async def main():
        first, second = TALKS[0][0], TALKS[0][1]
        episode = Episode(task=Task(id="a", env_id="x/X-v0", split="train"), rollout=0, policy_seed=4, messages=list(first))
        one = await agent.act(first, episode)
        episode.messages += [one.message, *second]
        for p in model.model.visual.parameters():
            p.data.mul_(1.3)
        agent.weights_changed()
        return one.tokens, (await agent.act(second, episode)).tokens

    one, two = asyncio.run(main())
    images = {p.digest: p for o in TALKS[0][:2] for m in o for p in m.content if isinstance(p, ImagePart)}
    ids = [*one.context_ids, *one.action_ids, *two.context_ids, *two.action_ids]
    shift = len(one.context_ids) + len(one.action_ids)
    spans = [*one.images, *(replace(s, start=s.start + shift) for s in two.images)]

    sample = SimpleNamespace(ids=np.asarray(ids), images=[Placed(s, images[s.digest]) for s in spans])
    table = own_logits(model, processor, [sample])[0].log_softmax(-1).detach()
    start = len(ids) - len(two.action_ids)
    want = [table[start + k - 1, t].item() for k, t in enumerate(two.action_ids)]
    np.testing.assert_allclose(two.logprobs, want, atol=1e-4)


def test_context_overflow_ends_the_episode_but_an_image_that_never_fits_is_an_error(folder):
    model, processor = load(folder, "qwen3_vl")
    task = Squares(1).tasks.get_task("train", 0)
    agent = PolicyAgent(model, processor, max_new_tokens=4, max_context=90)
    (played,) = rollout(lambda: Squares(1, max_turns=9), agent, [task])
    assert played.stop is StopReason.CONTEXT_OVERFLOW
    assert 0 < len(played.turns) < 9
    small = PolicyAgent(model, processor, max_new_tokens=4, max_context=9)
    with pytest.raises(ValueError, match=r"an image takes 9 tokens and the whole context is 9; lower vision\.max_pixels"):
        rollout(lambda: Squares(1), small, [task])


class Broken(Squares):
    def act(self, action):
        result = super().act(action)
        return replace(result, observation=(ask("torn", ImagePart(data=picture(0, 0).data[:60])),))


def test_a_damaged_image_is_a_fault_of_the_environment(folder):
    model, processor = load(folder, "qwen3_vl")
    task = Squares(1).tasks.get_task("train", 0)
    (played,) = rollout(lambda: Broken(1), PolicyAgent(model, processor, max_new_tokens=4), [task])
    assert (played.stop, played.outcome.valid, played.attempts) == (StopReason.ENV_FAULT, False, 2)
    assert "is damaged" in played.outcome.note
    assert assemble([played]) == []


# ---- keep_images -----------------------------------------------------------------------------------------------------


def test_keep_images_forgets_the_oldest_and_forks(folder):
    talk = [(ask("one", picture(0, 0)),), (Message(role="user", content="no picture"),), (ask(picture(1, 1), "two", picture(2, 2)),)]
    talk.append((ask("three", picture(0, 1)),))
    model, processor = load(folder, "qwen3_vl", keep_images=2)
    agent = PolicyAgent(model, processor, max_new_tokens=5)
    (episode,) = play(agent, [talk])
    traces = [t.tokens for t in episode.turns]
    assert [t.restart for t in traces] == [True, False, True, True]
    assert [len(t.images) for t in traces] == [1, 0, 2, 2]
    assert agent.restarts == 2
    third, fourth = traces[2], traces[3]
    assert [s.digest for s in third.images] == [picture(1, 1).digest, picture(2, 2).digest]
    assert [s.digest for s in fourth.images] == [picture(2, 2).digest, picture(0, 1).digest]
    assert processor.tokenizer.decode(third.context_ids).count(FORGOTTEN) == 1
    assert processor.tokenizer.decode(fourth.context_ids).count(FORGOTTEN) == 2
    samples = assemble([episode])
    assert [len(s.images) for s in samples] == [1, 2, 2]
    for sample, ours in zip(samples, Learner(model, lr=0.0, images=image_reader(processor)).logprobs(samples), strict=True):
        np.testing.assert_allclose(sample.logprobs[sample.action], ours.numpy(), atol=1e-5)
    shown = tokenize_demonstration(episode, agent.renderer)
    assert [t.tokens.restart for t in shown.turns] == [True, False, True, True]
    assert [t.tokens.context_ids for t in shown.turns][2:] == [third.context_ids, fourth.context_ids]
    with pytest.raises(ValueError, match="keep_images is 0"):
        load(folder, "qwen3_vl", keep_images=0)


def test_without_keep_images_nothing_is_forgotten(folder):
    model, processor = load(folder, "qwen2_5_vl")
    (episode,) = play(PolicyAgent(model, processor, max_new_tokens=4), TALKS[:1])
    assert [t.tokens.restart for t in episode.turns] == [True, False, False]
    assert [len(t.tokens.images) for t in episode.turns] == [2, 1, 1]


# ---- records and files -----------------------------------------------------------------------------------------------


def test_trajectories_with_images_are_read_back_equal_and_text_ones_are_written_as_before(folder, tmp_path):
    model, processor = load(folder, "qwen3_vl")
    episodes = play(PolicyAgent(model, processor, max_new_tokens=4))
    write_trajectories(tmp_path / "a.jsonl", episodes)
    again = read_trajectories(tmp_path / "a.jsonl")
    assert again == episodes
    for mine, theirs in zip(assemble(again), assemble(episodes), strict=True):
        assert mine.ids.tolist() == theirs.ids.tolist()
        assert mine.images == theirs.images
    assert len(list((tmp_path / "images").iterdir())) == 6  # eight are shown, six differ
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert "images" not in lines[3]["turns"][0]["tokens"]
    assert len(lines[0]["turns"][0]["tokens"]["images"]) == 2


def test_spans_must_lie_in_order_inside_the_context():
    def trace(*starts):
        spans = tuple(ImageSpan(digest="d", start=s, height=1, width=2) for s in starts)
        return TokenTrace(context_ids=(1, 2, 3, 4, 5), action_ids=(), logprobs=(), images=spans)

    assert trace(0, 2).images[1].end == 4
    for wrong in ((4,), (0, 1), (2, 0)):
        with pytest.raises(ValueError, match="overlaps another or leaves the context"):
            trace(*wrong)
    with pytest.raises(ValueError, match="no place in a sequence"):
        ImageSpan(digest="d", start=0, height=0, width=1)


def test_a_processor_is_saved_with_its_limits_and_loaded_by_transformers(folder, tmp_path):
    from transformers import AutoImageProcessor, AutoTokenizer

    model, processor = load(folder, "qwen2_5_vl", max_pixels=4096)
    processor.save_pretrained(tmp_path)
    again = VisionProcessor.from_pretrained(tmp_path)
    part = picture(1, 1, cells=6)
    assert again.reader.pixels(part).values.tobytes() == processor.reader.pixels(part).values.tobytes()
    assert again.reader.span(part, 0).height == 4
    assert AutoImageProcessor.from_pretrained(tmp_path).size["longest_edge"] == 4096
    assert len(AutoTokenizer.from_pretrained(tmp_path)) == model.config.text_config.vocab_size
    with pytest.raises(ValueError, match="no image token"):
        VisionProcessor(_text_tokenizer(), build_image_processor())
    model.save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").rename(tmp_path / "chat_template.old")
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": (tmp_path / "chat_template.old").read_text()}))
    _, legacy = load_policy(tmp_path)  # the layout of older hub folders
    assert VisionRenderer(legacy).context(TALKS[0][0]).ids == VisionRenderer(processor).context(TALKS[0][0]).ids


def _text_tokenizer():
    from turnwise.agents.tiny import build_tokenizer

    return build_tokenizer(TEXTS, vocab_size=300)

"""How providers count images, held against the examples that they publish, and the sizes that follow."""

import itertools
from datetime import date

import pytest

from core.image_sizes import DETAILS, SPANS, Sizing
from core.image_tokens import counting, countings

MODELS = ("gpt-4o", "gpt-4.1-mini", "gpt-5.4", "claude-sonnet-4-5", "claude-opus-4-8", "claude-3-haiku")
MODELS += ("gemini-2.5-flash", "gemini-3-pro", "qwen2.5-vl-7b", "qwen3-vl-2b", "nobody-knows")
SIDES = (1, 64, 300, 600, 1024, 1333, 4032)
SIZES = [(wide, high) for wide in SIDES for high in SIDES]
LIKELY = [size for size in SIZES if max(size) <= 20 * min(size)]
"""Of a strip thinner than that, Qwen's enlarging makes more or less by chance."""

PUBLISHED = [
    # OpenAI, "Calculating costs": tiles, then patches (1,800 x 2,400 becomes 33 x 44 of them)
    ("gpt-4o", 1024, 1024, "high", 765),
    ("gpt-4o", 2048, 4096, "high", 1105),
    ("gpt-4o", 2048, 4096, "low", 85),
    ("gpt-4o-mini", 512, 512, "high", 2833 + 5667),
    ("gpt-5", 1024, 1024, "high", 70 + 4 * 140),
    ("o4-mini", 1024, 1024, "high", 1762),
    ("gpt-4.1-mini", 1024, 1024, "high", 1659),
    ("gpt-4.1-mini", 1800, 2400, "high", 2353),
    # Claude, "Resolution and token cost"
    ("claude-sonnet-4-5", 200, 200, "auto", 64),
    ("claude-sonnet-4-5", 1000, 1000, "auto", 1296),
    ("claude-sonnet-4-5", 1092, 1092, "auto", 1521),
    ("claude-sonnet-4-5", 1920, 1080, "auto", 1560),
    ("claude-opus-4-8", 1920, 1080, "auto", 2691),
    ("claude-3-haiku", 1000, 1000, "auto", 1334),
    # Gemini, "Token calculation"
    ("gemini-2.5-flash", 384, 384, "auto", 258),
    ("gemini-2.5-flash", 960, 540, "auto", 6 * 258),
    ("gemini-3-pro", 4000, 3000, "auto", 1120),
    # Qwen: squares of 28 (32) px and two tokens around them; too small is enlarged, too large shrunk
    ("qwen2.5-vl-7b", 1036, 1036, "auto", 37 * 37 + 2),
    ("qwen2.5-vl-7b", 28, 28, "auto", 4 + 2),
    ("qwen2.5-vl-7b", 8000, 8000, "auto", 128 * 128 + 2),
    ("qwen3-vl-2b", 1024, 1024, "auto", 32 * 32 + 2),
]


@pytest.mark.parametrize(("model", "width", "height", "detail", "tokens"), PUBLISHED)
def test_images_are_counted_as_their_provider_publishes(model, width, height, detail, tokens):
    assert counting(model).rule.see(width, height, detail).tokens == tokens


@pytest.mark.parametrize("model", MODELS)
def test_an_image_takes_as_much_on_its_side(model):
    for width, height in SIZES:
        upright, on_side = (counting(model).rule.see(*size) for size in ((width, height), (height, width)))
        assert upright.tokens == on_side.tokens > 0


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("gpt-4o-2024-08-06", "openai-tiles"),
        ("openai/gpt-4.1-mini-2025-04-14", "openai-patches-mini"),
        ("anthropic/claude-opus-4-8", "claude-high-resolution"),
        ("claude-sonnet-4-5-20250929", "claude"),
        ("Qwen/Qwen2.5-VL-7B-Instruct-AWQ", "qwen2-vl"),
        ("google/gemini-2.0-flash", "gemini"),
        ("pixel-analyst", "openai-tiles"),
        ("llava-next", "guess"),
    ],
)
def test_a_model_is_known_by_how_its_name_begins_and_a_guess_is_told(name, known_as):
    found = counting(name)
    assert (found.name, found.is_guess) == (known_as, known_as == "guess")


def test_every_way_to_count_says_where_it_is_from_when_and_how_sure_that_is():
    for each in countings().values():
        assert each.source.startswith("https://")
        assert date.fromisoformat(each.as_of)
        assert each.evidence in {"published", "measured by users", "not verified"}


@pytest.mark.parametrize(("model", "detail"), list(itertools.product(MODELS, DETAILS)))
def test_a_size_is_never_enlarged_nor_beyond_its_detail_nor_dearer_than_that(model, detail):
    rule, span = counting(model).rule, SPANS[detail]
    for (width, height), is_jpeg in itertools.product(SIZES, (True, False)):
        wide, high = Sizing(rule, detail).size(width, height, is_jpeg=is_jpeg)
        longest = max(width, height)
        assert 1 <= wide <= width
        assert 1 <= high <= height
        assert max(wide, high) <= min(longest, span.best * span.most)
        side = min(longest, span.best)
        asked = max(1, round(width * side / longest)), max(1, round(height * side / longest))
        # A side is a whole number of pixels, which a model's own shrinking need not keep to.
        assert (width, height) not in LIKELY or rule.see(wide, high, detail).tokens <= 1.01 * rule.see(
            *asked, detail
        ).tokens + 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("most", [300, 700, 1500])
def test_no_image_takes_more_than_it_may(model, most):
    rule = counting(model).rule
    if rule.see(64, 64).tokens > most:
        pytest.skip("no image takes so few tokens of this model")
    for size in [(4032, 3024), (3000, 3000), (1080, 1920), (640, 480), (64, 64)]:
        sizing = Sizing(rule, "max", most)
        assert rule.see(*sizing.size(*size)).tokens <= most


@pytest.mark.parametrize(
    ("model", "original", "sent"),
    [
        ("gpt-4o", (1024, 1024), (768, 768)),  # the model shrinks the shorter side to 768 by itself
        ("gpt-4o", (1920, 1080), (908, 511)),  # another row of tiles would show little more
        ("gpt-4o", (4608, 3456), (1152, 864)),  # a quarter, for as many tokens as 1,024 px
        ("gpt-4.1-mini", (4608, 3456), (1024, 768)),  # here, every pixel costs
        ("gpt-4.1-mini", (6000, 4000), (750, 500)),  # an eighth
        ("claude-sonnet-4-5", (4032, 3024), (1008, 756)),
        ("gpt-4.1-mini", (400, 300), (400, 300)),
    ],
)
def test_auto_sends_no_pixels_that_the_model_does_not_see_and_prefers_what_costs_no_resampling(
    model, original, sent
):
    assert Sizing(counting(model).rule).size(*original, is_jpeg=True) == sent


@pytest.mark.parametrize(
    ("model", "detail", "original", "sent"),
    [
        ("gemini-2.5-flash", "low", (2000, 1500), (384, 288)),  # 258 tokens; 512 px take 1,032
        ("gemini-2.5-flash", "auto", (400, 300), (384, 288)),
        ("gemini-2.5-flash", "auto", (512, 384), (384, 288)),
        ("gemini-2.5-flash", "max", (400, 300), (384, 288)),
        ("gemini-2.5-flash", "max", (512, 384), (512, 384)),  # that much smaller is not all that there is
        ("gemini-2.5-flash", "auto", (384, 384), (384, 384)),
        ("gpt-4o", "low", (2000, 1500), (500, 375)),
        ("gpt-4.1-mini", "low", (3072, 2304), (512, 384)),
        ("gpt-4.1-mini", "auto", (40, 40), (40, 40)),
    ],
)
def test_an_image_is_sent_a_little_smaller_where_that_halves_its_tokens(model, detail, original, sent):
    assert Sizing(counting(model).rule, detail).size(*original) == sent

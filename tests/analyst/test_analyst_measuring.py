"""The analyst measures what is there, and says it in the language of the question."""

import io

import pytest
from PIL import Image

from local.analyst.colors import NAMED_COLORS, from_hex, nearest, to_lab
from local.analyst.limiter import duration
from local.analyst.measure import measure
from local.analyst.tokens import image_tokens
from local.analyst.wording import answer, language_of
from local.samples import draw_samples


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    drawn = draw_samples(tmp_path_factory.mktemp("samples"))
    return {sample.name: (sample, measure(sample.path.read_bytes())) for sample in drawn}


def _expecting(samples, key):
    return [(s.name, s.expected[key], m) for s, m in samples.values() if key in s.expected]


def test_every_named_colour_is_called_by_its_name():
    assert [nearest(from_hex(color.hex)) for color in NAMED_COLORS] == list(NAMED_COLORS)


def test_lab_agrees_with_published_values():
    # Bruce Lindbloom's calculator, sRGB and D65.
    assert to_lab((255, 0, 0)) == pytest.approx((53.24, 80.09, 67.20), abs=0.05)
    assert to_lab((255, 255, 255)) == pytest.approx((100, 0, 0), abs=0.05)


def test_the_subjects_colour_comes_first(samples):
    for name, color, measured in _expecting(samples, "color"):
        assert measured.subject_colors[0].color.en == color, name


def test_shares_sum_to_one(samples):
    for _, measured in samples.values():
        assert sum(share.share for share in measured.colors) == pytest.approx(1)
        assert sum(share.share for share in measured.subject_colors) == pytest.approx(1)


def test_backgrounds_are_told_apart(samples):
    for name, kind, measured in _expecting(samples, "background"):
        assert measured.background.kind == kind, name
    for name, color, measured in _expecting(samples, "background_color"):
        assert measured.background.color.en == color, name


def test_blur_noise_darkness_and_text_are_found_where_they_are_and_nowhere_else(samples):
    found = {
        trait: {name for name, (_, measured) in samples.items() if has(measured)}
        for trait, has in {
            "blurred": lambda m: not m.is_sharp,
            "noisy": lambda m: m.is_noisy,
            "dark": lambda m: m.exposure == "dark",
            "text": lambda m: m.has_text,
        }.items()
    }
    assert found == {"blurred": {"sunglasses"}, "noisy": {"headphones"}, "dark": {"watch"}, "text": {"book"}}


def test_a_photo_stored_on_its_side_is_measured_upright(samples):
    _, trainer = samples["trainer"]
    assert (trainer.width, trainer.height, trainer.orientation) == (1500, 1200, "landscape")
    assert trainer.subject.width > trainer.subject.height


def test_measuring_repeats(samples):
    for sample, measured in samples.values():
        assert measure(sample.path.read_bytes()) == measured


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("What colour is this?", "en"),
        ("이 제품은 무슨 색인가요?", "ko"),
        ("Nike Air Zoom Pegasus 색상은 무엇인가요?", "ko"),
        ("这个杯子是什么颜色？", "zh"),  # noqa: RUF001 - a Chinese question mark
        ("What does 白色 mean in the title?", "en"),
        ("これは何色ですか", "en"),
        ("", "en"),
    ],
)
def test_the_language_is_the_questions(question, language):
    assert language_of(question) == language


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("What colour is it?", ("red", "measured from pixels", "is not guessed")),
        ("색상은 무엇인가요?", ("빨간색", "픽셀에서 측정", "추측하지 않습니다")),
        ("是什么颜色？", ("红色", "像素测量", "不作猜测")),  # noqa: RUF001 - a Chinese question mark
    ],
)
def test_answers_name_the_colour_and_say_that_they_are_measured(samples, question, words):
    text = answer(question, [samples["mug"][1]])
    assert all(word in text for word in words)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((1024, 1024), 765), ((2048, 4096), 1105), ((512, 512), 255), ((100, 100), 255), ((768, 768), 765)],
)
def test_image_tokens_follow_openais_examples(size, tokens):
    assert image_tokens(*size) == tokens


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.02, "20ms"), (1.5, "1.5s"), (60, "1m0s"), (359.9999, "6m0s"), (3723, "1h2m3s")]
)
def test_durations_are_written_as_openai_does(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (2000, 1), (5, 5)])
@pytest.mark.parametrize("mode", ["RGB", "1", "P", "RGBA", "LA", "I;16"])
def test_the_smallest_images_are_measured_too(size, mode):
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, "PNG")
    measured = measure(buffer.getvalue())
    assert (measured.width, measured.height) == size
    assert measured.subject is None

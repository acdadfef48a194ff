"""Says what was measured in the language of the question."""

import re
from collections.abc import Callable, Sequence

from local.analyst.colors import NamedColor
from local.analyst.measure import LOW_CONTRAST_BELOW, Measurement
from local.analyst.palette import ColorShare
from local.analyst.phrases import PHRASES, Language, Phrases

HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
KANA = re.compile(r"[\u3040-\u30ff]")
LATIN = re.compile(r"[A-Za-z]")
# One Korean or Chinese character says about as much as three Latin letters; a product name in
# another script should not change the language of a question.
LETTERS_PER_CHARACTER = 3

Facet = Callable[[Measurement, Phrases, Language], str]


def language_of(question: str) -> Language:
    """Tell Korean and Chinese from everything else, which is answered in English, by script."""
    hangul, han = len(HANGUL.findall(question)), len(HAN.findall(question))
    east = LETTERS_PER_CHARACTER * (hangul + han)
    if KANA.search(question) or not east or east < len(LATIN.findall(question)):
        return "en"
    return "ko" if hangul >= han else "zh"


def answer(question: str, measured: Sequence[Measurement]) -> str:
    """Answer in sentences: what was asked about if that can be measured, else everything."""
    language = language_of(question)
    phrases = PHRASES[language]
    if not measured:
        return phrases.no_image
    facets = _asked(question)
    paragraphs = []
    for number, measurement in enumerate(measured, start=1):
        head = phrases.image.format(number=number) if len(measured) > 1 else ""
        paragraphs.append(head + _sentences(measurement, facets, language))
    return "\n".join([*paragraphs, phrases.caveat])


def description(measurement: Measurement, language: Language) -> str:
    """Describe one image in full, without the caveat."""
    return _sentences(measurement, FACETS, language)


def caveat(language: Language) -> str:
    """Say what is not answered, and why."""
    return PHRASES[language].caveat


def _sentences(measurement: Measurement, facets: Sequence[Facet], language: Language) -> str:
    phrases = PHRASES[language]
    return phrases.between_sentences.join(facet(measurement, phrases, language) for facet in facets)


def _asked(question: str) -> tuple[Facet, ...]:
    return tuple(facet for facet, cue in CUES.items() if cue.search(question)) or FACETS


def _percent(share: float) -> str:
    return f"{round(100 * share)}%"


def _name(color: NamedColor, language: Language) -> str:
    return str(getattr(color, language))


def _colors(measurement: Measurement, phrases: Phrases, language: Language) -> str:
    template = phrases.colors if measurement.subject else phrases.whole_colors
    return template.format(colors=_list(measurement.subject_colors, phrases, language))


def _list(shares: Sequence[ColorShare], phrases: Phrases, language: Language) -> str:
    named = (f"{_name(share.color, language)} {_percent(share.share)}" for share in shares)
    return phrases.and_so_on.join(named)


def _background(measurement: Measurement, phrases: Phrases, language: Language) -> str:
    ground = measurement.background
    kind = phrases.words[ground.kind].format(color=_name(ground.color, language))
    return phrases.background.format(kind=kind, uniformity=_percent(ground.uniformity))


def _size(measurement: Measurement, phrases: Phrases, _: Language) -> str:
    return phrases.size.format(
        width=measurement.width,
        height=measurement.height,
        aspect=measurement.aspect,
        orientation=phrases.words[measurement.orientation],
    )


def _subject(measurement: Measurement, phrases: Phrases, _: Language) -> str:
    box = measurement.subject
    if box is None:
        return phrases.no_subject
    return phrases.subject.format(
        x=box.x, y=box.y, width=box.width, height=box.height, share=_percent(box.share)
    )


def _sharpness(measurement: Measurement, phrases: Phrases, _: Language) -> str:
    return phrases.sharpness.format(
        sharp=phrases.words["sharp" if measurement.is_sharp else "blurred"],
        sharpness=f"{measurement.sharpness:.2f}",
        grain=phrases.words["noisy" if measurement.is_noisy else "clean"],
        noise=f"{measurement.noise:.1f}",
    )


def _light(measurement: Measurement, phrases: Phrases, _: Language) -> str:
    return phrases.light.format(
        exposure=phrases.words[measurement.exposure],
        brightness=f"{measurement.brightness:.2f}",
        range=phrases.words["low" if measurement.contrast < LOW_CONTRAST_BELOW else "good"],
        contrast=f"{measurement.contrast:.2f}",
    )


def _text(measurement: Measurement, phrases: Phrases, _: Language) -> str:
    likely = phrases.words["text" if measurement.has_text else "no text"]
    return phrases.text.format(likely=likely, likelihood=f"{measurement.text_likelihood:.2f}")


FACETS: tuple[Facet, ...] = (_colors, _background, _subject, _size, _sharpness, _light, _text)

# Words that ask for one thing in particular. A question such as "describe the quality" has none
# and is answered in full.
CUES: dict[Facet, re.Pattern[str]] = {
    _colors: re.compile(r"colou?r|색|颜色|色", re.IGNORECASE),
    _background: re.compile(r"background|backdrop|배경|背景", re.IGNORECASE),
    _subject: re.compile(r"crop|subject|centred|centered|position|피사체|위치|主体|位置", re.IGNORECASE),
    _size: re.compile(r"size of the (image|photo)|pixels|resolution|해상도|픽셀|分辨率|像素", re.IGNORECASE),
    _sharpness: re.compile(r"sharp|blur|focus|nois|grain|선명|흐|노이즈|초점|清晰|模糊|噪", re.IGNORECASE),
    _light: re.compile(r"bright|dark|contrast|exposure|light|밝|어두|대비|노출|亮|暗|对比", re.IGNORECASE),
    _text: re.compile(r"\btext|letter|writing|글자|글씨|문구|텍스트|文字|字样", re.IGNORECASE),
}

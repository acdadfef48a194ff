# ruff: noqa: RUF001 - Chinese has its own commas and brackets
"""The analyst's words in each language; `wording` puts them together."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["en", "ko", "zh"]


@dataclass(frozen=True)
class Phrases:
    """Templates of one language; fields in braces are measured values."""

    image: str
    colors: str
    whole_colors: str
    background: str
    size: str
    subject: str
    no_subject: str
    sharpness: str
    light: str
    text: str
    caveat: str
    no_image: str
    and_so_on: str
    between_sentences: str
    words: dict[str, str]


ENGLISH = Phrases(
    image="Image {number}: ",
    colors="The subject is mainly {colors}.",
    whole_colors="The image is mainly {colors}; no subject stands out from the background.",
    background="The background is {kind} ({uniformity} of the edge is one colour).",
    size="The image is {width} x {height} pixels ({aspect}, {orientation}).",
    subject="The subject fills a box of {width} x {height} pixels at ({x}, {y}), {share} of the frame.",
    no_subject="No subject stands out from the background.",
    sharpness="It looks {sharp} (sharpness {sharpness}) and {grain} (noise {noise} grey levels).",
    light="It is {exposure} (brightness {brightness}) with {range} contrast ({contrast}).",
    text="Text is {likely} (likelihood {likelihood}); the analyst does not read it.",
    caveat="All of this is measured from pixels. What pixels do not show, such as brand, material or price, "
    "is not guessed.",
    no_image="There is no image in this conversation. It measures images and does nothing else.",
    and_so_on=", ",
    between_sentences=" ",
    words={
        "plain": "plain {color}",
        "gradient": "a smooth gradient around {color}",
        "busy": "busy, mostly {color}",
        "sharp": "sharp",
        "blurred": "blurred",
        "clean": "clean",
        "noisy": "noisy",
        "dark": "dark",
        "medium": "of medium brightness",
        "bright": "bright",
        "low": "low",
        "good": "good",
        "text": "likely",
        "no text": "unlikely",
        "square": "square",
        "portrait": "portrait",
        "landscape": "landscape",
    },
)

KOREAN = Phrases(
    image="이미지 {number}: ",
    colors="피사체의 주요 색상은 {colors}입니다.",
    whole_colors="이미지의 주요 색상은 {colors}이며, 배경과 구분되는 피사체는 없습니다.",
    background="배경은 {kind}입니다(가장자리의 {uniformity}가 같은 색).",
    size="이미지 크기는 {width} x {height} 픽셀입니다({aspect}, {orientation}).",
    subject="피사체는 ({x}, {y})에서 시작하는 {width} x {height} 픽셀 영역이며 화면의 {share}를 차지합니다.",
    no_subject="배경과 구분되는 피사체는 없습니다.",
    sharpness="{sharp} 편이며(선명도 {sharpness}) {grain} 편입니다(노이즈 {noise} 계조).",
    light="밝기는 {exposure} 편이고({brightness}) 대비는 {range} 편입니다({contrast}).",
    text="글자가 있을 가능성은 {likely} 편입니다({likelihood}). 글자를 읽지는 않습니다.",
    caveat="모두 픽셀에서 측정한 값입니다. 브랜드, 소재, 가격처럼 픽셀로 알 수 없는 것은 추측하지 않습니다.",
    no_image="이 대화에는 이미지가 없습니다. 픽셀 분석기는 이미지를 측정할 뿐 다른 질문에는 답하지 않습니다.",
    and_so_on=", ",
    between_sentences=" ",
    words={
        "plain": "단색 {color}",
        "gradient": "{color} 계열의 부드러운 그라데이션",
        "busy": "{color}이 많은 복잡한 배경",
        "sharp": "선명한",
        "blurred": "흐릿한",
        "clean": "깨끗한",
        "noisy": "노이즈가 많은",
        "dark": "어두운",
        "medium": "중간인",
        "bright": "밝은",
        "low": "낮은",
        "good": "충분한",
        "text": "높은",
        "no text": "낮은",
        "square": "정사각형",
        "portrait": "세로형",
        "landscape": "가로형",
    },
)

CHINESE = Phrases(
    image="图片 {number}：",
    colors="主体的主要颜色为{colors}。",
    whole_colors="图片的主要颜色为{colors}，没有从背景中突出的主体。",
    background="背景为{kind}（边缘的 {uniformity} 为同一颜色）。",
    size="图片尺寸为 {width} x {height} 像素（{aspect}，{orientation}）。",
    subject="主体位于 ({x}, {y})，大小为 {width} x {height} 像素，占画面的 {share}。",
    no_subject="没有从背景中突出的主体。",
    sharpness="画面{sharp}（清晰度 {sharpness}），{grain}（噪点 {noise} 灰阶）。",
    light="亮度{exposure}（{brightness}），对比度{range}（{contrast}）。",
    text="{likely}文字（可能性 {likelihood}）；不识别文字内容。",
    caveat="以上均由像素测量得出。像素无法体现的信息（如品牌、材质、价格）不作猜测。",
    no_image="对话中没有图片。像素分析器只测量图片，不回答其他问题。",
    and_so_on="、",
    between_sentences="",
    words={
        "plain": "纯{color}",
        "gradient": "以{color}为主的平滑渐变",
        "busy": "以{color}为主的复杂背景",
        "sharp": "清晰",
        "blurred": "模糊",
        "clean": "干净",
        "noisy": "噪点较多",
        "dark": "偏暗",
        "medium": "适中",
        "bright": "明亮",
        "low": "偏低",
        "good": "良好",
        "text": "很可能有",
        "no text": "不太可能有",
        "square": "正方形",
        "portrait": "竖版",
        "landscape": "横版",
    },
)

PHRASES: dict[Language, Phrases] = {"en": ENGLISH, "ko": KOREAN, "zh": CHINESE}

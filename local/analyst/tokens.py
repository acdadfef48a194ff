"""What a request and an answer cost in tokens.

Text: a quarter of its UTF-8 bytes, rounded up (about what OpenAI's tokenizers give for English;
generous for Korean and Chinese), with 3 tokens of framing per message and 3 for the reply, as in
OpenAI's cookbook "How to count tokens with tiktoken".

Images: the 512-pixel tile rule of OpenAI's vision guide ("Calculating costs", GPT-4o figures).
"""

import math

BYTES_PER_TOKEN = 4
MESSAGE_FRAME = 3
REPLY_FRAME = 3

BASE = 85
PER_TILE = 170
TILE = 512
LONGEST = 2048
SHORTEST = 768


def text_tokens(text: str) -> int:
    """Count the tokens of a text by its length."""
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / BYTES_PER_TOKEN)


def image_tokens(width: int, height: int, detail: str = "auto") -> int:
    """Count an image's tokens: fit into 2048 x 2048, shrink the shorter side to 768, count tiles."""
    if detail == "low":
        return BASE
    fit = min(1.0, LONGEST / max(width, height))
    fit *= min(1.0, SHORTEST / (fit * min(width, height)))
    tiles = math.ceil(round(width * fit, 6) / TILE) * math.ceil(round(height * fit, 6) / TILE)
    return BASE + PER_TILE * tiles


def cut(text: str, tokens: int) -> str:
    """Keep the first `tokens` tokens of a text, whole characters only."""
    encoded = text.encode("utf-8", "surrogatepass")[: tokens * BYTES_PER_TOKEN]
    return encoded.decode("utf-8", "ignore")

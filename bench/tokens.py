"""What a photo takes of a model: as it is, at 1,024 px, and as Vitrine sends it: `python -m bench.tokens`.

Counted by the formulas that providers publish (core/image_tokens.json), over sizes of common cameras, phones
and marketplaces in equal parts. Nothing is asked.
"""

from __future__ import annotations

import argparse
from statistics import mean

from rich.console import Console
from rich.table import Table

from core.image_sizes import Sizing, scaled
from core.image_tokens import countings

FIXED = 1024
PHOTOS = (
    (4032, 3024),  # phones, 12 Mpx
    (3024, 4032),
    (4624, 3468),  # phones, 16 Mpx
    (3264, 2448),  # phones, 8 Mpx
    (6000, 4000),  # cameras, 24 Mpx
    (5184, 3456),  # cameras, 18 Mpx
    (3000, 3000),  # studios
    (2000, 2000),  # marketplaces
    (1600, 1600),
    (1000, 1000),
    (1920, 1080),  # video stills
    (1200, 900),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the same: it takes no time")
    parser.parse_args()
    table = Table(
        title=f"Tokens per photo, mean of {len(PHOTOS)} sizes",
        caption="share: of the tokens that the original takes; evidence: see core/image_tokens.json",
    )
    for heading in ("counted as", "evidence", "original", f"{FIXED} px", "auto", "share", "low", "high"):
        table.add_column(heading, justify="left" if heading in {"counted as", "evidence"} else "right")
    for name, counting in countings().items():
        original = mean(counting.rule.see(*size).tokens for size in PHOTOS)
        fixed = mean(counting.rule.see(*scaled(*size, min(max(size), FIXED))).tokens for size in PHOTOS)
        ours = {detail: _ours(Sizing(counting.rule, detail)) for detail in ("auto", "low", "high")}
        table.add_row(
            name,
            counting.evidence,
            f"{original:,.0f}",
            f"{fixed:,.0f}",
            f"{ours['auto']:,.0f}",
            f"{ours['auto'] / original:.0%}",
            f"{ours['low']:,.0f}",
            f"{ours['high']:,.0f}",
        )
    Console(width=110).print(table)


def _ours(sizing: Sizing) -> float:
    return mean(sizing.see(*sizing.size(*size, is_jpeg=True)).tokens for size in PHOTOS)


if __name__ == "__main__":
    main()

"""Pillow's decoder of JPEG files, with the one fraction of their size that it leaves out."""

from __future__ import annotations

from PIL.JpegImagePlugin import JpegImageFile

from core.image_sizes import EIGHTHS, in_eighths

Box = tuple[int, int, float, float]

# What libjpeg is asked for as "1 / n": it takes the least number of eighths that is no less.
_DENOMINATORS = {8: 1, 4: 2, 3: 3, 2: 4, 1: 8}


class JpegFile(JpegImageFile):
    """Decodes three eighths of the size as well, and not only 1, 1/2, 1/4 and 1/8."""

    def draft(
        self,
        mode: str | None,  # noqa: ARG002 - as Pillow has it; what is decoded stays in colours
        size: tuple[int, int] | None,
    ) -> tuple[str, Box] | None:
        """Decode at the least fraction that gives this size in px or more.

        Gives the mode, and the box of the picture in what is decoded, which is rounded up to whole pixels.
        """
        if size is None or self.decoderconfig or len(self.tile) != 1:
            return None
        whole = self.size
        eighths = _enough(whole, size)
        self._size = in_eighths(whole, eighths)
        self.tile = [self.tile[0]._replace(extents=(0, 0, *self._size))]
        self.decoderconfig = (_DENOMINATORS[eighths], 0)
        return self.mode, (0, 0, whole[0] * eighths / 8, whole[1] * eighths / 8)


def _enough(whole: tuple[int, int], size: tuple[int, int]) -> int:
    """The least eighths of the whole that have this size or more; all of it where none do."""
    for eighths in reversed(EIGHTHS):
        width, height = in_eighths(whole, eighths)
        if width >= size[0] and height >= size[1]:
            return eighths
    return EIGHTHS[0]

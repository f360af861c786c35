"""Checks of pictures. Needs Pillow, numpy and simplejpeg (the extra `validate`)."""

from __future__ import annotations

from seatrial.prove.validate.image import (
    blank_share,
    decodes,
    dimensions,
    edge_band,
    format,
    header,
    inner_band,
    mode,
    nan_grey,
    noise,
    partial_render,
    pixels,
    repeated_lines,
    variance,
    whole,
)

CHECKS = (
    header.CHECK,
    pixels.CHECK,
    format.CHECK,
    dimensions.CHECK,
    mode.CHECK,
    whole.CHECK,
    decodes.CHECK,
    partial_render.CHECK,
    edge_band.CHECK,
    inner_band.CHECK,
    repeated_lines.CHECK,
    blank_share.CHECK,
    nan_grey.CHECK,
    variance.CHECK,
    noise.CHECK,
)

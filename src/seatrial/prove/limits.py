"""Every limit of the prove room, with its unit in its name."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# Reading outputs
IMAGE_PIXELS_MAX = 100_000_000  # decoded; a profile may set less
IMAGE_PIXELS_CEILING = 178_000_000  # what a profile may set at most: Pillow refuses more
IMAGE_BYTES_MAX = 256 * MIB
IMAGE_FRAMES_MAX = 1_000  # of an animation; further ones are not decoded
IMAGE_LINE_SAMPLES_MAX = 1_024  # pixels looked at in each row and each column; smaller pictures wholly
IMAGE_STRIP_PIXELS_MAX = 4_000_000  # taken out of a picture at once
PNG_CHUNKS_MAX = 1_000_000
MESH_BYTES_MAX = 1 * GIB
ARRAY_BYTES_MAX = 4 * GIB  # as the header says, unpacked; read in chunks
ARRAY_CHUNK_BYTES = 16 * MIB
ARRAY_HEADER_BYTES_MAX = 64 * KIB
ARRAY_MEMBERS_MAX = 10_000  # of an .npz
JSON_BYTES_MAX = 64 * MIB
JSON_DEPTH_MAX = 100
SCHEMA_BYTES_MAX = 1 * MIB
PROFILE_BYTES_MAX = 1 * MIB
MEDIA_BYTES_MAX = 64 * GIB  # only headers are read
BOXES_MAX = 100_000  # of an MP4, AVIF or WebM
CHUNK_TABLE_ENTRIES_MAX = 10_000_000  # of an MP4's sample tables
OGG_PAGES_MAX = 10_000_000
OGG_PAGES_SUMMED = 64  # whose checksums are recomputed: the first and the last half of them
MPEG_FRAMES_MAX = 10_000_000
FLAC_TAIL_BYTES = 1 * MIB  # searched for the last frame
PROBLEMS_NAMED_MAX = 5  # in one message

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

# Talking to targets
TARGET_ANSWER_BYTES_MAX = 1 * GIB  # of one answer of a server
TARGET_REFERENCES_MAX = 100  # parts of one answer that lie in objects of their own
TARGET_ANSWER_SECONDS_MAX = 60.0  # that a server may take for one answer; long polls ask for less
TARGET_CONNECT_SECONDS_MAX = 10.0
LONG_POLL_SECONDS = 30
POLL_SECONDS_MIN = 0.1  # between two looks at a job; grows to POLL_SECONDS_MAX
POLL_SECONDS_MAX = 2.0
FAILURES_LISTED_MAX = 100_000  # names in a failure location
LOG_LINES_MAX = 50_000  # read of a target's log at once
CONTRACT_WAIT_SECONDS_MAX = 120.0  # until a package on trial has been inspected
CONTRACT_BYTES_MAX = 1 * MIB
SAMPLE_BYTES_MAX = 1 * GIB
COLD_START_SECONDS_DEFAULT = 900.0  # that the first answer may take when no worker is there
INFERENCE_SECONDS_DEFAULT = 900.0  # that an answer is waited for
TOLERANCE_DEFAULT = 1e-5  # how far numbers of two answers to one request may differ, relative to the larger
SAGEMAKER_CONNECTIONS_MAX = 64  # of each of boto3's clients: requests of a stress run go side by side

# Receiving callbacks
CALLBACK_BYTES_MAX = 256 * MIB  # of one request; it is held in memory while it is read
CALLBACK_PARTS_MAX = 100  # of a multipart form, and pictures taken out of one JSON document
CALLBACK_TEXT_CHARS_KEPT = 2_000  # of any text that is shown; the file beside it has all
CALLBACKS_KEPT_MAX = 5_000  # the oldest are forgotten, with their files
CALLBACKS_KEPT_BYTES_MAX = 4 * GIB
CALLBACKS_SHOWN_MAX = 200  # on the page
CALLBACK_AGE_SECONDS_MAX = 300  # of a signature's timestamp, either way
CALLBACK_HANG_SECONDS_MAX = 600
CALLBACK_WAIT_SECONDS_MAX = 30  # of one request for news
CALLBACK_STOP_SECONDS = 2
CONTROL_BYTES_MAX = 64 * KIB
WORDS_SHOWN_CHARS_MAX = 300  # of a server's or a handler's words in one message
OUTPUT_PICTURES_MAX = 1_000  # undeclared ones, found in one JSON answer

# Verifying
LATENCY_SECONDS_DEFAULT = 10.0  # of a first-stage task
SERVICE_LOOK_SECONDS = 10.0  # of waiting for an answer, between two looks at whether the endpoint is still in service
SERVICE_LOOKS_FAILED_MAX = 2  # in a row: then it is believed to have left it
LOG_SETTLE_SECONDS_MAX = 15.0  # until lines that were just written have to be readable
LOAD_LOG_SECONDS = 3_600.0  # before the last change of a deployment, in which its model is expected to have loaded
VERIFY_REPORT_PICTURES_MAX = 50
VERIFY_REPORT_PICTURE_BYTES_MAX = 8 * MIB  # a larger one is named, not shown
REPORT_TEXT_CHARS_MAX = 2_000  # of one answer in a report

# Stressing targets
STRESS_JOBS_MAX = 20_000  # of one run
STRESS_AT_ONCE_MAX = 256  # requests under way
STRESS_ROUNDS_MAX = 1_000
STRESS_RATE_MAX = 100.0  # requests per second
STRESS_SOAK_SECONDS_MAX = 24 * 3600.0
STRESS_GAP_SECONDS_MAX = 60.0
STRESS_VARIANTS_MAX = 200
STRESS_SLICE_SECONDS = 5.0  # of waiting for an answer, between two looks at whether to go on
STRESS_BUSY_SECONDS_FIRST = 0.1  # before a request that was refused as too many is sent again; doubled each time
STRESS_BUSY_SECONDS_MAX = 2.0
STRESS_CALLBACK_SECONDS_DEFAULT = 15.0  # that callbacks are waited for once the last job has ended
STRESS_CALLBACK_SETTLE_SECONDS = 0.5  # in which a second callback for one job would come
STRESS_ALONE_PAUSE_SECONDS = 0.2  # before each request alone, in which what the one before left behind may end
STRESS_ALONE_REPEATS = 3  # of a variant whose answers differed, alone, where chance does not bring the value twice
STRESS_ALONE_REPEATS_MAX = 20  # where it may
STRESS_ALONE_SECONDS = 10.0  # for those of one variant
STRESS_CLEAN_SECONDS = 10.0  # for cancelling what is under way at the end
STRESS_RICH_CHARS = 24  # a value of that length does not come about twice by chance
STRESS_RICH_BYTES = 256

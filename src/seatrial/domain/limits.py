"""Every limit, with its unit in its name. Settings may lower or raise those that say so; nothing else holds one."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# Submission
INLINE_PAYLOAD_BYTES_MAX = 6_291_456  # a body sent with the request; larger inputs go through an object
AWS_ASYNC_INLINE_BODY_BYTES_MAX = 128_000  # of InvokeEndpointAsync, as at AWS
INPUT_OBJECT_BYTES_MAX = 1 * GIB  # an input that is an object, or a body that becomes one
ROW_INLINE_BYTES_MAX = 16 * KIB  # up to here bytes live in the database row, beyond it in a blob
QUEUE_DEPTH_MAX = 100_000  # jobs queued or running per endpoint (setting)
CONCURRENCY_MAX = 100_000  # the highest limit of jobs that run at once
CONTAINER_ENGINE_LINES_KEPT = 40  # of what podman or docker printed, when it failed
CONTAINER_REMOVED_SECONDS_MAX = 30  # how long an engine may take to remove a container
HTTP_CONCURRENCY_MAX = 64  # requests at once to one server of the layout http
PRIORITY_MAX = 9  # 0 is the highest
PRIORITY_AGE_SECONDS = 60  # a job that has waited for so long counts as one level higher
AFFINITY_HEAD_START_MS = 10_000  # so much earlier counts a job for a worker that holds its affinity
AFFINITY_WAIT_MS = 1_000  # how long a job waits for an idle worker that holds its affinity, before any other has it
AFFINITIES_HELD_MAX = 4  # of a worker: those that it ran last
EXCLUSIVE_PATIENCE_SECONDS = 30  # then no other job starts on the device before the exclusive one
HELD_BACK_LOOK_MS = 100  # how often a worker looks at jobs that a limit or an exclusive job holds back
IDEMPOTENCY_DAYS = 7  # after the end of the job (setting)
IDEMPOTENCY_KEY_CHARS_MAX = 255  # a client's key
AFFINITY_CHARS_MAX = 255  # a job's affinity
UPLOAD_URL_SECONDS = 3_600  # how long a URL of POST /v1/uploads takes its PUT, unless somebody says
UPLOAD_SECONDS_MAX = 7 * 86_400  # how long a job may wait for its upload
AWAITED_UPLOADS_MAX = 10_000  # jobs of one endpoint that wait for theirs
UPLOAD_NAME_CHARS_MAX = 255  # of the file's name in the object's key

# Bounds of a job
QUEUE_TTL_SECONDS_DEFAULT = 21_600  # how long a job may wait for its first attempt, unless somebody says
QUEUE_TTL_SECONDS_MIN = 1  # the least that may be asked for
QUEUE_TTL_SECONDS_MAX = 7 * 86_400  # the most that may be asked for
INVOCATION_TIMEOUT_SECONDS_DEFAULT = 900  # how long a handler may run for one job, unless somebody says
INVOCATION_TIMEOUT_SECONDS_MAX = 7 * 86_400  # the most that may be asked for
HAND_OVER_SECONDS_MAX = 120  # fetching input, staging output, replacing a worker: inside decide_by
WORKER_DEATHS_MAX = 3  # deaths charged to one job before it fails as worker_crashed (setting)
FAILURE_MESSAGE_CHARS_MAX = 4_000  # what is longer is cut
TRACEBACK_CHARS_MAX = 8_000  # the end of it is kept

# Outputs
OUTPUT_BYTES_MAX = 1 * GIB  # all parts of an answer together
OUTPUT_PARTS_MAX = 100  # declared by one task
LONG_POLL_SECONDS_MAX = 60  # how long `wait` and `Prefer: wait` hold a request
RECENT_JOBS_MAX = 1_000  # ended jobs that a server keeps at hand for those who ask next

# Publication and deliveries
PUBLISH_SECONDS_MAX_DEFAULT = 3_600  # after the decision, as long as the object store or its bucket is away (setting)
PUBLICATIONS_AT_ONCE_MAX = 32  # of one server
PUBLISH_RETRY_MS_FIRST = 250  # until a step of a publication is tried again; doubled each time
PUBLISH_RETRY_MS_MAX = 15_000  # at the most
PUBLISH_SCAN_MS = 2_000  # for what another server decided and left
PUBLICATIONS_READ_MAX = 500  # in one scan
STAGING_SWEEP_MS = 3_600_000  # between two looks for staged objects that nobody needs
WEBHOOKS_PER_JOB_MAX = 5  # named by one request
WEBHOOKS_PER_ENDPOINT_MAX = 10  # beside those of its deployments
WEBHOOK_OVERLAP_HOURS_DEFAULT = 24  # how long a rotated secret signs beside the new one
WEBHOOK_OVERLAP_HOURS_MAX = 30 * 24  # the same at most
PROGRESS_TOLD_MS = 1_000  # between two notifications of one job's progress
WEBHOOK_ANSWER_SECONDS_MAX = 15  # how long a receiver may take
WEBHOOK_ANSWER_BYTES_MAX = 64 * KIB  # of a receiver's answer: what follows is not read
WEBHOOK_ANSWER_CHARS_KEPT = 500  # of a receiver's answer, for people
DELIVERY_ATTEMPTS_MAX = 12  # over about 22 hours
DELIVERY_RETRY_MS_FIRST = 5_000  # until a delivery is tried again; longer each time
DELIVERY_RETRY_MS_MAX = 6 * 3_600_000  # at the most
DELIVERIES_AT_ONCE_MAX = 256  # of one server
DELIVERIES_PER_RECEIVER_MAX = 4  # at once
RECEIVER_PAUSE_MS_FIRST = 1_000  # a receiver that did not answer is left alone; doubled each time
RECEIVER_PAUSE_MS_MAX = 60_000  # at the most, then one delivery tries again
RECEIVERS_TRIED_AT_ONCE = 16  # of those that did not answer, in one look
RECEIVER_AWAY_HOURS_MAX = 24  # what waits that long for a receiver which never answered meanwhile is given up
DELIVERY_HOLD_MS = 60_000  # a server that took one and died is followed by another after that
DELIVERY_POLL_MS = 1_000  # between two looks for deliveries that are due
DELIVERY_KEPT_DAYS = 7  # after it was delivered
DEAD_LETTER_KEPT_DAYS = 30  # after it was given up
DELIVERIES_FORGOTTEN_AT_ONCE = 500  # in one transaction
TOPICS_MAX = 1_000  # of one owner
TOPIC_SUBSCRIPTIONS_MAX = 100  # of one topic: each publication is a delivery to each of them, in one transaction
TOPIC_MESSAGE_BYTES_MAX = 256 * KIB  # as at SNS
TOPIC_BATCH_ENTRIES_MAX = 10  # of PublishBatch, as at SNS
TOPIC_SUBJECT_CHARS_MAX = 100  # as at SNS
TOPIC_LIST_PAGE = 100  # topics or subscriptions, as at SNS
TOPIC_ANSWER_BYTES_MAX = 128 * KIB  # of an answer that is told along, as at SageMaker
SUBSCRIPTION_CONFIRM_HOURS = 72  # a subscription that nobody has confirmed by then is forgotten

QUEUE_PLACES_COUNTED_MAX = 1_000  # jobs ahead of one that are counted when it is shown
ATTEMPTS_MAX = 10  # of one job, ended by its worker's own fall; not by its handler, nor by the server (setting)
OVERDUE_SECONDS = 5  # past decide_by: whose worker has not let go of it by itself is ended

# Triggers
TRIGGERS_PER_BUCKET_MAX = 100  # of one bucket, as S3 allows in its notification configuration
OBJECT_EVENTS_AT_ONCE_MAX = 100  # acted upon at the same time
OBJECT_EVENTS_POLL_MS = 500  # between two looks for events that are due
OBJECT_EVENT_RETRY_MS_FIRST = 1_000  # until an event whose endpoint could not take it is tried again; then doubled
OBJECT_EVENT_RETRY_MS_MAX = 300_000  # the longest pause between two tries
OBJECT_EVENT_SECONDS_MAX = 21_600  # of trying; then it is given up, as at AWS
OBJECT_EVENT_KEPT_DAYS = 7  # after it was acted upon or given up
FIND_INTERVAL_MS = 2_000  # between two looks for objects that came, where they are kept in an S3 service
FIND_PAGES_MAX = 10  # of a bucket's listing in one look; the next one goes on there
FIND_UPLOADS_MAX = 100  # awaited objects that are asked for in one look
OBJECT_EVENTS_SHOWN_MAX = 100  # of a trigger, the newest

# Retention
JOB_RETENTION_DAYS = 30  # ended jobs, and the objects in the server's own buckets (setting)
UNUSED_RETENTION_DAYS = 30  # packages, environments and weights that no version uses (setting)
RETAIN_INTERVAL_SECONDS = 3_600  # between two rounds of retention
RETAIN_BATCH = 500  # removed in one transaction

# Workers
WORKERS_PER_ENDPOINT_MAX = 64  # worker processes of one version on one machine
LOAD_TIMEOUT_SECONDS_DEFAULT = 600  # how long a model may load, unless its deployment or package says
LOAD_ATTEMPTS_MAX = 3  # starts of a trial's first worker that crash while loading
ISOLATION_PROBE_SECONDS_MAX = 20  # how long the machine is asked what isolation it allows
WORK_BEGINS_SECONDS_MAX = 60  # a worker with nothing else to do has begun the work that it was sent
WORKERS_WATCHED_EVERY_MS = 250  # between two looks at what the processes of busy workers take
PROCESSES_PER_WORKER_MAX = 1_000  # it and its descendants; beyond it they are killed
WORK_REMEMBERED_MAX = 10_000  # settled work of a worker of which it is known that it had begun
RESTARTS_PER_WINDOW_MAX = 5  # reasons for a worker's fall within the window; with more, the endpoint leaves service
RESTART_WINDOW_SECONDS = 300  # that window
RESTART_BACKOFF_SECONDS_MAX = 30  # the longest pause before a fallen worker is replaced; doubled each time
CANCEL_GRACE_SECONDS_DEFAULT = 5  # for a handler that is asked to stop, before it is made to (setting)
CANCEL_GRACE_SECONDS_MAX = 600  # the most that may be asked for
WORKER_STOP_GRACE_SECONDS = 5  # between SIGTERM and SIGKILL
SERVER_STOP_GRACE_SECONDS = 30  # (setting)
MEMORY_READINGS_MAX = 1_000  # of one worker, for its trial
PREFETCH_JOBS_MAX = 64  # handed to a worker ahead
PREFETCH_HORIZON_MS = 50  # a worker is handed ahead only what it will do within this time
WITHDRAW_AFTER_MS = 100  # when a job has run so long, what waits behind it in its worker is taken back
LOG_LINE_BYTES_MAX = 16 * KIB  # what is longer is cut
LOG_LINES_PER_GROUP_MAX = 200_000  # kept of one endpoint, the newest
LOG_LINES_PER_SECOND_MAX = 5_000  # of one worker; the rest is counted and dropped
SECRET_REDACTED_CHARS_MIN = 4  # shorter values would take ordinary words with them
SECRET_BYTES_MAX = 64 * KIB  # a secret's value

# Packages
ARCHIVE_BYTES_MAX = 20 * GIB  # a package's archive
DEPLOY_SETTINGS_BYTES_MAX = 1 * MIB  # the JSON body that names a stored archive
DEPLOY_FIELD_BYTES_MAX = 1 * MIB  # each part of a form beside its archive
ARCHIVE_MEMBERS_MAX = 100_000  # in one archive
ARCHIVE_UNPACKED_BYTES_MAX = 40 * GIB  # all members together
ARCHIVE_RATIO_MAX = 200  # unpacked to packed, beyond the first ARCHIVE_RATIO_FREE_BYTES
ARCHIVE_RATIO_FREE_BYTES = 100 * MIB  # unpacked before the ratio is looked at
ARCHIVE_HEADER_BYTES_MAX = 1 * MIB  # one member's header, long names included
MEMBER_NAME_BYTES_MAX = 255  # one component, as file systems take it
MEMBER_PATH_BYTES_MAX = 2_048  # a whole path in an archive
STORED_BYTES_MIN = 1 * MIB  # files from here on are stored in an archive that we pack where deflating hardly helps
CONTRACT_BYTES_MAX = 1 * MIB  # seatrial.toml, or a schema
CHECKED_WHOLE_BYTES_MAX = 256 * KIB  # files up to here are kept whole while a package is checked
CHECKED_TEXT_BYTES_MAX = 16 * MIB  # so is code and other text
CHECKED_KEPT_BYTES_MAX = 1 * GIB  # of all that is kept on disk while a package is checked
CHECKED_HEAD_BYTES = 4 * KIB  # of every other file
CHECKED_WINDOW_BYTES = 32 * MIB  # of the beginning, and of the end, of weights in a compressed archive
IMAGE_DOCUMENT_BYTES_MAX = 4 * MIB  # a manifest or a configuration of a container image
IMAGE_LAYERS_MAX = 1_000  # of one container image
WEIGHTS_HEADER_BYTES_MAX = 100 * MIB  # of a safetensors file, as its own reader allows
WEIGHTS_TENSORS_MAX = 1_000_000  # in one file of weights
CLOSURE_MODULES_MAX = 2_000  # of a package, followed from its handler
CLOSURE_SECONDS_MAX = 10  # of following them
SEARCHED_FOLDERS_MAX = 5_000  # of a source tree, for a module that a package lacks
PICKLE_OPCODES_MAX = 2_000_000  # of one file; what lies beyond is not judged
PICKLE_ARGUMENT_BYTES_MAX = 1 * MIB  # longer ones are data: stepped over, unread
TASKS_MAX = 200  # of one package
SAMPLES_PER_TASK_MAX = 50  # of one task
OUTSIDE_SAMPLES_MAX = 10_000  # objects under a prefix of samples from outside the package
TOLD_SAMPLES_BYTES_MAX = 32 * MIB  # of samples that the contract is told with
OUTSIDE_SAMPLES_BYTES_MAX = 1 * GIB  # all of them together
ENVIRONMENT_BUILD_SECONDS_MAX = 3_600  # building one environment
WEIGHTS_FETCH_SECONDS_MAX = 6 * 3_600  # fetching one entry of weights

# Trials
LOAD_LOG_BYTES_MAX = 4 * MIB  # of what a worker prints while it loads: the last of it is kept for load_log_patterns
LOAD_LOG_PATTERNS_MAX = 50  # of one package
LOAD_LOG_PATTERN_CHARS_MAX = 500  # of one pattern
TRIAL_PICTURE_PIXELS_MAX = 25_000_000  # of a sample's picture made larger; beyond it is named in the report
TRIAL_CALLBACK_SECONDS_MAX = 30  # until a sample's notification has arrived at the trial's own receiver
TRIAL_OVERSIZED_BYTES_MAX = 16 * MIB  # a file made to be refused; fields that take more are refused by pixels only
REMAINS_BYTES_MAX = 512 * MIB  # of one failed trial; the largest files go first
REMAINS_ALL_BYTES_MAX = 4 * GIB  # of all failed trials; the oldest go first
REMAINS_KEPT_MAX = 50  # failed trials
REMAINS_KEPT_DAYS = 7  # of a failed trial
REMAINS_FILES_NAMED_MAX = 40  # in the details of a stage
REMAINS_LOG_LINES_MAX = 10_000  # of one failed trial
WORKERS_REMEMBERED_MAX = 64  # of a crew, by their ids
DRILL_SECONDS_DEFAULT = 5  # of repeated runs (setting); 0 leaves the drill out
DRILL_RUNS_MAX = 400  # of all samples together
DRILL_RUNS_MIN = 60  # aimed at, for which a drill may take DRILL_STRETCH times its seconds
DRILL_QUICK_SECONDS = 0.5  # all samples once; a drill of slower ones is not stretched
DRILL_STRETCH = 4  # how many times as long as the samples a drill takes
DRILL_SIDE_BY_SIDE = 8  # requests under way at once
DRILL_WORKERS = 2  # of a drill
DRILL_LOAD_STRETCH = 2  # how many times as long as the first worker took a drill waits for the second to load
DRILL_LOAD_SECONDS = 5  # and so long besides
DRILL_STRIKES_MAX = 5  # attempts to catch a job in mid-run before its worker is killed
DRILL_REPEATS_ALONE = 3  # runs at least on each of two fresh workers, before a difference is held against a handler
DRILL_REPEATS_ALONE_MAX = 200  # the same at most, for what showed once in many runs
DRILL_FRESH_WORKERS_MAX = 10  # asked whether a difference is one between processes, while DRILL_FRESH_SECONDS last
DRILL_FRESH_SECONDS = 6  # of asking further fresh workers
DRILL_MEMORY_READINGS_MIN = 3  # of what a worker keeps, before its growth is looked at
DRILL_GROWTH_BYTES_MAX = 32 * MIB  # of what a worker keeps
DRILL_GROWTH_BYTES_PER_RUN_MAX = 256 * KIB  # more than that is called a leak

# Reports of trials
REPORT_KEPT_BYTES_MAX = 32 * MIB  # of all inputs and outputs that one report shows
REPORT_ITEM_BYTES_MAX = 8 * MIB  # of one picture, mesh, JSON, sound or film in it
REPORT_TEXT_BYTES_MAX = 256 * KIB  # of one text in it; of a longer one, or of longer JSON, its beginning
REPORT_PREVIEW_PIXELS = 1_024  # a side, of a picture that is too large or that browsers do not show
REPORT_SAMPLES_MAX = 200  # shown with what they were and what was answered
REPORT_ROWS_MAX = 500  # of all tables of one JSON answer
REPORT_CELL_CHARS_MAX = 2_000  # of one text in them

# Canaries and history
CANARY_MINUTES_MAX = 7 * 24 * 60  # between two of them; the least is 1
CANARY_LOOK_MS = 1_000  # between two looks for canaries that are due
CANARY_QUEUE_SECONDS_MAX = 600  # behind other jobs; one that found no worker in that time is left out
CANARY_PRIORITY = 9  # the lowest: behind jobs of clients
ENDPOINT_EVENTS_KEPT = 1_000  # of one endpoint, the newest
METRIC_ERROR_TYPES_MAX = 100  # words of handlers' own that metrics tell apart; further ones are called "other"
METRIC_SERIES_MAX = 5_000  # combinations of endpoint, task, status and error_type that metrics tell apart

# Keys
KEYS_MAX = 1_000  # that were made, those not yet forgotten included
KEY_NAME_CHARS_MAX = 100  # what people call one
KEY_REACH_MAX = 100  # endpoints, and buckets, that one names
KEY_SECRETS_MAX = 4  # of one key that hold at once, old ones in their overlap included
KEY_OVERLAP_HOURS_DEFAULT = 24  # how long the old secrets hold after a rotation
KEY_OVERLAP_HOURS_MAX = 7 * 24  # the most that may be asked for
KEY_USED_NOTED_MS = 60_000  # between two looks for keys that were used
KEY_USED_COARSE_MS = 10 * 60_000  # by which the time of a key's last use may be behind
KEY_FORGOTTEN_DAYS = 90  # after a key was revoked or expired

# Media
IMAGE_PIXELS_MAX_DEFAULT = 100_000_000  # of an image field that says nothing else
MEDIA_BYTES_MAX_DEFAULT = 100 * MIB  # of a media field that says nothing else
MEDIA_SEVERAL_MAX = 100  # in one list of media
URL_FETCH_SECONDS_MAX = 60  # all hops and the whole body
URL_REDIRECTS_MAX = 5  # followed from a media field's URL
URL_CHARS_MAX = 8_192  # of a media field's URL
IMAGE_CHECKS_AT_ONCE_MAX = 2  # each may hold a whole decoded picture

# Checking requests and answers
JSON_INPUT_BYTES_MAX = 64 * MIB  # JSON and forms for a declared contract are parsed in memory
JSON_OUTPUT_BYTES_MAX = 64 * MIB  # JSON answers of a declared contract are parsed in memory
OUTPUT_VALIDATIONS_AT_ONCE_MAX = 2  # by the validators that contracts name: each may hold a whole decoded picture
VALIDATED_IN_MEMORY_BYTES_MAX = 64 * MIB  # of an output that validators look at; larger ones are read from their file
JSON_DEPTH_MAX = 100  # arrays and objects in each other
JSON_PARSED_ON_LOOP_BYTES_MAX = 64 * KIB  # beyond it parsing and checking leave the event loop
BODY_IN_MEMORY_BYTES_MAX = 8 * MIB  # bodies that are passed on unread: beyond it as a file
FORM_PARTS_MAX = 1_000  # of one multipart/form-data body
TOLERANCE_DEFAULT = 1e-5  # of a number between two runs of one request, relative to the larger
PROBLEMS_LISTED_MAX = 20  # in one error
DOUBTS_LISTED_MAX = 5  # doubtful words that are told of one answer in a trial
DOUBTS_VALUES_MAX = 10_000  # of one answer, in which such words are looked for
DOUBTS_TEXT_CHARS_MAX = 65_536  # of one of its texts
VALUE_SHOWN_CHARS_MAX = 200  # of a client's value in an error message
COMPILED_TASKS_KEPT = 1_024  # validators in memory, least recently used go first
REQUESTS_KEPT_MAX = 256  # small requests kept as they were checked, until their jobs run

# Objects
OBJECT_BYTES_MAX = 5 * 1024 * GIB  # as S3
OBJECT_PUT_BYTES_MAX = 5 * GIB  # of one request, as S3; larger ones come in parts
KEY_BYTES_MAX = 1_024  # as S3
LIST_KEYS_MAX = 1_000  # of one page, as S3
DELETE_KEYS_MAX = 1_000  # of one request, as S3
MULTIPART_PARTS_MAX = 10_000  # as S3
MULTIPART_PART_BYTES_MIN = 5 * MIB  # of every part but the last
MULTIPART_UPLOADS_OPEN_MAX = 1_000  # at once, of all buckets
MULTIPART_UPLOAD_SECONDS_MAX = 7 * 86_400  # an upload not completed by then is dropped, with its parts
MULTIPART_COMPLETED_SECONDS = 3_600  # how long a repeated completion is answered as the first one was
METADATA_BYTES_MAX = 2 * KIB  # of one object's own headers, as S3
PRESIGNED_SECONDS_MAX = 7 * 86_400  # how long a URL may be valid, as S3
STREAM_CHUNK_BYTES = 1 * MIB  # read or written at a time

# Objects in an S3 service
S3_CALLS_AT_ONCE_MAX = 32  # to an S3 service
S3_CONNECT_SECONDS_MAX = 5  # to an S3 service
S3_QUIET_READ_SECONDS_MAX = 30  # without a byte
S3_STAGE_CHUNK_BYTES = 8 * MIB  # of a multipart upload; up to here one request does it
S3_STAGE_CHUNKS_AT_ONCE_MAX = 4  # of one upload to an S3 service
S3_COPY_BYTES_MAX = 5 * GIB  # beyond it a copy is made in parts
S3_COPY_PART_BYTES = 1 * GIB  # copied at a time inside an S3 service
S3_DOOR_STAGING_SECONDS_MAX = 86_400  # what clients sent and never got its name is removed after that

S3_XML_BYTES_MAX = 8 * MIB  # a request document, such as the list of 10,000 parts
S3_XML_DEPTH_MAX = 8  # elements in each other in a request document
S3_CHUNK_HEADER_BYTES_MAX = 16 * KIB  # a chunk's first line, or all trailers, of an aws-chunked body
S3_QUIET_SECONDS_MAX = 10  # after this long without an answer a completion is kept alive with spaces

# Wires
REQUEST_UNREAD_BYTES_MAX = 16 * MIB  # of a refused request's body: read and dropped, so that its connection lives on
REQUEST_LINGER_SECONDS_MAX = 5  # how long a connection that must close lets its client read the answer
CLOCK_SKEW_SECONDS_MAX = 900  # SigV4, as AWS
HEALTH_ANSWER_SECONDS_MAX = 2  # a part that takes longer is down
HEALTH_FRESH_MS = 1_000  # so long an answer of /healthz is told to whoever asks next
STORE_BATCH_COMMANDS_MAX = 500  # that share one transaction
STORE_RETRY_MS = 500  # until a store that was away is asked again
LIST_PAGE_MAX = 1_000  # of one page of the native API
NAMES_SHOWN_MAX = 10  # in an error that lists what there is
REAP_JOBS_MAX = 100  # ended in one transaction
AWS_CONTROL_BODY_BYTES_MAX = 1 * MIB  # a request of AWS's control planes
AWS_LIST_PAGE_DEFAULT = 10  # as at AWS
AWS_SYNC_WAIT_SECONDS_DEFAULT = 60  # how long InvokeEndpoint waits for its job, as AWS
AWS_INVOCATION_TIMEOUT_SECONDS_MAX = 3_600  # as at AWS

# The database
DATABASE_BUSY_TIMEOUT_MS = 2_000  # how long a statement waits for another's lock
DATABASE_ATTEMPTS_MAX = 5  # runs of a transaction that fails through others: deadlocks, lost connections, lost races
DATABASE_CONNECT_SECONDS_MAX = 5  # to PostgreSQL
DATABASE_STATEMENT_MS_MAX = 60_000  # of PostgreSQL
DATABASE_IDLE_TRANSACTION_MS_MAX = 10_000  # a server stopped in mid-transaction loses its locks after this
START_BYTES_MIN = 1 * MIB  # a disk with less room is named as the reason when a start fails
DATABASE_CACHE_KIB = 32 * 1024  # of each connection
DATABASE_READERS = 4  # connections that only read

# RunPod's wires
RUNPOD_BODY_BYTES_MAX = 20 * MIB  # of run and runsync, as at RunPod
RUNPOD_EXTRAS_BYTES_MAX = 64 * KIB  # what stands beside a request's input
RUNPOD_WAIT_MS_DEFAULT = 90_000  # how long runsync waits for its job, as at RunPod
RUNPOD_WAIT_MS_MIN = 1_000  # as at RunPod
RUNPOD_WAIT_MS_MAX = 300_000  # as at RunPod
RUNPOD_OUTPUT_SHOWN_BYTES_MAX = 20 * MIB  # of an output in a status; a larger one is a signed URL there
RUNPOD_OUTPUT_URL_SECONDS = 86_400  # how long that URL is good
CLIENT_BUCKET_BYTES_MIN = 128 * KIB  # what is smaller stays in the answer, though the request has an s3Config
CLIENT_BUCKET_OBJECT_BYTES_MAX = 256 * MIB  # what is larger stays here, as it is sent in one request
CLIENT_BUCKET_URL_SECONDS = 604_800  # how long URLs of what was put there are good, as those of RunPod's SDK
CLIENT_BUCKET_TRIES_MAX = 3  # to put an object whose service answers with a fault of its own, or not
CLIENT_BUCKET_PAUSE_SECONDS = 1  # before the second one; doubled before each further one
RUNPOD_REQUESTS_SHOWN = 100  # of an endpoint, the newest

# AWS Lambda's wires
LAMBDA_PAYLOAD_BYTES_MAX = 6_291_456  # of an invocation that is waited for, and of its answer; as at AWS
LAMBDA_EVENT_BYTES_MAX = 1 * MIB  # of an invocation that is not waited for, as at AWS
LAMBDA_WAIT_SECONDS = 900  # how long an invocation waits for its job: the longest that a function runs at AWS
LAMBDA_CLIENT_CONTEXT_BYTES_MAX = 3_583  # in base64, as at AWS
LAMBDA_LOG_TAIL_BYTES = 4_096  # of X-Amz-Log-Result, as at AWS
LAMBDA_LOG_WAIT_MS = 1_000  # at most for the last lines of an invocation to be written
LAMBDA_MEMORY_MB_DEFAULT = 10_240  # told where nothing limits a worker: AWS's largest function
LAMBDA_CODE_BYTES_MAX = 50 * MIB  # of a function's code, zipped; as at AWS
LAMBDA_CODE_REQUEST_BYTES_MAX = 70 * MIB  # with the code in base64 and the rest of the request
LAMBDA_UNPACKED_BYTES_MAX = 250 * MIB  # of a function's code, unzipped; as at AWS
LAMBDA_LAYERS_MAX = 5  # of a function, as at AWS
LAMBDA_LAYER_URL_SECONDS = 600  # how long the location of a layer's content is good, as at AWS
LAMBDA_LAYER_VERSIONS_MAX = 1_000  # of one layer
LAMBDA_LIST_MAX = 50  # functions of one page, as at AWS

# The studio protocol
STUDIO_PORT_DEFAULT = 8091  # where its servers listen
STUDIO_BODY_BYTES_MAX = 20 * MIB  # of a request
STUDIO_JOB_ID_CHARS_MAX = 128  # of a name that a client gives its job
STUDIO_SECRET_CHARS_MAX = 512  # of a callback's secret
STUDIO_IMAGE_TOLD_BYTES_MAX = 20 * MIB  # of the image in a callback; a larger one is told by its URL only
STUDIO_JOBS_SHOWN = 500  # of an endpoint, the newest

# Cog's HTTP API
COG_PORT_DEFAULT = 5000  # where its servers listen
COG_BODY_BYTES_MAX = 100 * MIB  # of a request: files come in it as data URLs
COG_ID_CHARS_MAX = 128  # of an id that a client gives its prediction
COG_CONTEXT_BYTES_MAX = 16 * KIB  # of the context of a request
COG_WAIT_SECONDS_DEFAULT = 60  # of `Prefer: wait` without a number, as at Replicate
COG_WAIT_SECONDS_MAX = 86_400  # how long an answer is held at most
COG_FILE_INLINE_BYTES_MAX = 8 * MIB  # of a file in an output that is told as a data URL; a larger one has a signed URL
COG_OUTPUT_BYTES_MAX = 32 * MIB  # of the JSON of an output; a larger one has a signed URL
COG_OUTPUT_URL_SECONDS = 86_400  # how long such a URL is good
COG_LOGS_LINES_MAX = 1_000  # of one prediction, the first ones
COG_CANCEL_SECONDS = 2  # how long a cancel is held until the prediction has stopped
COG_FOLLOWED_MAX = 1_000  # predictions at once whose webhooks are told of more than the end
COG_EVENT_OUTPUT_BYTES_MAX = 1 * MIB  # of an output that is told while it grows; beyond it the end tells it
COG_EVENTS_MS = 500  # between two looks at what a prediction has logged, as at Cog

# Workers that pull from elsewhere
OUTSIDE_WORKERS_MAX = 10_000  # of all endpoints
OUTSIDE_LEASE_SECONDS = 60  # without a word for so long, a worker that pulls has lost what it held (setting)
OUTSIDE_POLL_SECONDS = 8  # how long its question for work, or for jobs to stop, is held open
OUTSIDE_BATCH_MAX = 100  # jobs handed out at once
OUTSIDE_REFUSAL_SECONDS = 1  # a refused one is answered after that, since it asks again at once

# What handlers tell while they run
STREAM_WAITING_BYTES_MAX = 32 * MIB  # of one job's chunks that nobody has fetched; the result has them all
STREAMS_WAITING_BYTES_MAX = 256 * MIB  # of all jobs together
STREAMS_KEPT_MAX = 1_000  # jobs whose chunks are at hand, the last ones

# Several servers on one database
SERVER_BEAT_SECONDS = 5  # between two beats of a server that shares its database
SERVER_LEASE_SECONDS = 30  # without a heartbeat for so long, by the database's clock, a server's sessions are closed
HINTS_RETRY_SECONDS = 5  # until a lost connection that only hears hints is made again
STORE_POLL_MS = 1_000  # how often a waiting worker looks at a queue that others may have filled

LOG_LINES_WAITING_MAX = 20_000  # not written yet; beyond it lines are dropped, and counted

# Scaling, figures over time and alarms
SCALING_LOOK_MS = 1_000  # between two looks at what each endpoint's workers have to do
SCALING_COOLDOWN_SECONDS_DEFAULT = 300  # before workers leave, unless somebody says; as at AWS
SCALING_COOLDOWN_SECONDS_MAX = 7 * 86_400  # the most that may be asked for
SCALING_BACKLOG_DEFAULT = 2  # jobs, queued and running, that one worker is meant to have
SCALING_WAKE_LATE_SECONDS = 120  # beyond what its alarm takes: then a job at zero wakes a worker without it
SCALING_POLICIES_MAX = 20  # of one endpoint
SCALING_STEPS_MAX = 20  # of one policy, as at AWS
SCALING_WORKERS_PER_CORE_MAX = 4  # that are added for a backlog; more only by a minimum, or by hand
SCALING_MEMORY_KEPT_BYTES = 256 * MIB  # that stay free when a worker is added
METRIC_MINUTES_KEPT = 1_440  # points of one series, one a minute; alarms look no farther back
METRIC_POINTS_SERIES_MAX = 2_000  # series that are kept over time; further ones are left out
METRIC_DATA_BYTES_MAX = 1 * MIB  # of PutMetricData, unpacked; as at AWS
METRIC_DATUMS_MAX = 100_800  # datapoints of one answer of GetMetricData, as at AWS
ALARMS_MAX = 500  # of one server
ALARM_ACTIONS_MAX = 5  # of one state of an alarm, as at AWS
ALARM_HISTORY_KEPT = 100  # entries of one alarm, the newest
ALARM_SPAN_SECONDS_MAX = 86_400  # evaluation periods times period, as at AWS

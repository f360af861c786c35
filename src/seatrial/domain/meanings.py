"""Every `error_type` of the server: what happened, and what to do about it. The page docs/reference/errors.md has it.

A handler's own words pass through unchanged. A failure's own `remedy`, where it has one, says more than this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatrial.domain import errors as e


@dataclass(frozen=True, slots=True)
class Meaning:
    """Sentences for people."""

    what: str
    remedy: str


_INPUT = {
    e.UNKNOWN_TASK: Meaning("The endpoint has no task of that name.", "Name one of the tasks that the error lists."),
    e.MISSING_FIELD: Meaning("The request lacks a field that its task requires.", "Send the field."),
    e.INVALID_FIELD: Meaning("A field's value is not valid.", "Send what `valid` says."),
    e.UNKNOWN_FIELD: Meaning(
        "The task has no such field.", "Leave the field out, or set `extra_fields = true` in the task's contract."
    ),
    e.MALFORMED_INPUT: Meaning("The body is not what its media type says.", "Send what `valid` says."),
    e.UNSUPPORTED_MEDIA_TYPE: Meaning(
        "Nobody reads that media type here.",
        "Send and accept one of application/json, text/csv, application/x-npy (the last two need numpy), or write "
        "input_fn and output_fn.",
    ),
    e.PAYLOAD_TOO_LARGE: Meaning(
        "The body is larger than its limit.", "Upload it (POST /v1/uploads) and name the object as the input."
    ),
    e.IMAGE_UNDECODABLE: Meaning("An image is damaged, or is no image.", "Send a whole image in one of the formats."),
    e.MEDIA_TOO_LARGE: Meaning("A media field has too many bytes or pixels.", "Send a smaller one."),
    e.MEDIA_TOO_SMALL: Meaning("A picture has fewer pixels than its field takes.", "Send a larger one."),
    e.INPUT_NOT_FOUND: Meaning("The input names an object that is not there.", "Upload it, and submit again."),
    e.INPUT_CHANGED: Meaning(
        "The input's object was replaced or deleted after the job was accepted.", "Submit the job again."
    ),
    e.INPUT_UNREACHABLE: Meaning("The input's URL did not give its bytes.", "See that the server can fetch the URL."),
}
_OUTPUT = {
    e.OUTPUT_CONTRACT: Meaning(
        "The handler's answer breaks its contract, so it was not published.",
        "Mend what the handler returns, or the task's output in the contract.",
    ),
    e.OUTPUT_INVALID: Meaning(
        "A validator that the contract names found the answer damaged, blank or otherwise wanting, so it was not "
        "published.",
        "Mend what the handler returns, or the thresholds of `validate` in the contract.",
    ),
    e.OUTPUT_NOT_SERIALISABLE: Meaning(
        "The handler returned a value that cannot be sent.", "Return plain Python values: float(x), x.tolist()."
    ),
    e.OUTPUT_TOO_LARGE: Meaning("The answer is larger than its limit.", "Return less, or several smaller parts."),
    e.SOFT_FAILURE: Meaning(
        "The handler answered that it failed.", "Mend the handler, or the input if it is at fault."
    ),
    e.MOCK_OUTPUT: Meaning("The answer says itself that it is a placeholder.", "Let the handler run its real model."),
    e.CLIENT_BUCKET_REFUSED: Meaning(
        "The bucket that the request named in s3Config did not take the output.",
        "Try its address, name and keys with `aws s3 cp`; `allow_receiver` opens private networks.",
    ),
    e.PUBLISH_FAILED: Meaning(
        "The result could not be made visible by its deadline.",
        "Create the bucket, or let the server write to it, and retry the job.",
    ),
    e.OUTPUT_BUCKET_MISSING: Meaning("The bucket for the result does not exist.", "Create it, and submit again."),
    e.OUTPUT_NAME_TAKEN: Meaning(
        "The chosen output name is reserved by a job that has not ended.", "Choose another name, or wait for that job."
    ),
}
_HANDLER = {
    e.HANDLER_ERROR: Meaning("The handler raised an exception.", "Mend the handler, or the input if it is at fault."),
    e.INPUT_REFUSED: Meaning(
        "The package's own server answered with a status from 400 to 499.",
        "Mend the input as the message says: the package's server refused it.",
    ),
    e.HANDLER_EXITED: Meaning(
        "The handler called sys.exit(); its worker went on.",
        "Take sys.exit(), exit() and quit() out of the handler: let it return, or raise an error.",
    ),
    e.OUT_OF_MEMORY: Meaning(
        "The job, or its worker with all its processes, needed more memory than it may have.",
        "Give the worker more memory, or use a smaller model, smaller inputs or smaller batches.",
    ),
    e.DEVICE_OUT_OF_MEMORY: Meaning(
        "The device's memory did not suffice.",
        "Use a smaller model, smaller inputs or batches, or fewer workers on the device.",
    ),
    e.DEVICE_FAULT: Meaning(
        "The device reported a fault; the worker is replaced, because its CUDA context is of no more use.",
        "Run the input with CUDA_LAUNCH_BLOCKING=1 to find the kernel at fault; the worker has been replaced.",
    ),
    e.SCRATCH_FULL: Meaning(
        "There was no space left where the handler writes.",
        "Free or add space where the handler writes (TMPDIR), write less, or remove files after each job.",
    ),
    e.STREAM_CLOSED: Meaning(
        "The handler used a stream or pipe that it, or the other end, had closed.",
        "Leave standard input, output and error open, and a pipe until its other end has been read.",
    ),
    e.INVOCATION_TIMEOUT: Meaning(
        "The handler ran longer than the job's timeout; it was stopped.",
        "Ask for a longer invocation timeout, or make the job smaller.",
    ),
}
_WORKER = {
    e.WORKER_CRASHED: Meaning(
        "The worker process ended by itself, again and again, while this job was alone in it: by a signal such as "
        "SIGSEGV, or with an exit code.",
        "Run the handler by hand on the input; `seatrial logs NAME` has what the process printed last.",
    ),
    e.WORKER_STALLED: Meaning(
        "The worker process did not begin with its work.",
        "Look for a thread of the handler's that keeps the interpreter to itself, or that stopped the process.",
    ),
    e.LINK_LOST: Meaning(
        "The handler closed the worker's connection to the server.",
        "Let the handler close no file descriptors but its own: os.closerange() and its like take the server's too.",
    ),
    e.LINK_BROKEN: Meaning(
        "Something that is no message came from the worker process, which was killed.",
        "Let the handler leave alone every file descriptor that it did not open itself: one is the server's.",
    ),
    e.TOO_MANY_PROCESSES: Meaning(
        "The worker had more processes than it may have; all were killed.",
        "Let the handler start fewer processes, and wait for those that it has started.",
    ),
    e.LOAD_FAILED: Meaning(
        "The model did not load.", "Mend the handler's loading code; `seatrial logs NAME` has the whole output."
    ),
    e.LOAD_TIMEOUT: Meaning(
        "The model was not loaded in time.", "Raise load_timeout_seconds in [worker], or load less."
    ),
    e.DEVICE_UNAVAILABLE: Meaning(
        "The package asks for a GPU (`device`), and there is none that its worker can use.",
        'Run the server where there is a GPU, or set device = "cpu" in [worker].',
    ),
    e.DEVICE_NOT_USED: Meaning(
        "The package asks for a GPU (`device`), and its model fell to the CPU.",
        "Load the model onto the GPU without a fallback to the CPU, and require builds for CUDA.",
    ),
}
_JOB = {
    e.UPLOAD_EXPIRED: Meaning(
        "The object that the job waited for did not come in time.", "Ask for another upload: POST /v1/uploads."
    ),
    e.QUEUE_TTL_EXPIRED: Meaning(
        "No worker took the job within its time to live.", "Add workers, or give the job a longer time to live."
    ),
    e.DEADLINE_EXCEEDED: Meaning(
        "The job's whole time was over before it had an outcome.", "Submit it again; see why it waited so long."
    ),
    e.ATTEMPTS_EXHAUSTED: Meaning(
        "Each of the job's attempts lost its worker, and there may be no more of them.",
        "Look at what runs beside the job in its worker: `seatrial logs NAME` has what it printed last.",
    ),
    e.CANCELLED: Meaning("Somebody cancelled the job.", "Retry the job if it is still wanted."),
    e.JOB_NOT_FOUND: Meaning("There is no such job.", "Check the id; ended jobs are kept for a time only."),
    e.JOB_NOT_ENDED: Meaning("The job has no outcome yet.", "Wait for it: ?wait=30."),
    e.JOB_ALREADY_ENDED: Meaning("The job has its outcome already.", "Nothing is to be done; a retry is a new job."),
    e.IDEMPOTENCY_CONFLICT: Meaning(
        "Another request was sent under the same idempotency key.", "Use a new key for a new request."
    ),
    e.QUEUE_FULL: Meaning("Too many jobs of the endpoint wait.", "Try again after `Retry-After`, or add workers."),
}
_SERVER = {
    e.ENDPOINT_NOT_FOUND: Meaning("There is no such endpoint.", "Deploy it, or name another."),
    e.ENDPOINT_NOT_IN_SERVICE: Meaning(
        "The endpoint takes no jobs now.", "Wait for its trial, or mend what `seatrial describe NAME` names."
    ),
    e.ENDPOINT_DELETED: Meaning("The endpoint was deleted before the job ran.", "Deploy it again, and submit again."),
    e.SERVER_STOPPING: Meaning("The server is stopping.", "Try again in a moment."),
    e.STORE_UNAVAILABLE: Meaning(
        "The server's database or object store is away.",
        "Try again after `Retry-After`; /healthz says which part it is.",
    ),
    e.INTERNAL_ERROR: Meaning(
        "A defect of the server.", "Retry the job; report the defect with what the server's log says of it."
    ),
}
_API = {
    "unauthenticated": Meaning("The request has no key, or not this server's.", 'Run `eval "$(seatrial env)"`.'),
    "not_offered": Meaning(
        "This protocol's own servers do it; here it would touch more than what was asked for.",
        "Do what the message names instead.",
    ),
    "no_such_route": Meaning("There is no such path here.", "See /docs, or docs/reference/api.md."),
    "method_not_allowed": Meaning("The path is there, but not for this method.", "Use what `Allow` lists."),
    "result_gone": Meaning("The result's object was deleted or replaced since.", "Retry the job."),
    "endpoint_exists": Meaning("The name is taken.", "Update or delete the endpoint, or choose another name."),
    "nothing_failed": Meaning("There is no failed trial to run again.", "Deploy a new version with --update."),
    "endpoint_busy": Meaning("The endpoint is being changed.", "Wait until that has ended."),
    "media_support_missing": Meaning(
        "The server cannot read that image format here.", "Install what the message names, or send another format."
    ),
    "upload_not_found": Meaning("There is no such multipart upload.", "Begin it again."),
    "invalid_part": Meaning("A part of the upload is not there, or is another.", "Upload the part again."),
    "invalid_part_order": Meaning("The parts are not listed in ascending order.", "List them in order."),
    "part_too_small": Meaning("A part other than the last is below 5 MiB.", "Upload larger parts."),
    "checksum_mismatch": Meaning("The bytes are not those of the checksum sent.", "Send them again."),
    "too_many_uploads": Meaning("Too many multipart uploads are open.", "Complete or abort some."),
    e.FILE_EXISTS: Meaning("A file is there already.", "Choose another name, or allow it to be replaced."),
    e.BACKUP_RUNNING: Meaning("A backup is being made already.", "Wait until it has ended."),
    e.BACKUP_ELSEWHERE: Meaning(
        "The server's database is a service with tools of its own for backups.", "Use its own, such as pg_dump."
    ),
    e.DELIVERY_NOT_FOUND: Meaning("There is no such delivery.", "Check the id: GET /v1/deliveries lists them."),
    e.UPLOAD_NOT_AWAITED: Meaning(
        "The job whose input the URL takes has it already, or has ended.", "Ask for another upload: POST /v1/uploads."
    ),
    e.UPLOADS_TOO_MANY: Meaning(
        "Too many jobs of the endpoint wait for their uploads.", "Upload, cancel some, or try again later."
    ),
    e.NEVER_UPLOADED: Meaning(
        "The job never got its input, so it cannot be run again.", "Ask for another upload: POST /v1/uploads."
    ),
    e.TRIGGER_NOT_FOUND: Meaning("There is no such trigger.", "Check the id: GET /v1/triggers lists them."),
    e.TRIGGER_EXISTS: Meaning("The bucket has a trigger of that name.", "Remove it first, or choose another name."),
    e.TRIGGER_ELSEWHERE: Meaning(
        "The trigger is part of its bucket's notification configuration.",
        "Change that: aws s3api put-bucket-notification-configuration.",
    ),
    e.TRIGGER_LOOP: Meaning(
        "The trigger's results would set it off again, for ever.",
        "Let results go to another bucket, or to keys that the trigger's prefix or suffix leaves out.",
    ),
    e.TRIGGERS_TOO_MANY: Meaning("The bucket has as many triggers as it may have.", "Remove some."),
    e.SCALING_NOT_FOUND: Meaning(
        "The endpoint is not scaled, or has no such policy.", "Scale it: seatrial scale NAME --min 0 --max 3."
    ),
    e.ALARM_NOT_FOUND: Meaning("There is no such alarm.", "Name one that DescribeAlarms lists."),
    e.VERSION_NOT_FOUND: Meaning("The endpoint has no version of that number.", "Name one that `valid` says."),
    e.TRIAL_REPORT_NOT_FOUND: Meaning(
        "The version has no report that could be shown: its trial goes on, was before there were reports, or what is "
        "kept is not what was signed.",
        "Wait for the trial's end (`seatrial trial NAME`), or deploy the package again.",
    ),
    e.WEBHOOK_NOT_FOUND: Meaning(
        "The endpoint has no webhook of that id.", "List them with `seatrial webhooks list ENDPOINT`."
    ),
    e.TOPIC_NOT_FOUND: Meaning("There is no topic of that ARN.", "List them with `aws sns list-topics`."),
    e.SUBSCRIPTION_NOT_FOUND: Meaning(
        "There is no subscription of that ARN or token: it was removed, or never confirmed in time.",
        "List them with `aws sns list-subscriptions`, or subscribe again.",
    ),
    e.MISSING_SCOPE: Meaning(
        "The key has not the scope that this needs; `scope` names it.", "Use a key that has: `seatrial keys create`."
    ),
    e.KEY_NOT_FOUND: Meaning("There is no such key.", "Check the id: `seatrial keys list`."),
    e.KEY_REVOKED: Meaning("The key was revoked; that is for good.", "Make another: `seatrial keys create`."),
    e.KEY_UNSEALED: Meaning(
        "The key's secret was sealed with a sealing key that the data folder no longer has.",
        "Rotate it: `seatrial keys rotate ID`.",
    ),
    e.TOO_MANY_KEYS: Meaning("There are as many keys, or secrets of one, as there may be.", "Revoke some, or wait."),
    e.OUT_OF_REACH: Meaning(
        "The key reaches some endpoints and buckets, and not this one.", "Use a key that does: `seatrial keys create`."
    ),
}

MEANINGS: Mapping[str, Meaning] = {**_INPUT, **_OUTPUT, **_HANDLER, **_WORKER, **_JOB, **_SERVER, **_API}
SECTIONS: Mapping[str, Mapping[str, Meaning]] = {
    "The input": _INPUT,
    "The output": _OUTPUT,
    "The handler": _HANDLER,
    "The worker process": _WORKER,
    "The job": _JOB,
    "The server": _SERVER,
    "The API": _API,
}

"""The matrix: for every route and operation, who may use it, and what a key of other endpoints is answered.

A line that is missing here fails tests/dialects/test_authorisation.py: who adds a route decides on it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from seatrial.domain.delivery import DeliveryFilter
from seatrial.domain.objects import ObjectName
from seatrial.domain.triggers import Origin, Trigger, TriggerKind
from seatrial.http.services import Services

MINE, ELSEWHERE = "harbour", "elsewhere"  # the endpoint that is there, and the one that the other key reaches
GHOST = "-ghost-"  # no endpoint can have this name
NEVER = "never"  # an endpoint could, and none has
BUCKET, GHOST_BUCKET = "harbour-bucket", "ghost-bucket"
ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}"
FUNCTION = {"Role": "arn:aws:iam::000000000000:role/r", "Handler": "a.b", "Runtime": "python3.12", "Code": {}}

OPEN = "open"  # needs no key
FORM = "application/x-www-form-urlencoded"
OBJECT = ObjectName(BUCKET, "marker")
ALL_DELIVERIES = DeliveryFilter()
JSON_SERVICES = ("sagemaker", "logs", "application-autoscaling", "monitoring")


@dataclass(frozen=True)
class Row:
    """`scopes`: one of them is needed. `other`: the status for a key with every scope, of another endpoint.

    `{name}`, `{id}` and `{bucket}` in `body` are filled in as in the path.
    """

    scopes: str
    other: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


NATIVE: Mapping[str, Row] = {
    "GET /": Row(OPEN, 307),
    "GET /docs": Row(OPEN, 200),
    "GET /healthz": Row(OPEN, 200),
    "GET /v1/openapi.json": Row(OPEN, 200),
    "GET /metrics": Row("read", 200),
    "GET /v1/backup": Row("admin", 403),
    "GET /v1/trial-key": Row("read deploy", 200),
    "POST /v1/uploads": Row("submit", 403, {"key": "harbour/x"}),
    # endpoints
    "GET /v1/endpoints": Row("read deploy", 200),
    "POST /v1/endpoints": Row("deploy", 403, {"name": "{name}", "package": "s3://b/p"}),
    "GET /v1/endpoints/{name}": Row("read deploy", 403),
    "PUT /v1/endpoints/{name}": Row("deploy", 403, {}),
    "PATCH /v1/endpoints/{name}": Row("deploy", 403, {}),
    "DELETE /v1/endpoints/{name}": Row("deploy", 403),
    "GET /v1/endpoints/{name}/contract": Row("read", 403),
    "POST /v1/endpoints/{name}/trial/rerun": Row("deploy", 403),
    "GET /v1/endpoints/{name}/trial": Row("read deploy", 403),
    "GET /v1/endpoints/{name}/trial.html": Row("read deploy", 403),
    "POST /v1/endpoints/{name}/canary": Row("deploy", 403),
    "GET /v1/endpoints/{name}/history": Row("read deploy", 403),
    "GET /v1/endpoints/{name}/scaling": Row("read deploy", 403),
    "PUT /v1/endpoints/{name}/scaling": Row("deploy", 403, {}),
    "DELETE /v1/endpoints/{name}/scaling": Row("deploy", 403),
    "GET /v1/endpoints/{name}/webhooks": Row("read deploy", 403),
    "POST /v1/endpoints/{name}/webhooks": Row("deploy", 403, {"url": "https://example.org/"}),
    "POST /v1/endpoints/{name}/webhooks/{id}/rotate": Row("deploy", 403),
    "DELETE /v1/endpoints/{name}/webhooks/{id}": Row("deploy", 403),
    "GET /v1/endpoints/{name}/logs": Row("read", 403),
    "POST /v1/endpoints/{name}/jobs": Row("submit", 403, {"text": "a"}),
    # jobs: an id tells nothing of its endpoint, so it is not found
    "GET /v1/jobs": Row("read", 200),
    "GET /v1/jobs/{id}": Row("read", 404),
    "GET /v1/jobs/{id}/result": Row("read", 404),
    "GET /v1/jobs/{id}/input": Row("read", 404),
    "GET /v1/jobs/{id}/logs": Row("read", 404),
    "GET /v1/jobs/{id}/events": Row("read", 404),
    "POST /v1/jobs/{id}/cancel": Row("submit", 404),
    "POST /v1/jobs/{id}/retry": Row("submit", 404),
    # deliveries
    "GET /v1/deliveries": Row("read", 200),
    "GET /v1/deliveries/{delivery}": Row("read", 404),
    "POST /v1/deliveries/{delivery}/replay": Row("submit", 404),
    # triggers
    "GET /v1/triggers": Row("read deploy", 200),
    "POST /v1/triggers": Row("deploy", 403, {"bucket": "{bucket}", "endpoint": "{name}"}),
    "GET /v1/triggers/{trigger}": Row("read deploy", 404),
    "DELETE /v1/triggers/{trigger}": Row("deploy", 404),
    # keys
    "GET /v1/keys": Row("admin", 403),
    "POST /v1/keys": Row("admin", 403, {}),
    "GET /v1/keys/{key}": Row("admin", 403),
    "PATCH /v1/keys/{key}": Row("admin", 403, {}),
    "DELETE /v1/keys/{key}": Row("admin", 403),
    "POST /v1/keys/{key}/rotate": Row("admin", 403),
}

# Under /v2/NAME.
RUNPOD: Mapping[str, Row] = {
    "POST run": Row("submit", 403, {"input": {"text": "a"}}),
    "POST runsync": Row("submit", 403, {"input": {"text": "a"}}),
    "GET status/{id}": Row("read", 403),
    "POST status/{id}": Row("read", 403),
    "GET stream/{id}": Row("read", 403),
    "POST stream/{id}": Row("read", 403),
    "POST cancel/{id}": Row("submit", 403),
    "POST retry/{id}": Row("submit", 403),
    "POST purge-queue": Row("submit", 403),
    "GET health": Row("read", 403),
    "GET requests": Row("read", 403),
    "GET job-take/{worker}": Row("worker", 403),
    "GET job-take-batch/{worker}": Row("worker", 403),
    "POST job-done/{worker}/{id}": Row("worker", 403, {}),
    "POST job-stream/{worker}/{id}": Row("worker", 403, {}),
    "GET job-stop/{worker}": Row("worker", 403),
    "GET ping/{worker}": Row("worker", 403),
}

# Under /v1/endpoints/NAME/lambda/WORKER.
LAMBDA_RUNTIME: Mapping[str, Row] = {
    "GET /2018-06-01/runtime/invocation/next": Row("worker", 403),
    "POST /2018-06-01/runtime/init/error": Row("worker", 403, {}),
    "POST /2018-06-01/runtime/invocation/{id}/response": Row("worker", 403, {}),
    "POST /2018-06-01/runtime/invocation/{id}/error": Row("worker", 403, {}),
    "GET /stops": Row("worker", 403),
    "POST /ping": Row("worker", 403),
}

STUDIO: Mapping[str, Row] = {
    "GET /": Row("read", 403),
    "GET /health": Row("read", 403),
    "GET /jobs": Row("read", 403),
    "POST /inference": Row("submit", 403, {}),
    "GET /inference/status/{id}": Row("read", 403),
    "GET /inference/result/{id}": Row("read", 403),
    "POST /train": Row("submit", 403, {}),
    "GET /training/status/{id}": Row("read", 403),
}

COG: Mapping[str, Row] = {
    "GET /": Row("read", 403),
    "GET /health-check": Row("read", 403),
    "GET /openapi.json": Row("read", 403),
    "GET /docs": Row("read", 403),
    "POST /shutdown": Row("admin", 403),
    "POST /predictions": Row("submit", 403, {}),
    "PUT /predictions/{id}": Row("submit", 403, {}),
    "GET /predictions/{id}": Row("read", 403),
    "POST /predictions/{id}/cancel": Row("submit", 403),
    "POST /trainings": Row("submit", 403, {}),
    "PUT /trainings/{id}": Row("submit", 403, {}),
    "GET /trainings/{id}": Row("read", 403),
    "POST /trainings/{id}/cancel": Row("submit", 403),
}

_TAGGED = {"ResourceArn": ARN}
_VARIANT = {"VariantName": "AllTraffic", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
SAGEMAKER: Mapping[str, Row] = {
    "CreateModel": Row("deploy", 403, {"ModelName": "m", "PrimaryContainer": {"ModelDataUrl": f"s3://{BUCKET}/m"}}),
    "DescribeModel": Row("read deploy", 400, {"ModelName": "made-by-root"}),
    "DeleteModel": Row("deploy", 400, {"ModelName": "made-by-root"}),
    "ListModels": Row("read deploy", 200, {}),
    "CreateEndpointConfig": Row("deploy", 400, {"EndpointConfigName": "c", "ProductionVariants": [_VARIANT]}),
    "DescribeEndpointConfig": Row("read deploy", 400, {"EndpointConfigName": "{name}"}),
    "DeleteEndpointConfig": Row("deploy", 400, {"EndpointConfigName": "{name}"}),
    "ListEndpointConfigs": Row("read deploy", 200, {}),
    "CreateEndpoint": Row("deploy", 403, {"EndpointName": "{name}", "EndpointConfigName": "c"}),
    "DescribeEndpoint": Row("read deploy", 403, {"EndpointName": "{name}"}),
    "UpdateEndpoint": Row("deploy", 403, {"EndpointName": "{name}", "EndpointConfigName": "c"}),
    "UpdateEndpointWeightsAndCapacities": Row(
        "deploy", 403, {"EndpointName": "{name}", "DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic"}]}
    ),
    "DeleteEndpoint": Row("deploy", 403, {"EndpointName": "{name}"}),
    "ListEndpoints": Row("read deploy", 200, {}),
    "AddTags": Row("deploy", 403, {**_TAGGED, "Tags": [{"Key": "k", "Value": "v"}]}),
    "DeleteTags": Row("deploy", 403, {**_TAGGED, "TagKeys": ["k"]}),
    "ListTags": Row("read deploy", 403, _TAGGED),
}

_GROUP = "/aws/sagemaker/Endpoints/{name}"
LOGS: Mapping[str, Row] = {
    "DescribeLogGroups": Row("read", 200, {}),
    "DescribeLogStreams": Row("read", 403, {"logGroupName": _GROUP}),
    "FilterLogEvents": Row("read", 403, {"logGroupName": _GROUP}),
    "GetLogEvents": Row("read", 403, {"logGroupName": _GROUP, "logStreamName": "s"}),
}

_VARIANT_ID = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/{name}/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
AUTOSCALING: Mapping[str, Row] = {
    "RegisterScalableTarget": Row("deploy", 403, {**_VARIANT_ID, "MinCapacity": 0, "MaxCapacity": 1}),
    "DeregisterScalableTarget": Row("deploy", 403, _VARIANT_ID),
    "DescribeScalableTargets": Row("read deploy", 200, {"ServiceNamespace": "sagemaker"}),
    "PutScalingPolicy": Row(
        "deploy",
        403,
        {
            **_VARIANT_ID,
            "PolicyName": "p",
            "PolicyType": "StepScaling",
            "StepScalingPolicyConfiguration": {
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            },
        },
    ),
    "DeleteScalingPolicy": Row("deploy", 403, {**_VARIANT_ID, "PolicyName": "p"}),
    "DescribeScalingPolicies": Row("read deploy", 200, {"ServiceNamespace": "sagemaker"}),
    "DescribeScalingActivities": Row("read deploy", 200, {"ServiceNamespace": "sagemaker"}),
    "DescribeScheduledActions": Row("read deploy", 200, {"ServiceNamespace": "sagemaker"}),
}

_METRIC = {
    "Namespace": "AWS/SageMaker",
    "MetricName": "ApproximateBacklogSize",
    "Dimensions": [{"Name": "EndpointName", "Value": "{name}"}],
}
_SPAN = {"StartTime": 1_700_000_000, "EndTime": 1_700_000_600}
_ALARM = {"AlarmName": "a", "EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 1}
_QUERY = {"Id": "m", "MetricStat": {"Metric": _METRIC, "Period": 60, "Stat": "Sum"}}
CLOUDWATCH: Mapping[str, Row] = {
    "ListMetrics": Row("read deploy", 200, {}),
    "GetMetricStatistics": Row("read deploy", 403, {**_METRIC, **_SPAN, "Period": 60, "Statistics": ["Sum"]}),
    "GetMetricData": Row("read deploy", 403, {**_SPAN, "MetricDataQueries": [_QUERY]}),
    "PutMetricData": Row("deploy", 403, {"Namespace": "Own", "MetricData": [{"MetricName": "m", "Value": 1}]}),
    "PutMetricAlarm": Row("deploy", 403, {**_ALARM, **_METRIC, "Period": 60, "Statistic": "Sum"}),
    "DescribeAlarms": Row("read deploy", 200, {}),
    "DescribeAlarmsForMetric": Row("read deploy", 200, _METRIC),
    "DescribeAlarmHistory": Row("read deploy", 200, {}),
    "DeleteAlarms": Row("deploy", 404, {"AlarmNames": ["{alarm}"]}),
    "EnableAlarmActions": Row("deploy", 404, {"AlarmNames": ["{alarm}"]}),
    "DisableAlarmActions": Row("deploy", 404, {"AlarmNames": ["{alarm}"]}),
    "SetAlarmState": Row("deploy", 404, {"AlarmName": "{alarm}", "StateValue": "OK", "StateReason": "r"}),
}

# Forms of the Query protocol.
STS: Mapping[str, Row] = {"GetCallerIdentity": Row("submit read deploy worker admin", 200, {})}
_TOPIC = {"TopicArn": "arn:aws:sns:us-east-1:000000000000:t"}
_SUBSCRIPTION = {"SubscriptionArn": "arn:aws:sns:us-east-1:000000000000:t:00000000-0000-0000-0000-000000000000"}
# Messages tell of jobs of any endpoint, so topics are for who reaches everything.
SNS: Mapping[str, Row] = {
    "ConfirmSubscription": Row("deploy", 403, {**_TOPIC, "Token": "t"}),
    "CreateTopic": Row("deploy", 403, {"Name": "t"}),
    "DeleteTopic": Row("deploy", 403, _TOPIC),
    "GetSubscriptionAttributes": Row("read", 403, _SUBSCRIPTION),
    "GetTopicAttributes": Row("read", 403, _TOPIC),
    "ListSubscriptions": Row("read", 403, {}),
    "ListSubscriptionsByTopic": Row("read", 403, _TOPIC),
    "ListTopics": Row("read", 403, {}),
    "Publish": Row("submit deploy", 403, {**_TOPIC, "Message": "m"}),
    "PublishBatch": Row(
        "submit deploy",
        403,
        {**_TOPIC, "PublishBatchRequestEntries.member.1.Id": "a", "PublishBatchRequestEntries.member.1.Message": "m"},
    ),
    "SetSubscriptionAttributes": Row("deploy", 403, {**_SUBSCRIPTION, "AttributeName": "RawMessageDelivery"}),
    "SetTopicAttributes": Row("deploy", 403, {**_TOPIC, "AttributeName": "DisplayName"}),
    "Subscribe": Row("deploy", 403, {**_TOPIC, "Protocol": "https", "Endpoint": "https://example.org/"}),
    "Unsubscribe": Row("deploy", 403, _SUBSCRIPTION),
}

# Under /2015-03-31/functions.
_F = "/2015-03-31/functions"
_L = "/2018-10-31/layers/tools/versions"
LAMBDA: Mapping[str, Row] = {
    f"Invoke POST {_F}/{{name}}/invocations": Row("submit", 403, {}),
    f"GetFunction GET {_F}/{{name}}": Row("read deploy", 403),
    f"GetFunctionConfiguration GET {_F}/{{name}}/configuration": Row("read deploy", 403),
    f"ListFunctions GET {_F}": Row("read deploy", 200),
    f"CreateFunction POST {_F}": Row("deploy", 403, {"FunctionName": "{name}", **FUNCTION}),
    f"UpdateFunctionCode PUT {_F}/{{name}}/code": Row("deploy", 403, {}),
    f"UpdateFunctionConfiguration PUT {_F}/{{name}}/configuration": Row("deploy", 403, {}),
    f"DeleteFunction DELETE {_F}/{{name}}": Row("deploy", 403),
    f"PublishLayerVersion POST {_L}": Row("deploy", 403, {"Content": {"ZipFile": ""}}),
    f"ListLayerVersions GET {_L}": Row("read deploy", 403),
    f"GetLayerVersion GET {_L}/1": Row("read deploy", 403),
    f"DeleteLayerVersion DELETE {_L}/1": Row("deploy", 403),
}

RUNTIME: Mapping[str, Row] = {
    "InvokeEndpoint POST /endpoints/{name}/invocations": Row("submit", 403, {}),
    "InvokeEndpointAsync POST /endpoints/{name}/async-invocations": Row("submit", 403, {}),
}

_LOOK, _CHANGE = "read", "submit deploy"
_COPY = {"x-amz-copy-source": "{bucket}/marker"}
S3: Mapping[str, Row] = {
    "ListBuckets GET /": Row(_LOOK, 200),
    "CreateBucket PUT /{bucket}": Row("deploy", 403),
    "HeadBucket HEAD /{bucket}": Row(_LOOK, 403),
    "DeleteBucket DELETE /{bucket}": Row("deploy", 403),
    "GetBucketLocation GET /{bucket}?location": Row(_LOOK, 403),
    "GetBucketVersioning GET /{bucket}?versioning": Row(_LOOK, 403),
    "GetBucketAcl GET /{bucket}?acl": Row(_LOOK, 403),
    "GetBucketTagging GET /{bucket}?tagging": Row(_LOOK, 403),
    "GetBucketNotificationConfiguration GET /{bucket}?notification": Row("read deploy", 403),
    "PutBucketNotificationConfiguration PUT /{bucket}?notification": Row("deploy", 403),
    "ListObjects GET /{bucket}?list-type=2": Row(_LOOK, 403),
    "ListMultipartUploads GET /{bucket}?uploads": Row(_LOOK, 403),
    "DeleteObjects POST /{bucket}?delete": Row(_CHANGE, 403),
    "PutObject PUT /{bucket}/new": Row(_CHANGE, 403),
    "CopyObject PUT /{bucket}/copy": Row("submit+read", 403, None, _COPY),
    "GetObject GET /{bucket}/marker": Row(_LOOK, 403),
    "HeadObject HEAD /{bucket}/marker": Row(_LOOK, 403),
    "DeleteObject DELETE /{bucket}/marker": Row(_CHANGE, 403),
    "GetObjectAcl GET /{bucket}/marker?acl": Row(_LOOK, 403),
    "GetObjectTagging GET /{bucket}/marker?tagging": Row(_LOOK, 403),
    "CreateMultipartUpload POST /{bucket}/new?uploads": Row(_CHANGE, 403),
    "UploadPart PUT /{bucket}/new?partNumber=1&uploadId=u": Row(_CHANGE, 403),
    "UploadPartCopy PUT /{bucket}/new?partNumber=1&uploadId=v": Row("submit+read", 403, None, _COPY),
    "ListParts GET /{bucket}/new?uploadId=u": Row("read submit deploy", 403),
    "CompleteMultipartUpload POST /{bucket}/new?uploadId=u": Row(_CHANGE, 403),
    "AbortMultipartUpload DELETE /{bucket}/new?uploadId=u": Row(_CHANGE, 403),
}


async def trigger(services: Services) -> str:
    """A trigger of the endpoint on its bucket; its id."""
    made = Trigger("t" * 32, "000000000000", BUCKET, TriggerKind.ENDPOINT, MINE, Origin.SETTING, "of-harbour", 1)
    assert await services.triggers.add(made)
    return made.id

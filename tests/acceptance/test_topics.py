"""Topics with an unmodified boto3: a receiver confirms, gets signed envelopes, and leaves."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate
from tests import forks
from tests.acceptance.test_webhooks import Receiver

SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def verified(body: bytes) -> dict[str, Any]:
    """The envelope, once its signature was checked as AWS's guide says."""
    envelope: dict[str, Any] = json.loads(body)
    certificate = load_pem_x509_certificate(httpx.get(envelope["SigningCertURL"]).content)
    names = [name for name in SIGNED[envelope["Type"]] if name in envelope]
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in names).encode()
    digest = SHA1() if envelope["SignatureVersion"] == "1" else SHA256()
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(envelope["Signature"]), signed, PKCS1v15(), digest)
    return envelope


def confirmed(sns: Any, topic: str, receiver: Receiver, eventually: Callable[..., Any], **attributes: str) -> str:
    """Subscribe, and answer as a receiver does; the subscription's ARN."""
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url, Attributes=attributes)
    eventually(lambda: receiver.got)
    headers, body = receiver.got.pop()
    assert headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    answer = httpx.get(verified(body)["SubscribeURL"])
    assert answer.status_code == 200, answer.text
    (entry,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert entry["Endpoint"] == receiver.url
    return str(entry["SubscriptionArn"])


def test_a_subscriber_confirms_and_is_told_in_signed_envelopes(
    shared_server: Any, receiver: Receiver, eventually: Callable[..., Any]
) -> None:
    sns = shared_server.client("sns")
    topic = sns.create_topic(Name="words", Attributes={"SignatureVersion": "1"})["TopicArn"]
    assert sns.create_topic(Name="words")["TopicArn"] == topic
    assert topic in [one["TopicArn"] for one in sns.list_topics()["Topics"]]
    pending = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=receiver.url)
    assert pending["SubscriptionArn"] == "pending confirmation"
    sns.publish(TopicArn=topic, Message="nobody has confirmed yet")
    arn = confirmed(sns, topic, receiver, eventually)
    receiver.got.clear()

    message_id = sns.publish(
        TopicArn=topic, Message="ahoy\n<&> ü", Subject="a word",
        MessageAttributes={"kind": {"DataType": "String", "StringValue": "greeting"}},
    )["MessageId"]  # fmt: skip
    eventually(lambda: receiver.got)
    headers, body = receiver.got.pop()
    envelope = verified(body)
    assert (envelope["Type"], envelope["MessageId"], envelope["TopicArn"]) == ("Notification", message_id, topic)
    assert (envelope["Message"], envelope["Subject"]) == ("ahoy\n<&> ü", "a word")
    assert envelope["MessageAttributes"] == {"kind": {"Type": "String", "Value": "greeting"}}
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert headers["content-type"].startswith("text/plain")

    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue="2")
    sns.publish(TopicArn=topic, Message="again")
    eventually(lambda: receiver.got)
    envelope = verified(receiver.got.pop()[1])
    assert (envelope["SignatureVersion"], envelope["Message"]) == ("2", "again")

    assert httpx.get(envelope["UnsubscribeURL"] + "0").status_code == 404
    assert httpx.get(envelope["UnsubscribeURL"]).status_code == 200
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    sns.delete_topic(TopicArn=topic)
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.publish(TopicArn=topic, Message="into the void")


def test_a_raw_subscriber_gets_the_bare_message(
    shared_server: Any, receiver: Receiver, eventually: Callable[..., Any]
) -> None:
    sns = shared_server.client("sns")
    topic = sns.create_topic(Name="raw")["TopicArn"]
    arn = confirmed(sns, topic, receiver, eventually, RawMessageDelivery="true")
    told = sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert (told["RawMessageDelivery"], told["PendingConfirmation"]) == ("true", "false")
    sns.publish(TopicArn=topic, Message='{"a": 1}')
    eventually(lambda: receiver.got)
    headers, body = receiver.got.pop()
    assert (body, headers["x-amz-sns-rawdelivery"]) == (b'{"a": 1}', "true")
    batch = [{"Id": word, "Message": word} for word in ("one", "two")] + [{"Id": "bad", "Message": "x", "Subject": "ä"}]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=batch)
    assert [one["Id"] for one in answer["Successful"]] == ["one", "two"]
    assert [(one["Id"], one["Code"]) for one in answer["Failed"]] == [("bad", "InvalidParameter")]
    eventually(lambda: len(receiver.got) == 2)
    assert {body for _, body in receiver.got} == {b"one", b"two"}
    with pytest.raises(sns.exceptions.BatchEntryIdsNotDistinctException):
        sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=batch[:1] * 2)
    sns.unsubscribe(SubscriptionArn=arn)
    assert arn not in [one["SubscriptionArn"] for one in sns.list_subscriptions()["Subscriptions"]]


def test_what_is_not_offered_is_said(shared_server: Any) -> None:
    sns = shared_server.client("sns")
    topic = sns.create_topic(Name="refusals")["TopicArn"]

    def refused(call: Callable[..., Any], **request: Any) -> str:
        with pytest.raises(ClientError) as error:
            call(**request)
        assert error.value.response["Error"]["Code"] == "InvalidParameter"
        return str(error.value.response["Error"]["Message"])

    assert "http, https" in refused(sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:x:1:q")
    assert "link-local" in refused(sns.subscribe, TopicArn=topic, Protocol="http", Endpoint="http://169.254.169.254/")
    assert "FIFO" in refused(sns.create_topic, Name="words.fifo")
    assert "KmsMasterKeyId" in refused(sns.create_topic, Name="words", Attributes={"KmsMasterKeyId": "alias/x"})
    assert "262,144" in refused(sns.publish, TopicArn=topic, Message="x" * 262_145)


def asynchronous(server: Any, archive: Callable[[str], Any], topics: dict[str, Any], **tags: str) -> None:
    """An endpoint `told` of SageMaker's door, in service."""
    s3, sagemaker = server.client("s3"), server.client("sagemaker")
    s3.create_bucket(Bucket="told")
    s3.upload_file(str(archive("obedient")), "told", "model.tar.gz")
    container = {"Image": "any:1", "ModelDataUrl": "s3://told/model.tar.gz"}
    role = "arn:aws:iam::000000000000:role/SageMakerRole"
    sagemaker.create_model(ModelName="told", ExecutionRoleArn=role, PrimaryContainer=container)
    output = {"S3OutputPath": "s3://told/out", "S3FailurePath": "s3://told/failed", "NotificationConfig": topics}
    sagemaker.create_endpoint_config(
        EndpointConfigName="told",
        ProductionVariants=[{"VariantName": "AllTraffic", "ModelName": "told", "InitialInstanceCount": 1}],
        AsyncInferenceConfig={"OutputConfig": output},
    )
    tagged = [{"Key": f"seatrial:{name}", "Value": value} for name, value in tags.items()]
    sagemaker.create_endpoint(EndpointName="told", EndpointConfigName="told", Tags=tagged)
    waiting = {"Delay": 1, "MaxAttempts": 60}
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="told", WaiterConfig=waiting)
    described = sagemaker.describe_endpoint(EndpointName="told")["AsyncInferenceConfig"]["OutputConfig"]
    assert described["NotificationConfig"] == topics


def test_an_asynchronous_endpoint_tells_its_topics(
    shared_server: Any, receiver: Receiver, archive: Callable[[str], Any], eventually: Callable[..., Any]
) -> None:
    sns, s3 = shared_server.client("sns"), shared_server.client("s3")
    good, bad = (sns.create_topic(Name=name)["TopicArn"] for name in ("done", "failed"))
    named = {"SuccessTopic": good, "ErrorTopic": f"{bad}-unknown"}
    with pytest.raises(ClientError, match="There is no topic"):
        asynchronous(shared_server, archive, named)
    shared_server.client("sagemaker").delete_model(ModelName="told")
    shared_server.client("sagemaker").delete_endpoint_config(EndpointConfigName="told")
    inline = ["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]
    asynchronous(
        shared_server, archive, {"SuccessTopic": good, "ErrorTopic": bad, "IncludeInferenceResponseIn": inline}
    )
    for topic in (good, bad):
        confirmed(sns, topic, receiver, eventually)

    def told(code: str) -> dict[str, Any]:
        """What is said of a job that evaluates this."""
        s3.put_object(Bucket="told", Key="in.json", Body=json.dumps({"code": code}).encode())
        accepted = shared_server.client("sagemaker-runtime").invoke_endpoint_async(
            EndpointName="told", InputLocation="s3://told/in.json", ContentType="application/json", InferenceId="mine"
        )
        eventually(lambda: receiver.got)
        envelope = verified(receiver.got.pop()[1])
        message: dict[str, Any] = json.loads(envelope["Message"])
        assert (message["inferenceId"], message["eventName"]) == ("mine", "InferenceResult")
        assert message["requestParameters"]["inputLocation"] == "s3://told/in.json"
        assert message["requestParameters"]["endpointName"] == "told"
        place = accepted["OutputLocation" if message["invocationStatus"] == "Completed" else "FailureLocation"]
        assert message["responseParameters"]["outputLocation"] == place
        bucket, _, key = place.removeprefix("s3://").partition("/")
        there = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        assert json.loads(base64.b64decode(message["responseBody"]["content"])) == there
        return {**message, "topic": envelope["TopicArn"], "body": there}

    success = told("6 * 7")
    assert (success["invocationStatus"], success["topic"], success["body"]) == ("Completed", good, {"value": 42})
    failure = told("fail(OwnError('no light'))")
    assert (failure["invocationStatus"], failure["topic"]) == ("Failed", bad)
    assert failure["failureLocation"] == failure["responseParameters"]["outputLocation"]
    assert "no light" in failure["failureReason"]
    assert failure["body"]["error_type"] == "too_dark"


def test_the_receiver_to_test_with_confirms_and_understands(
    shared_server: Any, aws_command: Path, tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    """`aws sns` on the one side, `seatrial callbacks` on the other."""
    command = ["callbacks", "--port", 0, "--json", "--confirm-topics", "--folder", tmp_path / "got"]
    with forks.start(*command, stderr=None) as receiver:
        assert receiver.stdout is not None
        url = json.loads(receiver.stdout.readline())["url"]

        def sns(*arguments: str) -> str:
            told = subprocess.run(
                [aws_command, "sns", *arguments, "--output", "text"],
                env=shared_server.environment, capture_output=True, text=True, check=True,
            )  # fmt: skip
            return told.stdout.strip()

        try:
            topic = sns("create-topic", "--name", "shell")
            sns("subscribe", "--topic-arn", topic, "--protocol", "http", "--notification-endpoint", url)
            eventually(lambda: "PendingConfirmation" not in sns("list-subscriptions-by-topic", "--topic-arn", topic))
            sns("publish", "--topic-arn", topic, "--message", '{"inferenceId": "i1", "invocationStatus": "Completed"}')

            def told() -> Any:
                callbacks = httpx.get(f"{url}/callbacks").json()["callbacks"]
                return next((one for one in callbacks if one["job_id"] == "i1"), None)

            assert eventually(told)["status"] == "Completed"
        finally:
            receiver.send_signal(signal.SIGTERM)

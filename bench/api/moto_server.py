"""moto's server with Bedrock answers in AWS's shapes, so that the Go SDK can read them.

moto 5.2.1 sends dates and ARNs that AWS's SDKs refuse; the classes below correct exactly that and nothing else.
Run as: python moto_server.py PORT JOBS: it starts with that many jobs, as Cloister does.
"""

import hashlib
import re
import sys
from datetime import UTC, datetime

import moto.bedrock.models as models
from moto.server import main


def now():
    """Return the time as AWS writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Job(models.ModelCustomizationJob):
    """A job with AWS's ARN and dates, completed at once."""

    __module__ = "moto.bedrock.models"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        base = self.base_model_identifier.rsplit("/", 1)[-1]
        name = hashlib.sha256(self.job_name.encode()).hexdigest()[:12]
        self.job_arn = re.sub(
            "model-customization-job/.*", f"model-customization-job/{base}/{name}", self.job_arn
        )
        self.base_model_arn = f"arn:aws:bedrock:{self.region_name}::foundation-model/{base}"
        self.output_model_name = self.custom_model_name
        self.output_model_arn = self.job_arn.replace("model-customization-job", "custom-model")
        self.creation_time = self.last_modified_time = self.end_time = now()
        self.status, self.failure_message = "Completed", None
        self.output_model_kms_key_arn = self.custom_model_kms_key_id


class Model(models.CustomModel):
    """A custom model with AWS's ARN and date."""

    __module__ = "moto.bedrock.models"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.model_arn = self.job_arn.replace("model-customization-job", "custom-model")
        self.creation_time = now()


models.ModelCustomizationJob, models.CustomModel = Job, Model
backend = models.bedrock_backends["123456789012"]["us-east-1"]
for i in range(int(sys.argv[2])):
    backend.create_model_customization_job(
        job_name=f"job-{i:06d}",
        custom_model_name=f"model-{i:06d}",
        role_arn="arn:aws:iam::123456789012:role/bench",
        base_model_identifier="amazon.titan-text-lite-v1:0:4k",
        training_data_config={"s3Uri": "s3://bench-input/train.jsonl"},
        output_data_config={"s3Uri": "s3://bench-output/"},
        hyper_parameters={
            "batchSize": "1",
            "epochCount": "5",
            "learningRate": "0.00001",
            "learningRateWarmupSteps": "5",
        },
        client_request_token=None,
        customization_type="FINE_TUNING",
        custom_model_kms_key_id=None,
        job_tags=None,
        custom_model_tags=None,
        validation_data_config=None,
        vpc_config=None,
    )
main(["-H", "127.0.0.1", "-p", sys.argv[1]])

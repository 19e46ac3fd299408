"""moto's server, corrected as e2e/moto_aws.py says, with jobs in it.

Run as: python moto_server.py PORT JOBS: it starts with that many jobs, as Cloister does.
"""

import sys
from pathlib import Path

import moto.bedrock.models as models
from moto.server import main

sys.path.insert(0, str(Path(__file__).parents[2] / "e2e"))
import moto_aws  # found by the line above

moto_aws.correct()
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

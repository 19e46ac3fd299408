"""moto's server with Bedrock answers in AWS's shapes, so that the Go SDK can read them.

moto 5.2.1 sends dates and ARNs that AWS's SDKs refuse, puts an invented KMS key on every job, finds neither jobs nor
models by their ARNs, and tells the tags of everything to whoever asks for those of a few. What follows corrects exactly
that and nothing else: what moto does not serve stays unserved.
It is for tests and benchmarks. Cloister itself never learns to read moto's own form.

Run as: python moto_aws.py. It prints "ready URL" and serves until it is killed.
"""

import hashlib
import json
import re
import sys
from datetime import UTC, datetime

import moto.bedrock.models as models
import moto.resourcegroupstaggingapi.responses as tagging
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


def now():
    """Return the time as AWS writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Job(models.ModelCustomizationJob):
    """A job with AWS's ARN and dates, completed at once, with a key only if one was asked for."""

    __module__ = "moto.bedrock.models"  # by which moto finds its backends

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        base = self.base_model_identifier.rsplit("/", 1)[-1]
        name = hashlib.sha256(self.job_name.encode()).hexdigest()[:12]
        self.job_arn = re.sub("model-customization-job/.*", f"model-customization-job/{base}/{name}", self.job_arn)
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


def by_id(original, things, arn):
    """Return a look-up that finds what is in the backend's things by the id at the end of its ARN, too.

    AWS takes a name or an ARN; of an ARN moto keeps only what follows the last slash.
    """

    def find(backend, *args, **named):
        (identifier,) = args or named.values()
        for thing in getattr(backend, things).values():
            if getattr(thing, arn).endswith("/" + identifier):
                return thing
        return original(backend, identifier)

    return find


def of_list(original):
    """Return GetResources that answers for what is in ResourceARNList alone, if there is one."""

    def get_resources(response):
        answer = json.loads(original(response))
        if arns := response._get_param("ResourceARNList"):
            answer["ResourceTagMappingList"] = [m for m in answer["ResourceTagMappingList"] if m["ResourceARN"] in arns]
        return json.dumps(answer)

    return get_resources


def correct():
    """Put what is corrected in the place of moto's own."""
    models.ModelCustomizationJob, models.CustomModel = Job, Model
    backend = models.BedrockBackend
    backend.get_model_customization_job = by_id(
        backend.get_model_customization_job, "model_customization_jobs", "job_arn"
    )
    backend.get_custom_model = by_id(backend.get_custom_model, "custom_models", "model_arn")
    response = tagging.ResourceGroupsTaggingAPIResponse
    response.get_resources = of_list(response.get_resources)


def main():
    """Serve on a free port."""
    correct()
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    sys.stdout.write(f"ready http://127.0.0.1:{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Write testdata/vectors: requests signed by botocore, in the layout of AWS's own suite.

Needs botocore 1.43.11. Run it in this directory; it prints nothing and always writes the same bytes.
"""

import datetime
import json
import pathlib
import unittest.mock

import botocore.auth
import botocore.awsrequest
import botocore.credentials

KEY, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)
ARN = "arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Amodel-customization-job%2Famazon.titan-text-lite-v1%3A0%3A4k%2Fabcdabcdabcd"

CASES = {
    "bedrock-arn-label": ("bedrock", "GET", f"/model-customization-jobs/{ARN}", "", {}, "", None),
    "bedrock-query": ("bedrock", "GET", "/custom-models", "creationTimeAfter=2024-01-01T00%3A00%3A00Z&maxResults=5", {}, "", None),
    "kms-json": ("kms", "POST", "/", "", {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.ListKeys"}, "{}", None),
    "sts-token": ("sts", "POST", "/", "", {"Content-Type": "application/x-www-form-urlencoded"}, "Action=GetCallerIdentity&Version=2011-06-15", "the/token+="),
    "s3-key": ("s3", "GET", "/bucket/a//b/../c%20d%2B%25%C3%A9", "x-id=GetObject&partNumber=1", {}, "", None),
    "s3-put": ("s3", "PUT", "/bucket/key", "", {"Content-Type": "text/plain", "x-amz-meta-two": "a   b"}, "some data", None),
}


def write(name, service, method, path, query, headers, body, token):
    url = "https://localhost:8700" + path + ("?" + query if query else "")
    request = botocore.awsrequest.AWSRequest(method=method, url=url, data=body.encode(), headers=headers)
    credentials = botocore.credentials.Credentials(KEY, SECRET, token)
    signer = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    if service == "s3":
        request.context["payload_signing_enabled"] = True
    with unittest.mock.patch("botocore.auth.get_current_datetime", return_value=NOW):
        signer(credentials, service, "us-east-1").add_auth(request)
    context = {
        "credentials": {"access_key_id": KEY, "secret_access_key": SECRET, **({"token": token} if token else {})},
        "normalize": service != "s3", "service": service, "timestamp": NOW.isoformat() + "Z",
    }
    lines = [f"{method} {path}{'?' + query if query else ''} HTTP/1.1", "Host:localhost:8700"]
    lines += [f"{k}:{v}" for k, v in sorted(request.headers.items())]
    folder = pathlib.Path("testdata/vectors") / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "context.json").write_text(json.dumps(context, indent=2) + "\n")
    (folder / "header-signed-request.txt").write_text("\n".join(lines) + "\n\n" + body)


for case, arguments in CASES.items():
    write(case, *arguments)

"""Makes MLflow's bucket in the object store that AWS_ENDPOINT_URL_S3 names, where there is none yet."""

import boto3
from botocore.exceptions import ClientError

NAME = "mlflow"

store = boto3.client("s3")
try:
    store.head_bucket(Bucket=NAME)
except ClientError as error:
    if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
        raise
    store.create_bucket(Bucket=NAME)

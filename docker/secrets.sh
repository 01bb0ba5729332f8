#!/usr/bin/env bash
# Makes the secrets of compose.yaml in docker/secrets/ and the settings in docker/.env. What is there stays as it is.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
mkdir -p secrets # for its owner only: inside, files may be open, because each container reads them as another user

random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

secret() { # NAME, content from standard input
    local content
    content=$(cat)
    [ -e "secrets/$1" ] && return
    printf '%s\n' "$content" > "secrets/.$1.new"
    chmod 0444 "secrets/.$1.new"
    mv "secrets/.$1.new" "secrets/$1"
}

secret postgres_password <<< "$(random)"
secret postgres_service << END
[mlflow]
host=postgres
dbname=mlflow
user=mlflow
password=$(cat secrets/postgres_password)
END
secret pgpass <<< "127.0.0.1:*:mlflow:mlflow:$(cat secrets/postgres_password)"
chmod 0600 secrets/pgpass # libpq reads no password from a file that others may read
[ -e secrets/s3_credentials ] || s3_key=$(random)
secret s3_credentials << END
[default]
aws_access_key_id = mlflow
aws_secret_access_key = ${s3_key:-}
END
s3_key=$(sed -n 's/^aws_secret_access_key = //p' secrets/s3_credentials)
secret s3_config << END
{"identities": [{"name": "mlflow", "credentials": [{"accessKey": "mlflow", "secretKey": "$s3_key"}], "actions": ["Admin"]}]}
END
secret grafana_password <<< "$(random)"

# MLflow's first user, who makes the others. The password counts at the first start; the user changes it in MLflow.
secret mlflow_password <<< "$(random)"
secret mlflow_auth << END
[mlflow]
default_permission = READ
database_uri = postgresql+psycopg2:///?service=mlflow
admin_username = admin
admin_password = $(cat secrets/mlflow_password)
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
END
secret mlflow_environment <<< "MLFLOW_FLASK_SERVER_SECRET_KEY=$(random)"

# The server's keys: one that Prometheus scrapes with, one for people. The server keeps their hashes.
secret metrics_key <<< "wl_prometheus_$(random)"
secret operator_key <<< "wl_operator_$(random)"
digest() { tr -d '\n' < "secrets/$1" | sha256sum | cut -d ' ' -f 1; }
secret wattline_api_keys << END
- {id: prometheus, sha256: $(digest metrics_key), roles: [audit]}
- {id: operator, sha256: $(digest operator_key), roles: [audit, feedback, operate, predict]}
END
chmod 0640 secrets/wattline_api_keys # the server refuses a file that is open to everyone; it gets this file's group

touch .env
grep -q '^SECRETS_GID=' .env || echo "SECRETS_GID=$(id -g)" >> .env

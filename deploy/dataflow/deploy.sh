#!/usr/bin/env bash
# Builds the images and the Flex Template, and schedules it every night. Needs docker and gcloud,
# and a bucket. The scheduler's service account needs roles/dataflow.developer and
# roles/iam.serviceAccountUser on the workers' account.
set -euo pipefail

: "${PROJECT:?}" "${REGION:?}" "${BUCKET:?the name of a bucket}" "${REGISTRY:?}" "${SCHEDULER_ACCOUNT:?}"
here=$(cd "$(dirname "$0")" && pwd)
template=gs://$BUCKET/templates/beamcap.json

docker build --tag "$REGISTRY/beamcap" "$here/../.."
docker build --tag "$REGISTRY/beamcap-launcher" --build-arg "WORKER=$REGISTRY/beamcap" \
    --file "$here/Dockerfile" "$here"
docker push "$REGISTRY/beamcap"
docker push "$REGISTRY/beamcap-launcher"

gcloud dataflow flex-template build "$template" \
    --project="$PROJECT" \
    --image="$REGISTRY/beamcap-launcher" \
    --sdk-language=PYTHON \
    --metadata-file="$here/metadata.json"

body=$(mktemp)
trap 'rm -f "$body"' EXIT
sed -e "s|PROJECT|$PROJECT|g" -e "s|BUCKET|$BUCKET|g" -e "s|REGISTRY|$REGISTRY|g" \
    "$here/request.json" >"$body"

# The body's job name stays the same, and Dataflow refuses a second job of a name that is at work.
action=create
gcloud scheduler jobs describe beamcap-caption --project="$PROJECT" --location="$REGION" \
    >/dev/null 2>&1 && action=update
gcloud scheduler jobs "$action" http beamcap-caption \
    --project="$PROJECT" \
    --location="$REGION" \
    --schedule="15 2 * * *" \
    --time-zone=Etc/UTC \
    --uri="https://dataflow.googleapis.com/v1b3/projects/$PROJECT/locations/$REGION/flexTemplates:launch" \
    --http-method=POST \
    --message-body-from-file="$body" \
    --oauth-service-account-email="$SCHEDULER_ACCOUNT"

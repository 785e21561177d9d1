#!/usr/bin/env bash
# Captions what is new, appends to a log, and prints only where somebody must look: cron mails
# what a job prints. Ends with the job's status: 0 done, 1 failed, 2 wrong usage, 3 done but with
# too many rejects.
set -uo pipefail

settings=${1:?usage: nightly.sh <settings file>}
# shellcheck disable=SC1090
source "$settings" || exit 2

cd "$BEAMCAP_HOME" || exit 2
mkdir -p "$(dirname "$BEAMCAP_LOG")" || exit 1
ran=$(mktemp) || exit 1
trap 'rm -f "$ran"' EXIT

.venv/bin/python -m pipeline.caption \
    --images="$BEAMCAP_IMAGES" \
    --captioner="$BEAMCAP_CAPTIONER" \
    --output="$BEAMCAP_OUTPUT" \
    --wait_for_lock=3600 \
    --retain=7 \
    --max_reject_fraction=0.05 \
    --metrics_file="$BEAMCAP_METRICS" \
    >"$ran" 2>&1
status=$?

{ date -u '+== %Y-%m-%dT%H:%M:%SZ'; cat "$ran"; echo "== status $status"; } >>"$BEAMCAP_LOG"
if [ "$status" -ne 0 ]; then
    echo "beamcap: captioning $BEAMCAP_IMAGES ended with status $status:"
    tail -n 20 "$ran"
    echo "What a status means and how to recover: $BEAMCAP_HOME/docs/operations.md"
fi
exit "$status"

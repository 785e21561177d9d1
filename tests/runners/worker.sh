#!/bin/sh
# Starts a Python worker of Beam outside a container, as a process of its own.
# WORKER_BOOT is Beam's `boot`, WORKER_PYTHON the interpreter that has the jobs installed.
set -eu
PATH=$(dirname "$WORKER_PYTHON"):$PATH
export PATH RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1

# boot writes its options into the working folder, which workers must therefore not share.
folder=$(mktemp -d "${TMPDIR:-/tmp}/beam-worker.XXXXXX")
cd "$folder"

# Prism puts quotes into a worker's name and then waits for ever for a worker of another name.
for argument; do
    shift
    set -- "$@" "$(printf %s "$argument" | tr -d \')"
done
exec "$WORKER_BOOT" "$@" --semi_persist_dir="$folder"

"""The files of deploy/: each is well formed, and says only what the job and its host know."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import caption
from pipeline.common import options as flags

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CRON_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
SCHEDULE = re.compile(r'--schedule="([^"]+)"')


def parsed(arguments: list[str]) -> tuple[Any, Any]:
    """Return the job's options and Beam's; a flag that neither knows is an error."""
    return flags.parse(caption.build_parser(), arguments)


def check_schedule(expression: str) -> None:
    """Fail unless five fields of cron are in their ranges."""
    fields = expression.split()
    assert len(fields) == len(CRON_FIELDS)
    for field, (low, high) in zip(fields, CRON_FIELDS, strict=True):
        for part in field.split(","):
            match = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/[1-9]\d*)?", part)
            assert match, part
            assert all(low <= int(number) <= high for number in match.groups() if number)


def test_the_crontab_calls_the_wrapper_every_night() -> None:
    lines = (DEPLOY / "cron" / "beamcap.crontab").read_text().splitlines()
    settings = [line for line in lines if re.fullmatch(r"[A-Z]+=\S+", line)]
    (job,) = [line for line in lines if line and not line.startswith("#") and line not in settings]
    *schedule, user, program, settings_file = job.split()
    check_schedule(" ".join(schedule))
    assert user == "beamcap"
    script = ROOT / program.removeprefix("/opt/beamcap/")
    assert script.is_file() and os.access(script, os.X_OK)
    assert settings_file == "/etc/beamcap.env"
    assert "%" not in job  # cron makes a line break of it


@pytest.fixture
def nightly(tmp_path: Path) -> list[str]:
    """The wrapper with settings of its own; its python notes its arguments and obeys STATUS."""
    python = tmp_path / "home" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f'#!/bin/bash\nprintf "%s\\n" "$@" >{tmp_path}/seen\necho said; exit $STATUS\n'
    )
    python.chmod(0o755)
    settings = (DEPLOY / "cron" / "beamcap.env").read_text()
    settings = settings.replace("=/opt/beamcap", f"={tmp_path}/home")
    settings = re.sub(r"=/(srv|var)/", rf"={tmp_path}/\1/", settings)
    (tmp_path / "env").write_text(settings)
    return [str(DEPLOY / "cron" / "nightly.sh"), str(tmp_path / "env")]


@pytest.mark.parametrize("status", [0, 1, 2, 3])
def test_the_wrapper_ends_as_its_job_and_speaks_only_of_trouble(
    nightly: list[str], tmp_path: Path, status: int
) -> None:
    environment = {**os.environ, "STATUS": str(status)}
    done = subprocess.run(nightly, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    assert bool(done.stdout) == (status != 0)
    if status:
        assert f"ended with status {status}:\nsaid\n" in done.stdout
    log = (tmp_path / "var/log/beamcap/nightly.log").read_text()
    assert re.fullmatch(rf"== \S+Z\nsaid\n== status {status}\n", log)
    module, *arguments = (tmp_path / "seen").read_text().split("\n")[1:-1]
    assert module == "pipeline.caption"
    options, _ = parsed(arguments)
    assert options.output == f"{tmp_path}/srv/captions"
    assert options.images == [f"{tmp_path}/srv/photos"]
    assert options.captioner == [f"{tmp_path}/srv/captioner"]
    assert options.metrics_file == f"{tmp_path}/var/lib/node_exporter/textfile/beamcap.prom"
    assert options.wait_for_lock > 0 and options.retain > 1 and options.max_reject_fraction < 1


def test_the_wrapper_without_settings_is_wrong_usage(tmp_path: Path) -> None:
    script = str(DEPLOY / "cron" / "nightly.sh")
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "usage: nightly.sh" in done.stderr
    done = subprocess.run([script, str(tmp_path / "none")], capture_output=True, check=False)
    assert done.returncode == 2


# Fields of the Kubernetes API reference, batch/v1 CronJob and core/v1 Pod, that may be used here.
KUBERNETES = {
    "": "apiVersion kind metadata spec",
    "spec": "schedule timeZone concurrencyPolicy startingDeadlineSeconds suspend jobTemplate"
    " successfulJobsHistoryLimit failedJobsHistoryLimit",
    "spec.jobTemplate": "metadata spec",
    "spec.jobTemplate.spec": "backoffLimit activeDeadlineSeconds podFailurePolicy template"
    " parallelism completions completionMode ttlSecondsAfterFinished",
    "spec.jobTemplate.spec.template": "metadata spec",
    "spec.jobTemplate.spec.template.spec": "restartPolicy terminationGracePeriodSeconds containers"
    " securityContext volumes serviceAccountName nodeSelector tolerations initContainers",
}
CONTAINER = "name image command args env resources securityContext volumeMounts workingDir"


def test_the_cron_job_of_kubernetes_is_one_and_runs_the_job() -> None:
    manifest = yaml.safe_load((DEPLOY / "kubernetes" / "cronjob.yaml").read_text())
    for path, known in KUBERNETES.items():
        part = manifest
        for name in filter(None, path.split(".")):
            part = part[name]
        assert set(part) <= set(known.split()), path
    assert (manifest["apiVersion"], manifest["kind"]) == ("batch/v1", "CronJob")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?", manifest["metadata"]["name"])
    spec = manifest["spec"]
    check_schedule(spec["schedule"])
    assert spec["concurrencyPolicy"] == "Forbid"
    job = spec["jobTemplate"]["spec"]
    pod = job["template"]["spec"]
    # What Kubernetes asks of a pod failure policy.
    assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    assert set(container) <= set(CONTAINER.split())
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert rule["onExitCodes"]["values"] == sorted(rule["onExitCodes"]["values"]) == [2, 3]
    for kind in container["resources"].values():
        for quantity in kind.values():
            assert re.fullmatch(r"\d+(m|[KMGT]i)?", str(quantity))
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == volumes
    assert container["command"] == ["python", "-m", "pipeline.caption"]
    options, _ = parsed(container["args"])
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    emptied = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    for kept in (options.output, environment["BEAMCAP_CACHE"]):
        mount = mounts["/" + kept.split("/")[1]]
        assert not mount.get("readOnly") and mount["name"] not in emptied
    assert not environment["BEAMCAP_CACHE"].startswith(options.output)
    assert mounts[options.images[0]]["readOnly"] and mounts[options.captioner[0]]["readOnly"]


# Fields of Dataflow's API reference: FlexTemplateRuntimeEnvironment, and of the templates' guide.
ENVIRONMENT = (
    "numWorkers maxWorkers serviceAccountEmail tempLocation machineType additionalExperiments"
    " network subnetwork additionalUserLabels kmsKeyName ipConfiguration workerRegion workerZone"
    " stagingLocation sdkContainerImage diskSizeGb launcherMachineType additionalPipelineOptions"
)
PARAMETER = "name label helpText isOptional regexes paramType"
PARAMETER_TYPES = "TEXT GCS_READ_FILE GCS_READ_FOLDER GCS_WRITE_FILE GCS_WRITE_FOLDER"


def template() -> dict[str, Any]:
    return json.loads((DEPLOY / "dataflow" / "metadata.json").read_text())


def request_body() -> dict[str, Any]:
    text = (DEPLOY / "dataflow" / "request.json").read_text()
    return json.loads(text.replace("BUCKET", "b"))["launchParameter"]


def test_the_flex_template_offers_flags_that_the_job_has() -> None:
    metadata = template()
    assert set(metadata) <= {"name", "description", "streaming", "parameters"}
    known = caption.build_parser().flags()
    names = [parameter["name"] for parameter in metadata["parameters"]]
    assert len(set(names)) == len(names)
    for parameter in metadata["parameters"]:
        assert {"name", "label", "helpText"} <= set(parameter) <= set(PARAMETER.split())
        assert f"--{parameter['name']}" in known
        assert parameter.get("paramType", "TEXT") in PARAMETER_TYPES.split()
        for regex in parameter["regexes"]:
            assert regex == f"^{regex[1:-1]}$" and re.compile(regex)


def test_the_scheduled_request_fits_the_template_and_the_job() -> None:
    body = request_body()
    assert set(body) == {"jobName", "containerSpecGcsPath", "parameters", "environment"}
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", body["jobName"])
    assert set(body["environment"]) <= set(ENVIRONMENT.split())
    offered = {parameter["name"]: parameter for parameter in template()["parameters"]}
    given = body["parameters"]
    assert set(given) <= set(offered)
    assert {n for n, parameter in offered.items() if not parameter.get("isOptional")} <= set(given)
    for name, value in given.items():
        assert all(re.fullmatch(regex, value) for regex in offered[name]["regexes"])
    # What the launcher adds to the template's parameters.
    added = ["--runner=DataflowRunner", "--project=p", "--region=r", "--job_name=beamcap-caption"]
    added += ["--template_location=gs://b/job_object", "--temp_location=gs://b/tmp"]
    added += ["--sdk_container_image=i", "--experiments=use_runner_v2", "--max_num_workers=8"]
    options, beam = parsed([*(f"--{name}={value}" for name, value in given.items()), *added])
    assert options.output == "gs://b/captions"
    assert beam.get_all_options()["template_location"] == "gs://b/job_object"


def test_the_launcher_runs_the_job() -> None:
    shown = subprocess.run(
        [sys.executable, DEPLOY / "dataflow" / "launch.py", "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--recaption" in shown.stdout
    dockerfile = (DEPLOY / "dataflow" / "Dockerfile").read_text()
    worker = (ROOT / "Dockerfile").read_text()
    (python,) = re.findall(r"python(\d+)-template-launcher-base AS", dockerfile)
    assert f"python:{python[0]}.{python[1:]}-" in worker
    assert "COPY launch.py /opt/beamcap/launch.py" in dockerfile
    assert "FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/beamcap/launch.py" in dockerfile


def test_the_script_that_schedules_is_well_formed() -> None:
    script = DEPLOY / "dataflow" / "deploy.sh"
    subprocess.run(["bash", "-n", script], check=True)
    text = script.read_text()
    (schedule,) = SCHEDULE.findall(text)
    check_schedule(schedule)
    assert "flexTemplates:launch" in text
    for name in ("metadata.json", "request.json", "Dockerfile"):
        assert f"$here/{name}" in text

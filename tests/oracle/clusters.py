"""What Slurm, bash, ShellCheck and Kubernetes' schemas say of the files of `--emit slurm` and `--emit k8s`: clusters.json.

    python -m tests.test_clusters > FILES               (llmcx) the files, each with what was asked
    python tests/oracle/clusters.py slurm < FILES       (root, with Debian's slurmctld, slurmd, munge, libpmix-dev, shellcheck)
    python tests/oracle/clusters.py k8s CRD < FILES     (a Python with kubernetes-validate; CRD: of kubernetes-sigs/lws the file
                                                         config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml)

Slurm is a real one on this machine: three nodes of eight GPUs and 64 cores in its configuration, which are devices that nothing
opens. `sbatch --test-only` asks its scheduler, then `sbatch --wait` runs the script. In place of each engine, its router, Ray and
torchrun stands a program that writes down its words, its node, its cores and the GPUs that it sees.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "clusters.json"
STOOD_IN = ("vllm", "python3", "trtllm-serve", "trtllm-llmapi-launch", "ray", "vllm-router", "torchrun", "accelerate")
PROGRAM = """#!/usr/bin/python3
import json, os, sys, time
seen = {name: os.environ.get(name) for name in ("SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES", "SLURM_CPUS_ON_NODE", "SLURM_NODEID")}
with open(os.environ["SAID"], "a") as file:
    file.write(json.dumps({"words": [os.path.basename(sys.argv[0]), *sys.argv[1:]], **seen}) + "\\n")
if "router" in " ".join(sys.argv) or "disaggregated" in sys.argv:
    time.sleep(3)  # it runs for as long as the workers
"""
CONFIGURED = """ClusterName=asked
SlurmctldHost={host}
SlurmUser=root
StateSaveLocation={at}/state
SlurmdSpoolDir={at}/spool-%n
SlurmctldPidFile={at}/slurmctld.pid
SlurmdPidFile={at}/slurmd-%n.pid
SlurmctldLogFile={at}/slurmctld.log
SlurmdLogFile={at}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
GresTypes=gpu
TmpFS={at}/tmp-%n
SlurmdParameters=config_overrides
NodeName=gpu[1-3] NodeHostname={host} NodeAddr=127.0.0.1 Port=[17001-17003] Sockets=2 CoresPerSocket=32 RealMemory=4000 Gres=gpu:8
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def ran(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, **more)


@contextmanager
def cluster(at: Path) -> Iterator[None]:
    """Slurm's daemons, while it is asked."""
    for number in range(8):
        os.mknod(at / f"gpu{number}", stat.S_IFCHR | 0o666, os.makedev(195, 200 + number))
    for name in ("state", "tmp-gpu1", "tmp-gpu2", "tmp-gpu3"):
        (at / name).mkdir()
    (at / "slurm.conf").write_text(CONFIGURED.format(host=socket.gethostname(), at=at), encoding="utf-8")
    (at / "gres.conf").write_text(f"NodeName=gpu[1-3] Name=gpu File={at}/gpu[0-7]\n", encoding="utf-8")
    os.environ["SLURM_CONF"] = str(at / "slurm.conf")
    if ran("munge", "-n").returncode:
        Path("/run/munge").mkdir(exist_ok=True)
        shutil.chown("/run/munge", "munge", "munge")
        subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
    daemons = [subprocess.Popen(["slurmctld", "-D", "-c"], stderr=subprocess.DEVNULL)]
    daemons += [subprocess.Popen(["slurmd", "-D", "-N", f"gpu{number}"], stderr=subprocess.DEVNULL) for number in (1, 2, 3)]
    try:
        for _ in range(60):
            if ran("sinfo", "-h", "-N", "-o", "%t").stdout.split() == ["idle"] * 3:
                break
            time.sleep(1)
        yield
    finally:
        for daemon in daemons:
            daemon.terminate()
        for daemon in daemons:
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(20)


def slurm(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = []
    number_of = ran("slurmctld", "-V").stdout.split()[-1]
    with tempfile.TemporaryDirectory() as directory, cluster(at := Path(directory)):
        (at / "bin").mkdir()
        for name in STOOD_IN:
            (at / "bin" / name).write_text(PROGRAM, encoding="utf-8")
            (at / "bin" / name).chmod(0o755)
        for number, row in enumerate(rows):
            script, said = at / f"{number}.sh", at / f"{number}.jsonl"
            script.write_text(row["text"], encoding="utf-8")
            one = {"bash": ran("bash", "-n", str(script)).stderr}
            one["shellcheck"] = ran("shellcheck", "-S", "warning", "-f", "gcc", str(script)).stdout.replace(f"{at}/", "")
            tested = ran("sbatch", "--test-only", str(script)).stderr
            one["tested"] = re.sub(r"Job \d+ to start at \S+ ", "", tested).strip()
            environment = os.environ | {"SAID": str(said), "PATH": f"{at}/bin:{os.environ['PATH']}"}
            waited = ran("sbatch", "--wait", f"--output={at}/{number}.out", str(script), env=environment, cwd=at)
            one["code"], output = waited.returncode, (at / f"{number}.out").read_text(encoding="utf-8")
            one["output"] = re.sub(r"slurmstepd?-\w+|\d{4}-\d\d-\d\dT[\d:]+|StepId=[\d.]+", "", output)
            lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
            one["ran"] = sorted((json.loads(line) for line in lines), key=json.dumps)
            found.append(row | {"said": one})
            print(row["asked"], one["tested"], one["code"], len(one["ran"]), one["output"][:200], file=sys.stderr)
    return {"version": number_of, "files": found}


def strict(schema: Any) -> Any:
    """A schema of a custom resource that knows no other fields than those it names."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(each) for name, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema and "additionalProperties" not in schema:
        found["additionalProperties"] = False
    return found


def k8s(rows: list[dict[str, Any]], definition: str) -> dict[str, Any]:
    import kubernetes_validate  # type: ignore[import-not-found]
    import yaml
    from jsonschema import validate  # type: ignore[import-untyped]

    [of] = yaml.safe_load(Path(definition).read_text(encoding="utf-8"))["spec"]["versions"]
    custom = strict(of["schema"]["openAPIV3Schema"])
    custom["properties"]["metadata"] = {"type": "object"}
    newest = kubernetes_validate.latest_version()
    found = []
    for row in rows:
        said = []
        for document in yaml.safe_load_all(row["text"]):
            try:
                if document["kind"] == "LeaderWorkerSet":
                    validate(document, custom)
                else:
                    kubernetes_validate.validate(document, newest, strict=True)
                said.append({"kind": document["kind"], "name": document["metadata"]["name"], "wrong": None})
            except Exception as error:
                said.append({"kind": document["kind"], "name": document["metadata"]["name"], "wrong": str(error)[:300]})
        found.append(row | {"said": said})
        print(row["asked"], [each["kind"] if each["wrong"] is None else each for each in said], file=sys.stderr)
    return {"version": version("kubernetes-validate"), "schemas": newest, "files": found}


def main() -> None:
    what, *more = sys.argv[1:]
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != GOLDEN.parent.resolve()]  # gguf.py, compare.py
    rows = [row for row in json.load(sys.stdin) if f"--emit {what}" in row["asked"]]
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    golden[what] = slurm(rows) if what == "slurm" else k8s(rows, *more)
    GOLDEN.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

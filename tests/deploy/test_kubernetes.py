"""deploy/kubernetes as far as it goes without a cluster: schemas, least privilege, references, and our own options."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from biotrain.cli import function_of
from biotrain.settings_file import options
from biotrain.trust.authority import EMQX_ACCESS, SERVER_CERTIFICATE, SERVER_KEY, Authority
from messaging.identity import CA_FILE, CERTIFICATE_FILE, KEY_FILE
from schemas.principal import Principal, Role

#: What these know, later ones know.
VERSIONS = ("1.30", "1.32")
#: As README.md makes them by hand: no secret stands in a file.
_SECRET = re.compile(r"create secret generic (\S+) --from-(?:file=certs/(\S+)|literal=([\w-]+)=)")


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "deploy" / "kubernetes"


@pytest.fixture(scope="module")
def objects(folder: Path) -> list[dict[str, Any]]:
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert set(listed) == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    return [one for name in listed for one in yaml.safe_load_all((folder / name).read_text())]


def of(objects: list[dict[str, Any]], kind: str, name: str | None = None) -> list[dict[str, Any]]:
    return [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in of(objects, "StatefulSet"):
        yield one["metadata"]["name"], one["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_own_schemas_take_every_object(objects: list[dict[str, Any]], version: str) -> None:
    if importlib.util.find_spec("kubernetes_validate") is None:
        pytest.skip("kubernetes-validate is not installed: tools/setup.sh test")
    import kubernetes_validate

    assert len(objects) >= 15
    for one in objects:
        kubernetes_validate.validate(one, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**objects[-1], "spec": {"podSelector": 3}}, version, strict=True)


def test_nothing_runs_with_more_rights_than_the_restricted_profile_allows(objects: list[dict[str, Any]]) -> None:
    (namespace,) = of(objects, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in pods(objects):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, f"{name}: nobody here asks Kubernetes anything"
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert all("hostPath" not in volume for volume in pod.get("volumes", ())), name
        for container in [*pod["containers"], *pod.get("initContainers", ())]:
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False, name
            assert rights["capabilities"] == {"drop": ["ALL"]}, name
            assert rights.get("readOnlyRootFilesystem", name == "broker") is True, name
            assert "memory" in container["resources"]["limits"], name


def test_every_container_that_serves_is_asked_whether_it_does(objects: list[dict[str, Any]], repository: Path) -> None:
    for name, pod in pods(objects):
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe"} <= container.keys(), name
    ((_, pod),) = [one for one in pods(objects) if one[0] == "supervisor"]
    served = (repository / "service" / "api" / "status.py").read_text()
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = pod["containers"][0][probe]["httpGet"]["path"]
        assert f'@routes.get("{path}"' in served
    assert pod["containers"][0]["livenessProbe"]["httpGet"]["path"] != "/readyz", "a broker that is away is no reason"


def test_whatever_is_referred_to_is_there(folder: Path, objects: list[dict[str, Any]]) -> None:
    secrets = {name: files or key for name, files, key in _SECRET.findall((folder / "README.md").read_text())}
    maps = {one["name"] for one in yaml.safe_load((folder / "kustomization.yaml").read_text())["configMapGenerator"]}
    asked: set[str] = set()
    for name, pod in pods(objects):
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        claims = {
            one["metadata"]["name"]
            for one in of(objects, "StatefulSet", name)[0]["spec"].get("volumeClaimTemplates", ())
        }
        for volume in volumes.values():
            asked |= {volume["secret"]["secretName"]} if "secret" in volume else set()
            assert "configMap" not in volume or volume["configMap"]["name"] in maps
        for container in [*pod["containers"], *pod.get("initContainers", ())]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes.keys() | claims, name
            for variable in container.get("env", ()):
                if re.search("PASSWORD|TOKEN|COOKIE", variable["name"]):
                    reference = variable["valueFrom"]["secretKeyRef"]
                    assert secrets[reference["name"]] == reference["key"]
                    asked.add(reference["name"])
    assert asked == secrets.keys(), "README.md makes each of them, and no other"
    for service in of(objects, "Service"):
        (workload,) = of(objects, "StatefulSet", service["spec"]["selector"]["app"])
        names = {port["name"] for one in workload["spec"]["template"]["spec"]["containers"] for port in one["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names
    for one in of(objects, "StatefulSet"):
        assert of(objects, "Service", one["spec"]["serviceName"]), "each pod has a name"
        assert one["spec"]["selector"]["matchLabels"].items() <= one["spec"]["template"]["metadata"]["labels"].items()


def test_the_supervisors_options_are_the_command_lines_and_each_has_a_name(objects: list[dict[str, Any]]) -> None:
    ((_, pod),) = [one for one in pods(objects) if one[0] == "supervisor"]
    container = pod["containers"][0]
    command, *words = container["args"]
    given = dict(word.removeprefix("--").split("=", 1) for word in words)
    assert {name.replace("-", "_") for name in given} <= set(options(function_of(command)))
    assert given["instance"] == "$(POD_NAME)"
    for option, port in (("broker", "8884"), ("store", "5432")):
        host = (
            re.sub(r".*@|[:/].*", "", given[option])
            if option == "broker"
            else given[option].split("@")[1].split("/")[0]
        )
        (service,) = of(objects, "Service", host)
        assert str(service["spec"]["ports"][0]["port"]) == port
    (mounted,) = [mount for mount in container["volumeMounts"] if mount["mountPath"] == given["identity"]]
    (copied,) = [one for one in pod["initContainers"] if mounted["name"] in str(one["volumeMounts"])]
    assert {Path(word).name for word in copied["command"] if word.startswith("/secret/")} == {
        CA_FILE, CERTIFICATE_FILE, KEY_FILE
    }  # fmt: skip


def test_supervisors_come_and_go_by_load_and_one_always_stays(objects: list[dict[str, Any]]) -> None:
    (scaler,) = of(objects, "HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    assert of(objects, target["kind"], target["name"])
    assert "replicas" not in of(objects, "StatefulSet", target["name"])[0]["spec"], (
        "applying again would undo the scaler"
    )
    assert scaler["spec"]["minReplicas"] >= 2
    kept = {one["spec"]["selector"]["matchLabels"]["app"] for one in of(objects, "PodDisruptionBudget")}
    assert kept == {"supervisor", "broker"}


def test_the_broker_reads_what_biotrain_certs_writes_and_has_mosquittos_limits(
    folder: Path, repository: Path, tmp_path: Path
) -> None:
    text = (folder / "emqx.conf").read_text()
    assert text.count("{") == text.count("}")
    authority = Authority.create(tmp_path / "certs", "home", days=30)
    authority.issue(Principal(Role.BROKER, "main"), hosts=["broker"], days=30)
    authority.issue(Principal(Role.SUPERVISOR, "main"), days=30)
    read = set(re.findall(r'"/certificates/([\w.]+)"', text))
    assert read == {CA_FILE, SERVER_CERTIFICATE, SERVER_KEY, EMQX_ACCESS}
    assert all((authority.broker_folder / name).is_file() for name in read)
    mosquitto = (repository / "deploy" / "mosquitto" / "mosquitto.conf").read_text()
    for ours, theirs in (("max_inflight", "max_inflight_messages"), ("max_mqueue_len", "max_queued_messages")):
        (here,), (there,) = (
            re.findall(rf"{ours} = (\d+)", text),
            re.findall(rf"^{theirs} (\d+)", mosquitto, re.MULTILINE),
        )
        assert here == there
    (kilobytes,) = re.findall(r"max_packet_size = (\d+)KB", text)
    (most,) = re.findall(r"^max_packet_size (\d+)", mosquitto, re.MULTILINE)
    assert int(kilobytes) * 1024 >= int(most)

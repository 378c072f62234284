"""deploy/kubernetes held against Kubernetes' own schemas, the settings, the commands and the compose file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from deployment import ROOT, command_of, compose, env_example, manifests, parse
from test_deployment import READ_BY_SETTINGS, READ_BY_WORKERS

from superhero.config import Settings, from_env
from superhero.events import CHANNELS
from superhero.transport.topology import DEAD_NAME, UNROUTED_NAME

Manifest = dict[str, Any]

FILES = manifests()
ALL: list[Manifest] = [each for documents in FILES.values() for each in documents]
LABEL = "app.kubernetes.io/name"
BY_OTHERS = {"kustomize.config.k8s.io/v1beta1", "keda.sh/v1alpha1", "rabbitmq.com/v1beta1"}
"""Kinds that Kubernetes itself does not know, and so has no schema for."""
OPERATOR_SECRET = {"rabbitmq-default-user": {"username", "password"}}
"""What RabbitMQ's cluster operator makes for a RabbitmqCluster called rabbitmq."""
RABBITMQ_FIELDS = {"replicas", "image", "persistence", "resources", "affinity", "rabbitmq"}


def of_kind(*kinds: str) -> list[Manifest]:
    """Return the manifests of these kinds."""
    return [each for each in ALL if each["kind"] in kinds]


def named(kind: str, name: str) -> Manifest:
    """Return one manifest."""
    return next(each for each in of_kind(kind) if each["metadata"]["name"] == name)


WORKLOADS = {each["metadata"]["name"]: each for each in of_kind("Deployment", "StatefulSet")}
OURS = [
    name
    for name, each in WORKLOADS.items()
    if each["spec"]["template"]["spec"]["containers"][0]["image"] == "superhero"
]
SERVICES = compose()["services"]


def pod_of(name: str) -> Manifest:
    """Return the pod's spec of a workload."""
    spec: Manifest = WORKLOADS[name]["spec"]["template"]["spec"]
    return spec


def container_of(name: str) -> Manifest:
    """Return the only container of a workload."""
    (container,) = pod_of(name)["containers"]
    found: Manifest = container
    return found


def variables_of(name: str) -> dict[str, Any]:
    """Return the environment of a workload: values, or where they come from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container_of(name)["env"]}


def secrets_used() -> Iterator[tuple[str, str]]:
    """Yield (Secret, key) of every reference."""
    for name in WORKLOADS:
        for value in variables_of(name).values():
            if isinstance(value, dict):
                yield value["secretKeyRef"]["name"], value["secretKeyRef"]["key"]
    for each in of_kind("TriggerAuthentication"):
        for target in each["spec"]["secretTargetRef"]:
            yield target["name"], target["key"]


def selected(selector: Manifest) -> set[str]:
    """Return the values of our label that a selector picks."""
    names = {selector.get("matchLabels", {}).get(LABEL)} - {None}
    return names | {value for each in selector.get("matchExpressions", []) for value in each["values"]}


@pytest.mark.parametrize("file", FILES)
def test_kubernetes_takes_every_manifest_that_it_knows_the_kind_of(file: str) -> None:
    for manifest in FILES[file]:
        if manifest["apiVersion"] in BY_OTHERS:
            continue
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_misspelt_field_would_be_noticed() -> None:
    manifest = yaml.safe_load(yaml.safe_dump(named("Deployment", "worker")))
    manifest["spec"]["template"]["spec"]["terminationGracePeriod"] = 120
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_kustomize_is_told_of_every_file_and_of_our_image() -> None:
    (kustomization,) = FILES["kustomization.yaml"]
    assert {*kustomization["resources"], "kustomization.yaml"} == set(FILES)
    assert kustomization["namespace"] == named("Namespace", "superhero")["metadata"]["name"]
    assert {each["name"] for each in kustomization["images"]} == {
        container_of(name)["image"] for name in OURS
    }
    assert not any("namespace" in each["metadata"] for each in ALL if "metadata" in each)


@pytest.mark.parametrize("name", OURS)
def test_a_workload_of_ours_runs_the_command_of_the_compose_file(name: str) -> None:
    assert container_of(name)["command"] == command_of(SERVICES[name])
    parse(container_of(name)["command"])


@pytest.mark.parametrize("name", OURS)
def test_it_is_given_only_variables_that_it_reads_or_that_others_are_made_of(name: str) -> None:
    given = variables_of(name)
    known = READ_BY_WORKERS if container_of(name)["command"][0] == "celery" else READ_BY_SETTINGS
    made_of = {part for value in given.values() for part in re.findall(r"\$\((\w+)\)", str(value))}
    assert set(given) <= known | made_of
    order = list(given)
    for variable, value in given.items():
        for part in re.findall(r"\$\((\w+)\)", str(value)):
            assert order.index(part) < order.index(variable), "Kubernetes knows only what stands before"


@pytest.mark.parametrize("name", OURS)
def test_what_it_is_given_can_be_used(name: str) -> None:
    filled = {"REDIS_URL": "redis://:x@redis:6379/0", "SERVER_SECRET": "x" * 16, "FLOWER_BASIC_AUTH": "me:x"}
    filled["SINKS"] = "postgresql://x@sql/x"
    environ = {
        variable: filled.get(variable, "x") if isinstance(value, dict) else re.sub(r"\$\(\w+\)", "x", value)
        for variable, value in variables_of(name).items()
    }
    settings = from_env(environ)
    assert settings.broker_url == "amqp://x:x@rabbitmq:5672//"


@pytest.mark.parametrize("name", WORKLOADS)
def test_services_do_not_become_settings_by_being_called_like_one(name: str) -> None:
    # A Service called server makes SERVER_PORT=tcp://10.0.0.1:8765 in every pod of the namespace.
    assert pod_of(name)["enableServiceLinks"] is False


def test_secrets_are_referred_to_and_never_written_down() -> None:
    example = env_example("deploy/kubernetes/secret.env.example")
    assert set(secrets_used()) == {
        *(("superhero", key) for key in example),
        *((secret, key) for secret, keys in OPERATOR_SECRET.items() for key in keys),
    }
    assert not of_kind("Secret")
    assert {key for key, value in example.items() if value} == {"REDIS_URL"}
    assert "PASSWORD" in example["REDIS_URL"]
    assert named("RabbitmqCluster", "rabbitmq")


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_container_may_do_little_and_is_nobody_of_importance(name: str) -> None:
    pod, container = pod_of(name), container_of(name)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {*container["resources"]["requests"], *container["resources"]["limits"]} == {"cpu", "memory"}


def test_ours_run_as_the_image_s_user() -> None:
    user = re.findall(r"^USER (\d+)$", (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"), re.M)
    assert {str(pod_of(name)["securityContext"]["runAsUser"]) for name in OURS} == set(user)


def test_what_must_outlive_a_pod_is_on_a_volume_that_does() -> None:
    for name, variable in (("server", "SPOOL_DIR"), ("flower", "FLOWER_DB")):
        claims = {
            each["metadata"]["name"] for each in WORKLOADS[name]["spec"].get("volumeClaimTemplates", [])
        }
        claims |= {each["name"] for each in pod_of(name)["volumes"] if "persistentVolumeClaim" in each}
        mounts = {each["mountPath"] for each in container_of(name)["volumeMounts"] if each["name"] in claims}
        assert any(Path(variables_of(name)[variable]).is_relative_to(mount) for mount in mounts)
        assert pod_of(name)["securityContext"]["fsGroup"]
    server = WORKLOADS["server"]
    assert server["kind"] == "StatefulSet"
    assert server["spec"]["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    assert "OUTPUT_DIR" not in variables_of("worker"), "a folder would be each pod's own"


def test_selectors_pick_the_pods_that_they_mean() -> None:
    for name, workload in WORKLOADS.items():
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert labels[LABEL] == name
    for service in of_kind("Service"):
        assert service["spec"]["selector"] == {LABEL: service["metadata"]["name"]}
        ports = {
            each["name"]: each["containerPort"] for each in container_of(service["metadata"]["name"])["ports"]
        }
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
    for budget in of_kind("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1
        assert selected(budget["spec"]["selector"]) == {budget["metadata"]["name"]}
    assert {each["metadata"]["name"] for each in of_kind("PodDisruptionBudget")} == {
        "server",
        "worker",
        "rabbitmq",
    }


def test_ports_are_those_of_the_commands() -> None:
    listens = {each["name"]: each["containerPort"] for each in container_of("server")["ports"]}
    assert listens == {
        "ws": Settings().server_port,
        "metrics": int(variables_of("server")["METRICS_PORT"]),
    }
    for name in ("flower", "metrics"):
        port = parse(["superhero", name]).params["port"]
        assert container_of(name)["ports"] == [{"name": "http", "containerPort": port}]
    (rule,) = named("Ingress", "server")["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"] == {"name": "server", "port": {"name": "ws"}}


def test_probes_ask_what_answers_and_a_dependency_that_is_away_restarts_nobody() -> None:
    health = {"server": "/healthz", "flower": "/healthcheck", "metrics": "/metrics"}
    for name, path in health.items():
        assert container_of(name)["readinessProbe"]["httpGet"]["path"] == path
        assert path in " ".join(SERVICES[name]["healthcheck"]["test"])
    # 503 while Redis is away.
    assert "httpGet" not in container_of("server")["livenessProbe"]
    assert "livenessProbe" not in container_of("worker")
    (compose_test,) = SERVICES["worker"]["healthcheck"]["test"][1:]
    assert container_of("worker")["readinessProbe"]["exec"]["command"][2] == compose_test.replace("$$", "$")


def test_who_stops_has_at_least_the_time_that_it_has_in_compose() -> None:
    for name in OURS:
        in_compose = int(str(SERVICES[name].get("stop_grace_period", "10s")).removesuffix("s"))
        assert pod_of(name)["terminationGracePeriodSeconds"] >= in_compose
    assert container_of("server")["lifecycle"]["preStop"]["exec"]["command"][0] == "sleep"


def test_workers_are_as_many_as_messages_wait_for_in_every_queue_that_they_consume() -> None:
    spec = named("ScaledObject", "worker")["spec"]
    assert "replicas" not in WORKLOADS["worker"]["spec"], "two would set it"
    assert spec["scaleTargetRef"]["name"] in WORKLOADS
    assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    (trigger,) = spec["triggers"]
    metadata = trigger["metadata"]
    assert all(isinstance(value, str) for value in metadata.values()), "KEDA takes text alone"
    assert (metadata["protocol"], metadata["useRegex"], metadata["operation"]) == ("http", "true", "sum")
    queues = re.compile(metadata["queueName"])
    assert all(queues.search(name) for name in (*CHANNELS, UNROUTED_NAME))
    assert not queues.search(DEAD_NAME), "more workers do not empty a quarantine"
    assert (
        trigger["authenticationRef"]["name"] == named("TriggerAuthentication", "rabbitmq")["metadata"]["name"]
    )
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] > pod_of("worker")["terminationGracePeriodSeconds"]
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 60}]


def test_the_broker_is_three_nodes_with_the_settings_of_the_compose_files() -> None:
    spec = named("RabbitmqCluster", "rabbitmq")["spec"]
    assert set(spec) <= RABBITMQ_FIELDS
    assert (spec["replicas"], spec["image"]) == (3, SERVICES["rabbitmq"]["image"])
    given = set(spec["rabbitmq"]["additionalConfig"].splitlines())
    files = [
        (ROOT / f"deploy/{name}.conf").read_text(encoding="utf-8")
        for name in ("rabbitmq", "rabbitmq-cluster")
    ]
    lines = {line for text in files for line in text.splitlines() if line and not line.startswith("#")}
    assert given == {line for line in lines if not line.startswith("cluster_formation.")}


def test_nobody_is_reached_but_by_those_who_must() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    assert policies.pop("nobody") == {"podSelector": {}, "policyTypes": ["Ingress"]}
    reached = {
        (name, port["port"]): {
            who
            for source in rule["from"]
            for who in (selected(source["podSelector"]) if "podSelector" in source else {"outside"})
        }
        for name, spec in policies.items()
        for rule in spec["ingress"]
        for port in rule["ports"]
    }
    assert reached == {
        ("server", 8765): {"outside"},
        ("server", 9126): {"outside"},
        ("metrics", 9125): {"outside"},
        ("redis", 6379): {name for name in OURS if "REDIS_URL" in variables_of(name)},
        ("rabbitmq", 5672): {name for name in OURS if "BROKER_URL" in variables_of(name)},
        ("rabbitmq", 15672): {"outside", *(n for n in OURS if "RABBITMQ_MANAGEMENT_URL" in variables_of(n))},
        ("rabbitmq", 4369): {"rabbitmq"},
        ("rabbitmq", 25672): {"rabbitmq"},
    }

"""TLS to RabbitMQ and Redis by URL: everything works over it, and a wrong certificate is refused."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from certificates import Authority, Certificate
from click.testing import CliRunner
from patience import WaitUntil
from worker_bench import CHANNEL, Bench, envelope, ids, task

from superhero.cli import main
from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.ops.depths import dead_letters
from superhero.ops.embedded import free_port
from superhero.ops.processes import Processes, superhero_argv
from superhero.ops.quarantine import Selection, look, replay
from superhero.ops.rabbitmq import PrivateRabbit, find_server
from superhero.ops.reach import reach
from superhero.ops.services import open_services
from superhero.transport import CeleryHandler
from superhero.transport.confirmed import RawMessage

REFUSED = "certificate verify failed"
HOST = "127.0.0.1"


class Authorities:
    """A CA that signed the servers' certificates, and one that has nothing to do with them."""

    def __init__(self, folder: Path) -> None:
        self.ours = Authority(folder, "our-ca")
        self.foreign = Authority(folder, "foreign-ca")
        self.server = self.ours.issue("server", HOST)
        self.elsewhere = self.ours.issue("elsewhere", "elsewhere.example")
        self.client = self.ours.issue("client", "client.example")


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    """Give the tests their CAs."""
    return Authorities(tmp_path_factory.mktemp("authorities"))


def missing(reason: str) -> None:
    """Skip, unless everything must be there."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def rabbitmq_config(ca: Authority, port: int, certificate: Certificate, *more: str) -> str:
    """Return the lines of rabbitmq.conf that make it listen for TLS as well."""
    lines = (
        f"listeners.ssl.1 = {HOST}:{port}",
        f"ssl_options.cacertfile = {ca.path}",
        f"ssl_options.certfile = {certificate.certificate}",
        f"ssl_options.keyfile = {certificate.key}",
        *more,
    )
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture(scope="module")
def tls_rabbit(
    authorities: Authorities, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PrivateRabbit, int]]:
    """Give the tests a node that asks for a client's certificate, and its port for TLS."""
    if find_server() is None:
        missing("rabbitmq-server is not installed (Debian: apt-get install rabbitmq-server)")
    port = free_port()
    verify = ("ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = false")
    config = rabbitmq_config(authorities.ours, port, authorities.server, *verify)
    with PrivateRabbit(tmp_path_factory.mktemp("tls-rabbit"), config) as node:
        yield node, port


@pytest.fixture(scope="module")
def tls_redis(
    authorities: Authorities, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., str]]:
    """Give the tests what starts a Redis that speaks TLS only, with the certificate asked for."""
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if binary is None:
        missing("redis-server is not installed (Debian: apt-get install redis-server)")
    folder = tmp_path_factory.mktemp("tls-redis")
    with Processes() as processes:

        def start(certificate: Certificate, database: int = 0) -> str:
            port = free_port()
            options = {
                "port": "0",
                "tls-port": str(port),
                "bind": HOST,
                "save": "",
                "dir": str(folder),
                "tls-cert-file": str(certificate.certificate),
                "tls-key-file": str(certificate.key),
                "tls-ca-cert-file": str(authorities.ours.path),
                "tls-auth-clients": "no",
            }
            words = [word for name, value in options.items() for word in (f"--{name}", value)]
            log = folder / f"{port}.log"
            server = processes.start("tls-redis", [str(binary), *words], log_path=log)
            server.wait_for_line("Ready to accept connections", 20)
            return f"rediss://{HOST}:{port}/{database}"

        if "BUILD_TLS=no" in subprocess.run([str(binary), "--help"], capture_output=True, text=True).stdout:
            missing(f"{binary} was built without TLS")
        yield start


@pytest.fixture(scope="module")
def redis_over_tls(authorities: Authorities, tls_redis: Callable[..., str]) -> str:
    """Give the tests the rediss:// URL of a server whose certificate is right; without TLS options."""
    return tls_redis(authorities.server)


@pytest.fixture(params=[pytest.param("rabbitmq", marks=pytest.mark.rabbitmq), "redis"])
def broker(request: pytest.FixtureRequest, authorities: Authorities, redis_over_tls: str) -> Iterator[str]:
    """Give the test an empty vhost, or database, of a broker that speaks TLS; without TLS options."""
    if request.param == "rabbitmq":
        node, port = request.getfixturevalue("tls_rabbit")
        with node.fresh_vhost() as url:
            yield url.replace("amqp://", "amqps://").replace(f":{node.port}/", f":{port}/")
        return
    url = redis_over_tls.replace("/0", "/1")
    yield url
    with redis.Redis.from_url(trusting(url, authorities.ours)) as client:
        client.flushdb()


def trusting(url: str, authority: Authority, certificate: Certificate | None = None) -> str:
    """Return a URL that names a CA, and perhaps a certificate of our own."""
    own = f"&ssl_certfile={certificate.certificate}&ssl_keyfile={certificate.key}" if certificate else ""
    return f"{url}?ssl_ca_certs={authority.path}{own}"


def test_a_server_is_reached_only_by_who_trusts_its_ca(broker: str, authorities: Authorities) -> None:
    assert reach(trusting(broker, authorities.ours)).reachable
    assert reach(trusting(broker, authorities.ours, authorities.client)).reachable
    for url in (broker, trusting(broker, authorities.foreign)):
        answer = reach(url)
        assert REFUSED in answer.error
        assert "?ssl_ca_certs=" in answer.error


def test_a_certificate_for_another_host_is_refused(
    broker: str, authorities: Authorities, tls_redis: Callable[..., str], tmp_path: Path
) -> None:
    if broker.startswith("rediss"):
        answer = reach(trusting(tls_redis(authorities.elsewhere), authorities.ours))
    else:
        port = free_port()
        config = rabbitmq_config(authorities.ours, port, authorities.elsewhere)
        with PrivateRabbit(tmp_path, config):
            answer = reach(trusting(f"amqps://guest:guest@{HOST}:{port}//", authorities.ours))
    assert REFUSED in answer.error
    assert "IP address mismatch" in answer.error


def test_records_go_out_over_tls_and_are_written_by_a_worker_that_uses_it_too(
    broker: str,
    redis_over_tls: str,
    authorities: Authorities,
    processes: Processes,
    tmp_path: Path,
    wait_until: WaitUntil,
) -> None:
    broker = trusting(broker, authorities.ours)
    bench = Bench(processes, broker, trusting(redis_over_tls, authorities.ours), tmp_path)
    worker = bench.worker()
    handler = CeleryHandler(broker_url=broker)
    logger = logging.getLogger("test.tls")
    logger.propagate = False
    logger.addHandler(handler)
    try:
        for number in range(200):
            logger.warning("record %d", number, extra={"channel": CHANNEL})
        assert handler.flush(20)
    finally:
        logger.removeHandler(handler)
        handler.close()
    bench.publish(task([envelope(0)]), RawMessage(b"{nope"))
    wait_until(lambda: len(bench.record_ids()) == 201, 30)
    wait_until(lambda: dead_letters(broker) == 1, 30)
    (letter,) = look(broker, Selection())
    assert letter.message.body == b"{nope"
    assert replay(broker, Selection()).replayed == 1
    wait_until(lambda: dead_letters(broker) == 1, 30)
    assert ids([0])[0] in bench.record_ids()
    assert worker.running


def test_the_handler_keeps_what_it_may_not_send_and_says_why(
    broker: str, authorities: Authorities, wait_until: WaitUntil
) -> None:
    handler = CeleryHandler(broker_url=trusting(broker, authorities.foreign), flush_timeout_s=0.1)
    record = logging.LogRecord("test.tls", logging.INFO, "", 0, "a record", (), None)
    try:
        handler.emit(record)
        wait_until(lambda: REFUSED in handler.counters().last_error)
        assert "?ssl_ca_certs=" in handler.counters().last_error
        assert handler.counters().waiting == 1
    finally:
        handler.close()


def test_the_handler_takes_a_ca_by_its_tls_setting_as_well(broker: str, authorities: Authorities) -> None:
    handler = CeleryHandler(broker_url=broker, tls={"ca_certs": str(authorities.ours.path)})
    try:
        handler.emit(logging.LogRecord("test.tls", logging.INFO, "", 0, "a record", (), None))
        assert handler.flush(10)
    finally:
        handler.close()


def test_a_worker_does_not_consume_from_a_broker_it_does_not_trust(
    broker: str, authorities: Authorities, processes: Processes, tmp_path: Path, redis_url: str
) -> None:
    bench = Bench(processes, trusting(broker, authorities.foreign), redis_url, tmp_path)
    worker = bench.start()
    worker.wait_for_line(rf"(?i){REFUSED}", 30)
    assert " ready." not in worker.tail(200)


def test_bots_play_on_a_server_whose_redis_and_broker_speak_tls(
    broker: str, redis_over_tls: str, authorities: Authorities, processes: Processes, tmp_path: Path
) -> None:
    env = {
        "BROKER_URL": trusting(broker, authorities.ours),
        "REDIS_URL": trusting(redis_over_tls, authorities.ours),
    }
    server = processes.start("server", superhero_argv("serve", "--port", "0"), env, tmp_path / "server.log")
    url = server.wait_for_line(r"listening on (ws://\S+)")[1]
    argv = superhero_argv("play", "--players", "4", "--games", "2", "--seed", "7", "--url", url)
    assert processes.start("bots", argv, log_path=tmp_path / "bots.log").wait(60) == 0
    assert server.stop(20) == 0


def test_doctor_finds_what_speaks_tls_and_shows_no_path_of_a_key(
    broker: str, redis_over_tls: str, authorities: Authorities, tmp_path: Path
) -> None:
    environ = {
        "BROKER_URL": trusting(broker, authorities.ours, authorities.client),
        "REDIS_URL": trusting(redis_over_tls, authorities.foreign),
        "OUTPUT_DIR": str(tmp_path),
        "COLUMNS": "400",
    }
    said = CliRunner().invoke(main, ["doctor"], env=environ).output
    assert REFUSED in said
    assert "CERTIFICATE" not in said.partition("│ Redis")[0], "the broker's certificate is right"
    settings = said.partition("settings in force")[2]
    assert "?***" in settings
    assert str(authorities.client.key) not in settings


def test_flower_watches_workers_over_tls(
    broker: str, authorities: Authorities, processes: Processes, tmp_path: Path
) -> None:
    env = {
        "BROKER_URL": trusting(broker, authorities.ours),
        "FLOWER_BASIC_AUTH": "me:secret",
        "FLOWER_DB": str(tmp_path / "flower.db"),
    }
    argv = superhero_argv("flower", "--port", str(free_port()))
    flower = processes.start("flower", argv, env, tmp_path / "flower.log")
    flower.wait_for_line(r"Connected to (amqps|rediss)://", 30)


def test_the_games_state_is_not_given_to_a_redis_that_is_not_trusted(
    redis_over_tls: str, authorities: Authorities, processes: Processes, tmp_path: Path
) -> None:
    env = {"REDIS_URL": trusting(redis_over_tls, authorities.foreign)}
    argv = superhero_argv("serve", "--port", "0", "--no-pipeline")
    server = processes.start("server", argv, env, tmp_path / "server.log")
    assert server.wait(30) == 2
    assert REFUSED in server.tail().lower()
    with redis.Redis.from_url(trusting(redis_over_tls, authorities.ours)) as client:
        assert client.ping()


def test_a_run_gets_a_vhost_and_a_database_of_its_own_over_tls(
    broker: str, redis_over_tls: str, authorities: Authorities, tmp_path: Path
) -> None:
    settings = Settings(
        broker_url=trusting(broker, authorities.ours), redis_url=trusting(redis_over_tls, authorities.ours)
    )
    with open_services(settings, workdir=tmp_path, explicit=True, fresh=True) as services:
        assert services.kind == ("redis" if broker.startswith("rediss") else "private-rabbitmq")
        assert reach(services.broker_url).reachable
        assert reach(services.redis_url).reachable
        assert services.redis_url.startswith("rediss://")
    untrusted = Settings(broker_url=trusting(broker, authorities.foreign))
    with (
        pytest.raises(ServiceError, match=REFUSED),
        open_services(untrusted, workdir=tmp_path, explicit=True, fresh=True),
    ):
        pytest.fail("it went on with a broker that is not trusted")

"""Every broker's arm by its name, in the order in which the published series came to them; ours last."""

from __future__ import annotations

from collections.abc import Mapping

from superhero.brokers.arms.arm import Arm, Place
from superhero.brokers.arms.celery_tasks import CeleryDefaults, CeleryOnRabbit, CeleryOnRedis
from superhero.brokers.arms.kafka import Kafka
from superhero.brokers.arms.ours import Ours
from superhero.brokers.arms.rabbitmq import RabbitClassic, RabbitQuorum
from superhero.brokers.arms.redis_narrowcast import RedisNarrowcast
from superhero.brokers.arms.redis_pubsub import RedisPubSub

ARMS: Mapping[str, type[Arm]] = {
    arm.name: arm
    for arm in (
        RedisPubSub,
        RedisNarrowcast,
        RabbitClassic,
        RabbitQuorum,
        CeleryOnRedis,
        CeleryDefaults,
        CeleryOnRabbit,
        Kafka,
        Ours,
    )
}

__all__ = ["ARMS", "Arm", "Place"]

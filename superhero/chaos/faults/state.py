"""Redis, which holds the games' keys, is restarted: with its data, or without."""

from __future__ import annotations

import shutil

from superhero.chaos.faults.fault import REDIS, Fault, Scene, Steps
from superhero.ops.reach import reach_redis


def _restarted(scene: Scene) -> Steps:
    _kill(scene)
    try:
        yield
    finally:
        scene.rig.redis.start()


def _emptied(scene: Scene) -> Steps:
    _kill(scene)
    shutil.rmtree(scene.rig.redis.data_dir)
    scene.happened("its data was removed")
    try:
        yield
    finally:
        scene.rig.redis.start()


def _kill(scene: Scene) -> None:
    scene.rig.redis.kill9()
    scene.happened("Redis was killed", kills=1)
    scene.see("Redis does not answer", lambda: not reach_redis(scene.rig.redis.url(), 1.0).reachable)


_REDIS = frozenset({REDIS})

FAULTS = (
    Fault("redis-restart", "kill -9 of Redis, and restart with its data", _REDIS, _restarted, hold_s=2.0),
    Fault("redis-emptied", "kill -9 of Redis, and restart without its data", _REDIS, _emptied, hold_s=2.0),
)

"""What it costs a driver to ask Ray which of so many workers, all of them busy, has a result.

    python benchmarks/looks.py

CPU milliseconds of one such question, of all threads of the driver.
"""

from __future__ import annotations

import asyncio
import time

import ray

LOOKS = 20


@ray.remote(num_cpus=0, max_concurrency=20_000)
class Sleeper:
    """Workers that are never ready."""

    async def sleep(self) -> None:
        await asyncio.sleep(3600)


def main() -> None:
    ray.init("local", include_dashboard=False, log_to_driver=False, num_cpus=2)
    sleeper = Sleeper.remote()
    for workers in (100, 1000, 10_000):
        futures = [sleeper.sleep.remote() for _ in range(workers)]
        time.sleep(5)
        began = time.process_time()
        for _ in range(LOOKS):
            ray.wait(futures, num_returns=1, timeout=0)
        print(f"{workers:6} {(time.process_time() - began) * 1000 / LOOKS:6.2f} ms")
    ray.shutdown()


if __name__ == "__main__":
    main()

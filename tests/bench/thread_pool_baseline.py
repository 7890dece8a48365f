"""What a call costs where no process is left: microseconds of ThreadPool.apply of a sum of eight numbers, p50 and p99, beside scheduler_bench."""

import multiprocessing.pool
import time

CALLS = 3000

with multiprocessing.pool.ThreadPool(2) as pool:
    eight = (tuple(range(8)),)
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        pool.apply(sum, eight)
        times.append((time.perf_counter() - start) * 1e6)
times.sort()
print(times[CALLS // 2], times[CALLS * 99 // 100])

#!/usr/bin/env python3
"""Makes random numbers, gives each column a mean of 0 and a standard deviation of 1, and finds the outliers: in shared memory, on all cores."""

import numpy as np

import parcompute as pc


def main():
    node = pc.connect()
    x = node.random((1_000_000, 3), "normal", mean=5, standard_deviation=2, seed=7)

    x[...] = (x - x.mean(axis=0)) / x.std(axis=0)  # one job, into its own operand
    print("mean of each column:", np.round(x.mean(axis=0), 3), "deviation:", np.round(x.std(axis=0), 3))

    distance = np.sqrt((x**2).sum(axis=1))
    far = x[distance > 4.5]
    print(f"{len(far)} of {len(x)} are farther than 4.5 away; the farthest lie at {np.sort(distance)[-3:].round(2)}")

    print("their products:", (far.T @ far / len(far)).compute().round(1), sep="\n")


if __name__ == "__main__":
    main()

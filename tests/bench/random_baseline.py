"""What NumPy takes for the same numbers on one core, beside random_bench: ns for each."""

import time

import numpy

ELEMENTS = 1 << 24
generator = numpy.random.Generator(numpy.random.Philox(key=7))
float64 = numpy.ones(ELEMENTS)
float32 = numpy.ones(ELEMENTS, numpy.float32)
CASES = {
    "UniformFloat64": lambda: generator.random(out=float64),
    "UniformFloat32": lambda: generator.random(out=float32, dtype=numpy.float32),
    "NormalFloat64": lambda: generator.standard_normal(out=float64),
    "ExponentialFloat64": lambda: generator.standard_exponential(out=float64),
    "IntegersTo1000": lambda: generator.integers(0, 1000, ELEMENTS),
    "IntegersByte": lambda: generator.integers(0, 256, ELEMENTS, dtype=numpy.uint8),
    "ArangeFloat64": lambda: numpy.arange(0.5, ELEMENTS),
    "LinspaceFloat64": lambda: numpy.linspace(0.5, 7.5, ELEMENTS),
}
for name, make in CASES.items():
    times = []
    for _ in range(5):
        start = time.perf_counter()
        make()
        times.append(time.perf_counter() - start)
    print(f"{name:20} {min(times) / ELEMENTS * 1e9:6.2f} ns")

// What a client can ask for: one struct per operation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client/cpp/array.h"
#include "client/cpp/scalar.h"

namespace parcompute {

// One of NumPy's reductions, of all elements or along one axis, with NumPy's dtypes: integer sums answer in int64 or uint64
// and wrap. Float sums carry what rounding takes and are rounded once. NaN wins in min and max. What has more to say (several
// axes, keepdims, ddof, an expression inside) is an Evaluate.
struct Reduce {
  enum class Op { kSum, kProd, kMin, kMax, kMean, kVar, kStd, kAny, kAll, kArgmin, kArgmax, kCountNonzero };
  Op op = Op::kSum;
  Array a;
  std::optional<std::int32_t> axis{};  // nothing: all
};

// np.matmul(a, b): any dtypes, promoted as NumPy does; stacks broadcast.
struct Matmul {
  Array a;
  Array b;
};

// Escape counts (int64, shape nx x ny) of z = z^2 + c, c = x + iy on numpy.linspace(x_min, x_max, nx) along axis 0 and
// numpy.linspace(y_min, y_max, ny) along axis 1: how often |z|^2 <= 4 held in at most max_iter steps from z = 0.
struct Mandelbrot {
  std::uint64_t nx = 0;
  std::uint64_t ny = 0;
  double x_min = -2, x_max = 1;
  double y_min = -1.5, y_max = 1.5;
  std::uint64_t max_iter = 0;
};

// An expression in Python's syntax over its operands, with NumPy's functions, dtypes and broadcasting, and reductions inside:
// "sqrt(x**2 + y**2)", "sum((a - b)**2)", "x - mean(x, axis=0, keepdims=True)". Names that are no operand's are constants
// (pi, e, inf, nan) or functions. Session::evaluate finds operands by their names.
struct Evaluate {
  struct Operand {
    std::string name;  // as the expression has it
    Array array;
  };
  std::string expression;
  std::vector<Operand> operands;
  std::optional<DType> dtype;  // of the result; nothing: what the expression gives
};

// np.dot, np.vecdot and np.outer: any dtypes, promoted as NumPy does.
struct Dot {
  Array a;
  Array b;
};
struct Vecdot {
  Array a;
  Array b;
};
struct Outer {
  Array a;
  Array b;
};

// In what follows an axis may be negative, and none stands for the flat array, in C order, as NumPy's None.
using Axis = std::optional<int>;

// np.sort and np.argsort(kind="stable"). NaN comes last. Descending, it comes first: the sorted elements are those of the reverse, and
// argsort keeps equal ones in their order all the same.
struct Sort {
  Array a;
  Axis axis;
  bool descending = false;
};
struct Argsort {
  Array a;
  Axis axis;
  bool descending = false;
};
// np.cumsum and np.cumprod.
struct Cumsum {
  Array a;
  Axis axis;
};
struct Cumprod {
  Array a;
  Axis axis;
};
// a[mask]: a bool mask with the shape of a's first dimensions.
struct Compress {
  Array a;
  Array mask;
};
// np.take(a, indices, axis): an index outside the axis fails the job.
struct Take {
  Array a;
  Array indices;
  Axis axis;
};
// np.unique: the sorted distinct elements.
struct Unique {
  Array a;
};
// np.searchsorted(a, v): where v's elements belong in a, which is sorted. Two dtypes meet in the one that holds both.
struct Searchsorted {
  Array a;
  Array v;
  bool right = false;
};
// np.bincount for values from 0 to length - 1; others fail the job. With weights (real) their sums, as float64.
struct Bincount {
  Array a;
  std::uint64_t length = 0;
  Array weights;  // may be empty
};
// np.histogram's counts (int64), or with weights (real) their sums, of the weights' dtype: `bins` bins of equal width from low
// to high, or, where edges are given (float64), between those.
struct Histogram {
  Array a;
  std::uint64_t bins = 10;
  double low = 0, high = 1;
  Array edges;    // may be empty
  Array weights;  // may be empty
};
// np.percentile(a, q, axis), method linear: q from 0 to 100. Several q have an axis of their own, in front. Float64, but
// that one q of float32 is float32.
struct Percentile {
  Array a;
  std::vector<double> q;
  Axis axis;
};

// np.concatenate, or np.stack along a new axis: 1 to 14 arrays, promoted as NumPy does.
struct Concatenate {
  std::vector<Array> arrays;
  int axis = 0;
  bool stack = false;
};

// Random numbers, the same for any number of workers: element i depends on the seed and on i alone (Philox4x64-10).
// Uniform: those of numpy.random.Generator(numpy.random.Philox(key=seed)).uniform(low, high).
struct Random {
  enum class Distribution { kUniform, kNormal, kExponential, kIntegers };
  Distribution distribution = Distribution::kUniform;
  DType dtype = DType::kFloat64;
  std::vector<std::int64_t> shape;
  std::uint64_t seed = 0;
  double low = 0, high = 1;                    // kUniform
  double mean = 0, standard_deviation = 1;     // kNormal
  double scale = 1;                            // kExponential
  Scalar least, most;                          // kIntegers: both included, of `dtype`
};

// Blocks that do nothing: measures dispatch.
struct Nop {
  std::uint64_t blocks = 1;
};

using Operation = std::variant<Reduce, Matmul, Mandelbrot, Nop, Evaluate, Dot, Vecdot, Outer, Sort, Argsort, Cumsum, Cumprod, Compress, Take, Unique,
                               Searchsorted, Bincount, Histogram, Percentile, Concatenate, Random>;

}  // namespace parcompute

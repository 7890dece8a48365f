// What is sorted: unsigned integers in place of elements, so that one radix sort orders every dtype.
//
// A sort's own keys hold every bit of an element and can be turned back: floats in the order of their values, -0.0
// before +0.0, NaNs at the end (positive ones first, by payload). A comparison's keys (argsort, complex numbers,
// searchsorted) are equal where NumPy holds elements to be equal: both zeros, all NaNs.
#pragma once

#include <bit>
#include <cmath>
#include <complex>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace parcompute {

template <std::size_t kBytes>
using UnsignedOfSize = std::conditional_t<
    kBytes == 1, std::uint8_t,
    std::conditional_t<kBytes == 2, std::uint16_t, std::conditional_t<kBytes == 4, std::uint32_t, std::uint64_t>>>;

template <class T>
inline constexpr bool is_complex_v =
    std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;

template <class T>
using KeyOf = UnsignedOfSize<sizeof(T)>;

template <class T>
constexpr KeyOf<T> top_bit() {
  return static_cast<KeyOf<T>>(KeyOf<T>{1} << (8 * sizeof(T) - 1));
}
// Bit patterns of negative NaNs. Keys are shifted down by so many, which moves these patterns round to the end.
template <class T>
constexpr KeyOf<T> negative_nans() {
  return static_cast<KeyOf<T>>((KeyOf<T>{1} << (std::numeric_limits<T>::digits - 1)) - 1);
}

template <class T>
constexpr KeyOf<T> exact_key(T x) {
  using K = KeyOf<T>;
  const K bits = std::bit_cast<K>(x);
  if constexpr (std::is_floating_point_v<T>) {
    const K flip = (bits & top_bit<T>()) != 0 ? static_cast<K>(~K{0}) : top_bit<T>();
    return static_cast<K>((bits ^ flip) - negative_nans<T>());
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<K>(bits ^ top_bit<T>());
  } else {
    return bits;
  }
}

template <class T>
constexpr T element_of(KeyOf<T> key) {
  using K = KeyOf<T>;
  if constexpr (std::is_floating_point_v<T>) {
    const K bits = static_cast<K>(key + negative_nans<T>());
    return std::bit_cast<T>(
        static_cast<K>(bits ^ ((bits & top_bit<T>()) != 0 ? top_bit<T>() : static_cast<K>(~K{0}))));
  } else if constexpr (std::is_same_v<T, bool>) {
    return key != 0;
  } else if constexpr (std::is_signed_v<T>) {
    return std::bit_cast<T>(static_cast<K>(key ^ top_bit<T>()));
  } else {
    return key;
  }
}

// Of a real element.
template <class T>
constexpr KeyOf<T> equal_key(T x) {
  if constexpr (std::is_floating_point_v<T>) {
    if (x != x) return static_cast<KeyOf<T>>(~KeyOf<T>{0});
    if (x == 0) return exact_key(T{0});
  }
  return exact_key(x);
}

// ---- items: a key, or a key and the element's place in its row ----

struct Indexed32 {
  std::uint32_t key, index;
};
struct Indexed64 {
  std::uint64_t key, index;
};
// Complex numbers. `high` alone decides unless it is equal.
struct IndexedPair {
  std::uint64_t high, low, index;
};

// NumPy's order of complex numbers: by real, then imaginary part; after those with a NaN in neither come those with a
// NaN imaginary part, by their real part; those with a NaN real part, by their imaginary part; those with both.
inline constexpr std::uint64_t kFirstNanHigh = exact_key(std::numeric_limits<double>::infinity()) + 1;
template <class T>
IndexedPair complex_key(std::complex<T> x, std::uint64_t index) {
  const double re = x.real(), im = x.imag();
  if (re != re)
    return im != im ? IndexedPair{kFirstNanHigh + 2, 0, index} : IndexedPair{kFirstNanHigh + 1, equal_key(im), index};
  if (im != im) return {kFirstNanHigh, equal_key(re), index};
  return {equal_key(re), equal_key(im), index};
}

// The order by keys alone, and the key as one number where it is one.
template <class Item>
struct ItemTraits {  // keys
  using Key = Item;
  static Key key(Item x) { return x; }
  static bool less(Item a, Item b) { return a < b; }
  static Item reversed(Item x) { return static_cast<Item>(~x); }
};
template <class Item>
struct IndexedTraits {
  using Key = decltype(Item::key);
  static Key key(const Item& x) { return x.key; }
  static bool less(const Item& a, const Item& b) { return a.key < b.key; }
  static Item reversed(Item x) {
    x.key = ~x.key;
    return x;
  }
};
template <>
struct ItemTraits<Indexed32> : IndexedTraits<Indexed32> {};
template <>
struct ItemTraits<Indexed64> : IndexedTraits<Indexed64> {};
template <>
struct ItemTraits<IndexedPair> {
  static bool less(const IndexedPair& a, const IndexedPair& b) {
    return a.high != b.high ? a.high < b.high : a.low < b.low;
  }
  static IndexedPair reversed(IndexedPair x) {
    x.high = ~x.high;
    x.low = ~x.low;
    return x;
  }
};

}  // namespace parcompute

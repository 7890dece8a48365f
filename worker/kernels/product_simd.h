// Products of panels, by the instruction set in use: what small float products and all integer products are made of.
//
// Element (i, j) of a product is ((0 + a_i0 b_0j) + a_i1 b_1j) + ...: in order, and for floats each step is one fused
// multiply-add, rounded once. Instruction sets without that operation compute it in software: slowly, with the same
// bits. NaNs are the positive quiet one. Integers wrap; bool is a disjunction of conjunctions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace parcompute {

// Rows of b and c are dense. Strides count elements.
template <class T>
struct PanelProduct {
  std::int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  std::int64_t a_row = 0, a_column = 0;
  const T* b = nullptr;
  std::int64_t b_row = 0;
  T* c = nullptr;
  std::int64_t c_row = 0;
  bool adds = false;  // to what stands in c
  // Write c around the caches: others see it after hwy::FlushStream(). Rows of c are whole lines of 64 bytes. Floats alone.
  bool streams = false;
  // Bytes that the next product reads: brought near meanwhile, a line at each step, for memory is what small products
  // wait for.
  struct Ahead {
    const std::byte* data = nullptr;
    std::size_t bytes = 0;
  };
  Ahead ahead[2];
};

// A panel of so many bytes in a row fills whole vectors on every instruction set; integers are multiplied in such alone.
inline constexpr std::int64_t kPanelBytes = 256;

void multiply_panel(const PanelProduct<float>& p);
void multiply_panel(const PanelProduct<double>& p);
void multiply_panel(const PanelProduct<std::uint8_t>& p);  // of 0 and 1: bool
void multiply_panel(const PanelProduct<std::uint16_t>& p);
void multiply_panel(const PanelProduct<std::uint32_t>& p);
void multiply_panel(const PanelProduct<std::uint64_t>& p);

}  // namespace parcompute

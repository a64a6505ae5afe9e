// A prediction as a short program over registers of floats: what docs/FORMAT.md, section 7.4,
// writes as formulas. Every rule is made of these few operations, so a new optimizer is a new row
// of a table (rules.cc), and only the operations need to be the same on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace cairn {

/// Each is one IEEE operation with one rounding, to nearest even, unless it says otherwise.
enum class ReplayOp : uint8_t {
  kAdd,    ///< a + b
  kSub,    ///< a - b
  kMul,    ///< a * b
  kDiv,    ///< a / b
  kSqrt,   ///< square root of a
  kFma,    ///< a * b + c, rounded once
  kFnma,   ///< c - a * b, rounded once
  kMax,    ///< b where a < b, else a
  kSign,   ///< 1, -1, or a itself where it is neither above nor below 0
  kBf16,   ///< a rounded to BF16; the canonical NaN for NaNs
  kLin64,  ///< in F64: x * a + y * b, three roundings; then rounded to F32
  kSqr64,  ///< in F64: x * a + (y * b) * b, four roundings; then rounded to F32
};
inline constexpr size_t kReplayOps = 12;

/// Registers: what comes in (bases, then the gradient), scalars, what is in between.
inline constexpr uint8_t kInputs = 0;
inline constexpr uint8_t kScalars = 4;
inline constexpr uint8_t kTemporaries = 10;
inline constexpr uint8_t kResult = 13;  ///< the last of the temporaries
inline constexpr size_t kRegisters = 14;

struct ReplayStep {
  ReplayOp op = ReplayOp::kAdd;
  uint8_t to = kResult, a = 0, b = 0, c = 0;
};

/// A rule's arithmetic in one of its variants.
struct ReplayProgram {
  std::array<ReplayStep, 16> steps{};
  uint8_t step_count = 0;
  uint8_t bases = 0;
  bool has_gradient = false;  ///< the input after the bases is the BF16 gradient
  uint8_t scalars = 0;        ///< of F32
  bool is_wide = false;       ///< x and y follow the scalars, an F64 each in two words, low first

  size_t words() const { return scalars + (is_wide ? 4u : 0u); }
  void add(ReplayOp op, uint8_t to, uint8_t a, uint8_t b = 0, uint8_t c = 0) {
    steps[step_count++] = {op, to, a, b, c};
  }
};

}  // namespace cairn

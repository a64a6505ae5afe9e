#include "base/replay/rules.h"

// To add an optimizer: a rule in replay.h, a function here that writes its arithmetic down (with a
// variant for every way in which trainers round it), its formula in docs/FORMAT.md, section 7.4,
// what fit_replay should try (fit_*.cc), and which tensors it is for (lib/encoding_ways.cc).
// Encoder and decoder need nothing.

namespace cairn {
namespace {

using Op = ReplayOp;
constexpr uint8_t kA = kTemporaries, kB = kTemporaries + 1, kC = kTemporaries + 2;

/// Register of the scalar of that number.
constexpr uint8_t scalar(uint8_t number) { return kScalars + number; }

void round_if(ReplayProgram& program, bool rounded, uint8_t at) {
  if (rounded) program.add(Op::kBf16, at, at);
}

/// g from the first moments m (input 0) and m' (input 1) into kA. Scalars q1, b1, -, -, c, 1/c.
void add_gradient(ReplayProgram& program, bool moments, bool snapped) {
  if (moments) {
    program.add(Op::kMul, kA, scalar(1), 1);
    program.add(Op::kSub, kA, 0, kA);
    program.add(Op::kDiv, kA, kA, scalar(0));
  } else {
    program.add(Op::kSub, kA, 0, 1);
    program.add(Op::kDiv, kA, kA, scalar(0));
    program.add(Op::kAdd, kA, 1, kA);
  }
  if (!snapped) return;
  program.add(Op::kMul, kA, kA, scalar(5));
  program.add(Op::kBf16, kA, kA);
  program.add(Op::kMul, kA, kA, scalar(4));
}

/// Inputs m, m', v'. Scalars q1, b1, q2, b2, c, 1/c.
std::optional<ReplayProgram> second_moment(uint8_t variant) {
  const uint8_t update = variant & kSecondUpdate;
  const bool rounded = (variant & kSecondRounded) != 0;
  if ((variant & 0xc0) != 0 || update >= kSecondUpdates || (rounded && update > 3)) return {};
  ReplayProgram program{.bases = 3, .scalars = 6, .is_wide = update == kSecondWide};
  add_gradient(program, (variant & kSecondMoments) != 0, (variant & kSecondSnapped) != 0);
  if (update == kSecondWide) {
    program.add(Op::kSqr64, kResult, 2, kA);
    return program;
  }
  if (update == 0) {
    program.add(Op::kMul, kC, scalar(2), kA);
  } else if (update % 2 == 0) {  // (q2 g) g
    program.add(Op::kMul, kC, scalar(2), kA);
    program.add(Op::kMul, kC, kC, kA);
  } else {  // g g, and its product with q2 where that is not fused
    program.add(Op::kMul, kC, kA, kA);
    if (update != 1) program.add(Op::kMul, kC, scalar(2), kC);
  }
  if (update >= 4) {
    program.add(Op::kFma, kResult, scalar(3), 2, kC);
    return program;
  }
  program.add(Op::kMul, kB, scalar(3), 2);
  round_if(program, rounded, kB);
  if (update == 0) program.add(Op::kFma, kResult, kC, kA, kB);
  if (update == 1) program.add(Op::kFma, kResult, scalar(2), kC, kB);
  if (update >= 2) program.add(Op::kAdd, kResult, kB, kC);
  return program;
}

/// w' after its decay into kA; scalar 3 is the factor, or what is taken off.
void add_decay(ReplayProgram& program, uint8_t decay, bool rounded) {
  if (decay == kDecayFactor) program.add(Op::kMul, kA, scalar(3), 0);
  if (decay == kDecayFused) program.add(Op::kFnma, kA, scalar(3), 0, 0);
  if (decay == kDecayApart) {
    program.add(Op::kMul, kA, scalar(3), 0);
    program.add(Op::kSub, kA, 0, kA);
  }
  if (decay != kDecayNone) round_if(program, rounded, kA);
}

/// Both moments freed of their bias first. Scalars lr, bc2, eps, decay, bc1.
void add_unbiased_step(ReplayProgram& program, bool decays) {
  program.scalars = 5;
  program.add(Op::kDiv, kB, 2, scalar(1));
  program.add(Op::kSqrt, kB, kB);
  program.add(Op::kAdd, kB, kB, scalar(2));
  program.add(Op::kDiv, kC, 1, scalar(4));
  program.add(Op::kDiv, kC, kC, kB);
  if (decays) program.add(Op::kFma, kC, scalar(3), 0, kC);
  program.add(Op::kFnma, kResult, scalar(0), kC, 0);
}

/// Inputs w', m, v. Scalars s, r, eps, d.
std::optional<ReplayProgram> parameter(uint8_t variant) {
  const uint8_t decay = variant & kParameterDecay, step = (variant & kParameterStep) >> 2;
  const bool rounded = (variant & kParameterRounded) != 0;
  if ((variant & 0xc0) != 0 || step >= kParameterSteps) return {};
  ReplayProgram program{.bases = 3, .scalars = 4};
  if (step == kStepUnbiased) {
    if (rounded || (decay != kDecayFused && decay != kDecayNone)) return {};
    add_unbiased_step(program, decay == kDecayFused);
    return program;
  }
  add_decay(program, decay, rounded);
  const uint8_t decayed = decay == kDecayNone ? 0 : kA;
  program.add(Op::kSqrt, kB, 2);
  round_if(program, rounded, kB);
  if (step == kStepReciprocal) {
    program.add(Op::kFma, kB, kB, scalar(1), scalar(2));
    round_if(program, rounded, kB);
  } else {
    program.add(Op::kDiv, kB, kB, scalar(1));
    round_if(program, rounded, kB);
    program.add(Op::kAdd, kB, kB, scalar(2));
    round_if(program, rounded, kB);
  }
  if (step == kStepDivided) {
    program.add(Op::kDiv, kB, kB, scalar(0));
    round_if(program, rounded, kB);
  }
  if (step == kStepProduct) {
    program.add(Op::kMul, kC, scalar(0), 1);
    program.add(Op::kDiv, kC, kC, kB);
  } else {
    program.add(Op::kDiv, kC, 1, kB);
    if (step == kStepQuotient) program.add(Op::kMul, kC, scalar(0), kC);
  }
  const bool fused = step == kStepFused || step == kStepReciprocal;
  if (fused) program.add(Op::kFnma, kResult, scalar(0), kC, decayed);
  if (!fused) program.add(Op::kSub, kResult, decayed, kC);
  return program;
}

/// m from m' (input 0) and the gradient in kA. Scalars q1, b1.
void add_first_update(ReplayProgram& program, uint8_t update) {
  if (update <= 1) {
    program.add(Op::kSub, kA, kA, 0);
    if (update == 0) program.add(Op::kFma, kResult, scalar(0), kA, 0);
    if (update == 1) program.add(Op::kMul, kA, scalar(0), kA);
    if (update == 1) program.add(Op::kAdd, kResult, 0, kA);
  } else if (update == kFirstWide) {
    program.add(Op::kLin64, kResult, 0, kA);
  } else if (update == 4) {
    program.add(Op::kMul, kB, scalar(1), 0);
    program.add(Op::kFma, kResult, scalar(0), kA, kB);
  } else {
    program.add(Op::kMul, kA, scalar(0), kA);
    if (update == 2) program.add(Op::kMul, kB, scalar(1), 0);
    if (update == 2) program.add(Op::kAdd, kResult, kB, kA);
    if (update == 3) program.add(Op::kFma, kResult, scalar(1), 0, kA);
  }
}

/// To the gradient in kA what decay adds to it; the scalar is its factor.
void add_gradient_decay(ReplayProgram& program, uint8_t parameter, uint8_t factor, bool apart) {
  if (apart) {
    program.add(Op::kMul, kB, scalar(factor), parameter);
    program.add(Op::kAdd, kA, kA, kB);
  } else {
    program.add(Op::kFma, kA, scalar(factor), parameter, kA);
  }
}

/// Inputs m', gradient. Scalars q1, b1, c.
std::optional<ReplayProgram> first_moment(uint8_t variant) {
  if (variant >= kFirstUpdates) return {};
  ReplayProgram program{
      .bases = 1, .has_gradient = true, .scalars = 3, .is_wide = variant == kFirstWide};
  program.add(Op::kMul, kA, scalar(2), 1);
  add_first_update(program, variant);
  return program;
}

/// Inputs m', w', gradient. Scalars q1, b1, c, d.
std::optional<ReplayProgram> decayed_first_moment(uint8_t variant) {
  const uint8_t update = variant & kDecayedUpdate;
  if ((variant & 0xf0) != 0 || update >= kFirstUpdates) return {};
  ReplayProgram program{
      .bases = 2, .has_gradient = true, .scalars = 4, .is_wide = update == kFirstWide};
  program.add(Op::kMul, kA, scalar(2), 2);
  add_gradient_decay(program, 1, 3, (variant & kDecayedApart) != 0);
  add_first_update(program, update);
  return program;
}

/// w' (input 0) less lr (scalar 0) times `direction`.
void add_descent(ReplayProgram& program, uint8_t variant, uint8_t direction) {
  if ((variant & 1) == 0) {
    program.add(Op::kFnma, kResult, scalar(0), direction, 0);
  } else {
    program.add(Op::kMul, kC, scalar(0), direction);
    program.add(Op::kSub, kResult, 0, kC);
  }
}

/// Inputs w', momentum buffer. Scalar lr.
std::optional<ReplayProgram> sgd_parameter(uint8_t variant) {
  if (variant > 1) return {};
  ReplayProgram program{.bases = 2, .scalars = 1};
  add_descent(program, variant, 1);
  return program;
}

/// Inputs the old maximum, v.
std::optional<ReplayProgram> maximum(uint8_t variant) {
  if (variant > 0) return {};
  ReplayProgram program{.bases = 2};
  program.add(Op::kMax, kResult, 0, 1);
  return program;
}

/// Inputs w', buffer, old buffer. Scalars lr, momentum.
std::optional<ReplayProgram> nesterov_parameter(uint8_t variant) {
  if (variant > 3) return {};
  ReplayProgram program{.bases = 3, .scalars = 2};
  program.add(Op::kFnma, kA, scalar(1), 2, 1);
  if ((variant & 2) == 0) {
    program.add(Op::kFma, kA, scalar(1), 1, kA);
  } else {
    program.add(Op::kMul, kB, scalar(1), 1);
    program.add(Op::kAdd, kA, kA, kB);
  }
  add_descent(program, variant, kA);
  return program;
}

/// Inputs w', m, m'. Scalars lr, q1, q2, d: q1 of the direction, q2 of the moment.
std::optional<ReplayProgram> lion_parameter(uint8_t variant) {
  if (variant > 1) return {};
  ReplayProgram program{.bases = 3, .scalars = 4};
  program.add(Op::kSub, kA, 1, 2);
  program.add(Op::kDiv, kA, kA, scalar(2));  // the gradient less m'
  program.add(Op::kFma, kA, scalar(1), kA, 2);
  program.add(Op::kSign, kA, kA);
  program.add(Op::kMul, kB, scalar(3), 0);
  if (variant == 0) {
    program.add(Op::kFnma, kResult, scalar(0), kA, kB);
  } else {
    program.add(Op::kMul, kA, scalar(0), kA);
    program.add(Op::kSub, kResult, kB, kA);
  }
  return program;
}

/// Inputs w', gradient. Scalars s, c, d, k: d of the parameter, k of the gradient's decay.
std::optional<ReplayProgram> gradient_parameter(uint8_t variant) {
  const uint8_t decay = variant & kGradientDecay;
  if (variant > (kGradientDecayApart | kDescentApart)) return {};
  ReplayProgram program{.bases = 1, .has_gradient = true, .scalars = 4};
  program.add(Op::kMul, kA, scalar(1), 1);
  if (decay != kGradientDecayNone) {
    add_gradient_decay(program, 0, 3, decay == kGradientDecayApart);
  }
  program.add(Op::kMul, kB, scalar(2), 0);
  if ((variant & kDescentApart) == 0) {
    program.add(Op::kFnma, kResult, scalar(0), kA, kB);
  } else {
    program.add(Op::kMul, kA, scalar(0), kA);
    program.add(Op::kSub, kResult, kB, kA);
  }
  return program;
}

}  // namespace

bool is_known(ReplayRule rule) {
  return rule >= ReplayRule::kAdamSecondMoment && rule <= ReplayRule::kGradientParameter;
}

std::optional<ReplayProgram> replay_program(ReplayRule rule, uint8_t variant) {
  switch (rule) {
    case ReplayRule::kAdamSecondMoment:
      return second_moment(variant);
    case ReplayRule::kAdamParameter:
      return parameter(variant);
    case ReplayRule::kAdamFirstMoment:
      return first_moment(variant);
    case ReplayRule::kSgdParameter:
      return sgd_parameter(variant);
    case ReplayRule::kAdamMaximum:
      return maximum(variant);
    case ReplayRule::kNesterovParameter:
      return nesterov_parameter(variant);
    case ReplayRule::kLionParameter:
      return lion_parameter(variant);
    case ReplayRule::kDecayedFirstMoment:
      return decayed_first_moment(variant);
    case ReplayRule::kGradientParameter:
      return gradient_parameter(variant);
  }
  return std::nullopt;
}

size_t base_count(ReplayRule rule) {
  const auto program = replay_program(rule, 0);
  return program ? program->bases : 0;
}

}  // namespace cairn

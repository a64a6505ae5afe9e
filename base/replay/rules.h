// The table of rules: which arithmetic each variant of a rule stands for.
#pragma once

#include <optional>

#include "base/replay/program.h"
#include "base/replay/replay.h"

namespace cairn {

/// nullopt for a rule or a variant that this version does not know.
std::optional<ReplayProgram> replay_program(ReplayRule rule, uint8_t variant);

bool is_known(ReplayRule rule);

// Variants are fields of bits. Of kAdamSecondMoment:
inline constexpr uint8_t kSecondUpdate = 0x07;   ///< SecondUpdate
inline constexpr uint8_t kSecondMoments = 0x08;  ///< gradient as (m - b1 m') / q1
inline constexpr uint8_t kSecondSnapped = 0x10;  ///< the gradient was BF16 times a scalar
inline constexpr uint8_t kSecondRounded = 0x20;  ///< what is in between is rounded to BF16
inline constexpr uint8_t kSecondUpdates = 7;
inline constexpr uint8_t kSecondWide = 6;  ///< the update in F64
// Of kAdamParameter:
inline constexpr uint8_t kParameterDecay = 0x03;
inline constexpr uint8_t kParameterStep = 0x1c;  ///< shifted by 2
inline constexpr uint8_t kParameterRounded = 0x20;
inline constexpr uint8_t kParameterSteps = 7;
inline constexpr uint8_t kDecayFactor = 0, kDecayFused = 1, kDecayApart = 2, kDecayNone = 3;
inline constexpr uint8_t kStepProduct = 0, kStepQuotient = 1, kStepFused = 2, kStepInside = 3,
                         kStepDivided = 4, kStepUnbiased = 5, kStepReciprocal = 6;
// Of kAdamFirstMoment:
inline constexpr uint8_t kFirstUpdates = 6;
inline constexpr uint8_t kFirstWide = 5;
// Of kDecayedFirstMoment: those of kAdamFirstMoment, and
inline constexpr uint8_t kDecayedUpdate = 0x07;
inline constexpr uint8_t kDecayedApart = 0x08;  ///< the decay's product is rounded
// Of kGradientParameter:
inline constexpr uint8_t kDescentApart = 0x01;  ///< the step's product is rounded
inline constexpr uint8_t kGradientDecay = 0x06;
inline constexpr uint8_t kGradientDecayNone = 0x00, kGradientDecayFused = 0x02,
                         kGradientDecayApart = 0x04;

}  // namespace cairn

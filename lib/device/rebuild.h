// Makes the units of a chunk of what a device has sent of them and of what the base has.
#pragma once

#include <span>

#include "lib/device/sent_codes.h"
#include "lib/transfer_recipes.h"

namespace cairn {

/// What came of one unit.
struct SentUnit {
  ByteSpan whole;     ///< all of it, of the recipe for that
  SentCodes codes;    ///< of the others
  ByteSpan gradient;  ///< BF16, of replays that take one
};

/// Fills `now` by the recipes. `before`: what the base has of each unit. Errors: kFailed when what
/// was sent does not fit.
Status rebuild(const TransferRecipes& recipes, std::span<const SentUnit> sent,
               std::span<const MutableBytes> before, std::span<const MutableBytes> now);

}  // namespace cairn

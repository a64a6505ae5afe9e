// What `cairn push` and `cairn pull` have in common: tags go from one store to another.
#pragma once

#include <string>

#include "cli/commands.h"
#include "cli/open_place.h"
#include "lib/transfer/transfer.h"

namespace cairn {

/// What is printed of it: "pulled", "would pull".
struct TransferWords {
  std::string title;  ///< "pull"
  std::string done;   ///< "pulled"
};

/// Stores by the words of the command line.
struct TransferPlaces {
  std::string from, to;
};

/// Moves the tags that `options` names, oldest first, prints what was done, and returns the exit
/// status. Where there is no store to go to one is made, but by a dry run. `look_up`: of the
/// destination; optional.
int run_transfer(const Context& context, const TransferPlaces& places,
                 const TransferOptions& options, const TransferWords& words, const LookUp& look_up);

}  // namespace cairn

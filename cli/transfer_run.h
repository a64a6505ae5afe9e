// What `cairn push` and `cairn pull` have in common: tags go from one store to another.
#pragma once

#include <optional>
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

/// How both stores of a transfer are reached.
remote::RemoteOptions transfer_remote(const Context& context, const TransferOptions& options);

/// The store that tags go to; where there is none, one like `from` is made, and a note says so. A
/// dry run makes none: nullopt.
Result<std::optional<OpenStore>> open_destination(const Context& context, const std::string& place,
                                                  const Store& from, const TransferOptions& options,
                                                  const TransferWords& words,
                                                  const remote::RemoteOptions& remote);

/// Moves the tags that `options` names, oldest first, prints what was done, and returns the exit
/// status. `to`: null for a dry run where there is no store. `look_up`: of the destination;
/// optional.
int run_transfer(const Context& context, const Store& from, const Store* to,
                 const TransferOptions& options, const TransferWords& words, const LookUp& look_up);

}  // namespace cairn

// What chunks take by class and encoding, as JSON and as a table for people. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "lib/restore_cost.h"

namespace cairn {

/// Decoded to stored; null where nothing is stored.
nlohmann::ordered_json ratio_json(const EncodingUsage& usage);
/// Null where it is not known.
nlohmann::ordered_json cost_json(std::optional<double> cost);

/// A list of `class`, `encoding`, `chunks`, `decoded_bytes`, `stored_bytes`, `ratio`,
/// `restore_cost`, `restore_seconds`.
nlohmann::ordered_json usage_json(const UsageByClass& usage);

/// The same as a table for a terminal of so many columns (0: of any), with each row's share of the
/// stored bytes and of the time, and a line of sums. "" for nothing.
std::string usage_table(const UsageByClass& usage, size_t columns);

}  // namespace cairn

#include "cli/usage_table.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/human.h"
#include "cli/table.h"

namespace cairn {

using nlohmann::ordered_json;

ordered_json ratio_json(const EncodingUsage& usage) {
  if (usage.stored_bytes == 0) return nullptr;
  return static_cast<double>(usage.decoded_bytes) / static_cast<double>(usage.stored_bytes);
}

ordered_json cost_json(std::optional<double> cost) {
  return cost ? ordered_json(*cost) : ordered_json(nullptr);
}

ordered_json usage_json(const UsageByClass& usage) {
  auto rows = ordered_json::array();
  for (const auto& [class_name, encodings] : usage) {
    for (const auto& [held, each] : encodings) {
      const LoadTime time = load_time(class_name, held, each);
      rows.push_back({{"class", class_name},
                      {"encoding", held_name(held)},
                      {"chunks", each.chunks},
                      {"decoded_bytes", each.decoded_bytes},
                      {"stored_bytes", each.stored_bytes},
                      {"ratio", ratio_json(each)},
                      {"restore_cost", cost_json(time.cost())},
                      {"restore_seconds", time.seconds}});
    }
  }
  return rows;
}

std::string usage_table(const UsageByClass& usage, size_t columns) {
  EncodingUsage sum;
  double seconds = 0;
  size_t rows = 0;
  for (const auto& [class_name, encodings] : usage) {
    for (const auto& [held, each] : encodings) {
      sum += each;
      seconds += load_time(class_name, held, each).seconds;
      ++rows;
    }
  }
  if (rows == 0) return {};
  Table table({{"class"},
               {"encoding"},
               {"decoded", Align::kRight},
               {"stored", Align::kRight},
               {"ratio", Align::kRight},
               {"share", Align::kRight},
               {"restore", Align::kRight},
               {"time", Align::kRight}});
  for (const auto& [class_name, encodings] : usage) {
    for (const auto& [held, each] : encodings) {
      const LoadTime time = load_time(class_name, held, each);
      table.add_row({class_name, held_name(held), human_bytes(each.decoded_bytes),
                     human_bytes(each.stored_bytes),
                     human_ratio(each.decoded_bytes, each.stored_bytes),
                     human_percent(each.stored_bytes, sum.stored_bytes), human_cost(time.cost()),
                     human_percent(time.seconds / seconds)});
    }
  }
  if (rows > 1) {
    table.add_row({"all", "", human_bytes(sum.decoded_bytes), human_bytes(sum.stored_bytes),
                   human_ratio(sum.decoded_bytes, sum.stored_bytes)});
  }
  return table.render(columns);
}

}  // namespace cairn

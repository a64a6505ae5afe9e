#include "store/remote/trial.h"

#include <algorithm>

namespace cairn::remote {

void Trial::run(std::string name, Need need, std::string_view advice, const Try& attempt) {
  Finding finding;
  finding.name = std::move(name);
  finding.need = need;
  if (!is_over_) {
    auto seen = attempt();
    finding.outcome = seen ? Finding::Outcome::kGood : Finding::Outcome::kBad;
    if (seen) {
      finding.told = *std::move(seen);
    } else {
      const Error& error = seen.error();
      finding.told = error.message;
      finding.advice = error.hint.empty() ? std::string(advice) : error.hint;
      finding.code = error.code;
      const bool is_end = error.code == Code::kCancelled || error.code == Code::kUnreachable;
      if (is_end) end_ = tl::unexpected(error);
      is_over_ = is_end;
    }
  }
  add(std::move(finding));
}

bool Trial::serves(Need need) const {
  return std::all_of(findings_.begin(), findings_.end(), [&](const Finding& finding) {
    const bool matters =
        finding.need == need || (need == Need::kWriting && finding.need == Need::kReading);
    return !matters || finding.outcome == Finding::Outcome::kGood;
  });
}

}  // namespace cairn::remote

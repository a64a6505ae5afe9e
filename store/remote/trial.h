// Trying out whether a place does what Cairn needs of one (docs/REMOTES.md), before it is trusted.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "store/remote/open_backend.h"

namespace cairn::remote {

/// What a place cannot be used for when it lacks something.
enum class Need : uint8_t { kReading, kWriting, kComfort };

/// One thing that was tried.
struct Finding {
  enum class Outcome : uint8_t {
    kGood,
    kBad,
    kUntried,  ///< because something before it failed
  };

  std::string name;  ///< of one word: `ranges`
  Need need = Need::kComfort;
  Outcome outcome = Outcome::kUntried;
  std::string told;           ///< what was seen; of kBad what is wrong
  std::string advice;         ///< what to do; of kBad only
  Code code = Code::kFailed;  ///< of kBad
};

/// Findings in the order of trying. After one that says that the place cannot be spoken to at all
/// the others are listed as not tried.
class Trial {
 public:
  using Try = std::function<Result<std::string>()>;

  /// `attempt` returns what it saw. An error's own hint goes before `advice`.
  void run(std::string name, Need need, std::string_view advice, const Try& attempt);
  void add(Finding finding) { findings_.push_back(std::move(finding)); }

  const std::vector<Finding>& findings() const { return findings_; }
  /// Tries nothing more: what was found makes the rest pointless.
  void give_up() { is_over_ = true; }
  /// Whether nothing that is needed for it was found bad or was not tried.
  bool serves(Need need) const;
  /// What ended it: kCancelled, kUnreachable.
  const Status& end() const { return end_; }

 private:
  std::vector<Finding> findings_;
  Status end_;
  bool is_over_ = false;
};

/// A bucket, by objects under a name of its own below the prefix, which are removed again.
void try_bucket(const std::string& url, const RemoteOptions& options, Trial& trial);
/// A place that is to be read only, by the files of the store that is there.
void try_reading(const std::string& url, const RemoteOptions& options, Trial& trial);

}  // namespace cairn::remote

// What attempts at one transfer are about, what they meet, and the next ones go by.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "lib/transfer/cargo.h"
#include "lib/transfer/transfer.h"
#include "store/file_id.h"

namespace cairn {

/// Threads: one at a time.
struct Experience {
  bool lost_look_up = false;           ///< what look-ups find is gone at the end
  std::vector<Reference> passed_over;  ///< tables of tags that are not built upon
  std::vector<std::string> notes;      ///< what was passed over, and why; each once
  uint64_t received_bytes = 0;         ///< as in TransferResult, of all attempts
  bool failed_at_source = false;       ///< the last one, while it read the source
  bool is_worth_another = false;       ///< the last one left what it fetched to the next

  void note(const std::string& words) {
    if (std::find(notes.begin(), notes.end(), words) == notes.end()) notes.push_back(words);
  }

  /// What was read of the source; failed_at_source where it was not.
  template <class T>
  Result<T> of_source(Result<T> read) {
    failed_at_source = failed_at_source || !read;
    return read;
  }
};

/// What an attempt is about. All must stay.
struct Errand {
  Checkpoint& from;  ///< the tag, where it lies now
  const Cargo& cargo;
  const Store& to;
  const TransferRequest& request;
  const std::string& name;  ///< in the destination
  Experience& met;
};

}  // namespace cairn

// Saving a tag by several processes: each stores its part of the tag, and one of them then makes
// the tag of all parts (SaveRequest::parts). docs/PROTOCOL.md, section 7, says what holds
// meanwhile.
#pragma once

#include <memory>
#include <string>

#include "lib/cairn.hpp"

namespace cairn {

class SaveSession;

/// What this process has stored of a tag. Its lease protects the files until it is ended, so it
/// lives until the tag is there, or is given up. Threads: one at a time.
class SavedPart {
 public:
  ~SavedPart();
  SavedPart(const SavedPart&) = delete;
  SavedPart& operator=(const SavedPart&) = delete;

  /// The text by which the process that makes the tag finds the part, in SaveRequest::parts.
  const std::string& name() const { return name_; }
  /// What the caller should know: as SaveResult::notes.
  const std::vector<std::string>& notes() const { return notes_; }

  /// The tag was made, or nobody knows whether: the files stay, gc takes what no tag needs.
  void keep();
  /// Nobody has tried to make the tag, nor will: the files go at once.
  void remove();

 private:
  friend Result<std::unique_ptr<SavedPart>> save_part(const Store& store,
                                                      const SaveRequest& request);
  SavedPart(std::unique_ptr<SaveSession> session, std::string name, std::vector<std::string> notes);

  std::unique_ptr<SaveSession> session_;
  std::string name_;
  std::vector<std::string> notes_;
};

/// Stores the request's boxes and attachments, durable when this returns; no tag refers to them.
/// The boxes need not cover their tensors, and no two overlap; `writer` is the rank. All processes
/// of a tag name the same tag, step and base; metadata, pin and if_exists are said by the one that
/// unites. Boxes and attachments that several parts have are replicas: the first part's count.
/// Ranks that share one box of a chunk should share all of its boxes. Errors: as save().
Result<std::unique_ptr<SavedPart>> save_part(const Store& store, const SaveRequest& request);

}  // namespace cairn

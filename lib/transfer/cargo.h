// What a tag is where it comes to: as it is in the source, or with some of its tensors.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "store/checkpoint.h"

namespace cairn {

/// An own page.
struct CargoPage {
  Digest digest;
  bool is_of_tensors = false;  ///< and not of attachments
  /// Of a part: the page, with copies as the source has them. Null: the source has the page.
  std::shared_ptr<const LoadedPage> made = {};
  std::vector<CopyRef> refs = {};  ///< of `made`, per copy, which one of the source's it is
  PagePlace place = {};  ///< of `made`, in the source where that has the page all the same
};

struct Cargo {
  TagEntry entry;  ///< the source's; of a part with its own digests and facts
  std::vector<CargoPage> pages;
  /// Of a part; unset: the source's.
  std::optional<Bytes> manifest = {}, schema = {}, layout = {};
  std::unordered_map<Digest, size_t> made_numbers = {};  ///< of those pages that are made

  const Digest& digest() const { return entry.manifest.digest; }
  /// The page that is made of that digest; nullptr: none is.
  const CargoPage* made(const Digest& page) const;
};

/// Numbers of the tensors whose names match one of the globs; without globs all. Errors: kNotFound
/// when none does.
Result<std::vector<size_t>> choose_tensors(const Checkpoint& from,
                                           const std::vector<std::string>& globs);

/// `tensors`: numbers, increasing. Attachments and metadata always come along. Errors: those of
/// reading the source.
Result<Cargo> cargo_of(Checkpoint& from, const std::vector<size_t>& tensors);

}  // namespace cairn

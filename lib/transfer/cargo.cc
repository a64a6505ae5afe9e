#include "lib/transfer/cargo.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/glob.h"
#include "lib/dtype.h"
#include "lib/tensor.h"
#include "store/tag_part.h"

namespace cairn {

const CargoPage* Cargo::made(const Digest& page) const {
  const auto number = made_numbers.find(page);
  return number == made_numbers.end() ? nullptr : &pages[number->second];
}

static Cargo whole_cargo(const Checkpoint& from) {
  Cargo cargo{from.tag(), {}};
  for (size_t number = 0; number < from.table().pages.size(); ++number) {
    const auto& runs = from.plan().pages[number];
    const bool is_of_tensors = !runs.empty() && from.is_tensor(runs.front().item);
    cargo.pages.push_back({from.table().pages[number].page.digest, is_of_tensors});
  }
  return cargo;
}

Result<std::vector<size_t>> choose_tensors(const Checkpoint& from,
                                           const std::vector<std::string>& globs) {
  std::vector<size_t> chosen;
  const auto& tensors = from.schema().tensors;
  for (size_t number = 0; number < tensors.size(); ++number) {
    const bool is_chosen =
        globs.empty() || std::any_of(globs.begin(), globs.end(), [&](const std::string& glob) {
          return glob_match(glob, tensors[number].name);
        });
    if (is_chosen) chosen.push_back(number);
  }
  if (!chosen.empty() || globs.empty()) return chosen;
  return fail(Code::kNotFound,
              fmt::format("no tensor of tag '{}' matches '{}'", from.tag().name,
                          fmt::join(globs, "' or '")),
              "'cairn show' lists the tensors");
}

static Result<TagFacts> facts_of(const Checkpoint& from, const std::vector<size_t>& tensors) {
  TagFacts facts = from.tag().facts;
  facts.dropped_tensors += from.schema().tensors.size() - tensors.size();
  facts.tensors = tensors.size();
  facts.logical_bytes = facts.chunks = 0;
  for (const size_t number : tensors) {
    const TensorInfo& tensor = from.schema().tensors[number];
    CAIRN_TRY(const uint64_t bytes, checked_bytes(static_cast<Dtype>(tensor.dtype), tensor.shape));
    facts.logical_bytes += bytes;
    facts.chunks += tensor.chunk_count;
  }
  return facts;
}

static std::shared_ptr<const LoadedPage> loaded_page(PartPage&& part) {
  auto loaded = std::make_shared<LoadedPage>();
  uint32_t slot = 0;
  for (const ChunkEntry& entry : part.page.entries) {
    loaded->first_slots.push_back(slot);
    slot += static_cast<uint32_t>(copy_count(entry));
  }
  loaded->page = std::move(part.page);
  loaded->locator = std::move(part.locator);
  return loaded;
}

Result<Cargo> cargo_of(Checkpoint& from, const std::vector<size_t>& tensors) {
  if (tensors.size() == from.schema().tensors.size()) return whole_cargo(from);
  Cargo cargo{from.tag(), {}};
  CAIRN_TRY(cargo.entry.facts, facts_of(from, tensors));
  CAIRN_TRY(TagPart part, TagPart::of(from, tensors));
  std::vector<Digest> digests;
  for (size_t number = 0; number < part.page_count(); ++number) {
    CAIRN_TRY(PartPage page, part.page(number));
    digests.push_back(page.digest);
    cargo.made_numbers[page.digest] = number;
    CargoPage& own = cargo.pages.emplace_back();
    own.digest = page.digest;
    own.is_of_tensors = part.is_of_tensors(number);
    own.refs = std::move(page.refs);
    own.place = page.place.value_or(PagePlace());
    own.made = loaded_page(std::move(page));
  }
  cargo.schema = encode_schema(part.schema());
  cargo.manifest = encode_manifest(part.manifest(std::move(digests)));
  cargo.entry.schema.digest = blake3(*cargo.schema);
  cargo.entry.manifest.digest = blake3(*cargo.manifest);
  if (part.layout()) {
    cargo.layout = encode_layout(*part.layout(), part.schema());
    cargo.entry.layout->digest = blake3(*cargo.layout);
  }
  return cargo;
}

}  // namespace cairn

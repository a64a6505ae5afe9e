#include "lib/tag_rules.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "lib/cover.h"
#include "lib/grid.h"

namespace cairn {
namespace {

class Rules {
 public:
  Rules(Checkpoint& checkpoint, SeenByRules& seen,
        const std::function<void(std::string, std::string)>& report)
      : checkpoint_(checkpoint), seen_(seen), report_(report) {}

  Status check() {
    CAIRN_CHECK(check_tensors());
    mark_pages();
    check_attachments();
    check_entry();
    check_metadata();
    check_packs();
    check_layout();
    return {};
  }

 private:
  const Schema& schema() const { return checkpoint_.schema(); }
  const Manifest& manifest() const { return checkpoint_.manifest(); }

  Status check_tensors() {
    if (schema().chunk_elements != checkpoint_.store().config().chunk_elements) {
      report_("",
              fmt::format("its chunks have up to {} elements, the store's {}",
                          schema().chunk_elements, checkpoint_.store().config().chunk_elements));
    }
    for (size_t number = 0; number < schema().tensors.size(); ++number) {
      const TensorInfo& tensor = schema().tensors[number];
      check_item_name(tensor.name, "a tensor");
      const auto form = storage_form(static_cast<Dtype>(tensor.dtype), tensor.shape);
      if (!form && form.error().code == Code::kNewerFormat) return tl::unexpected(form.error());
      if (!form) {
        report_(tensor.name, form.error().message);
        continue;
      }
      logical_bytes_ += form->bytes();
      chunks_ += tensor.chunk_count;
      const auto grid = grid_of(tensor, *form, schema().chunk_elements);
      if (grid) {
        check_chunks(number, form->item_bytes, &seen_.pages,
                     [&](uint64_t chunk) { return grid->chunk_box(chunk); });
      } else {
        report_(tensor.name, grid.error().message);
      }
    }
    return {};
  }

  void check_attachments() {
    const size_t tensors = schema().tensors.size();
    for (size_t number = 0; number < manifest().attachments.size(); ++number) {
      const AttachmentInfo& attachment = manifest().attachments[number];
      check_item_name(attachment.name, "an attachment");
      attachment_bytes_ += attachment.bytes;
      const ChunkEdges& edges = attachment.edges;
      check_chunks(tensors + number, 1, nullptr, [&](uint64_t chunk) {
        return Box{{edges.begin(chunk)}, {edges.length(chunk)}};
      });
    }
  }

  /// Every chunk's entry and copies are of the size that its box has. `seen`: pages to pass over.
  template <class BoxOf>
  void check_chunks(size_t item, uint64_t item_bytes, const PagesAtPlace* seen,
                    const BoxOf& box_of) {
    for (uint64_t chunk = 0; chunk < checkpoint_.chunk_count(item); ++chunk) {
      const PagePlan::Place place = checkpoint_.plan().place(item, chunk);
      if (seen != nullptr && seen->contains(key_of(place.page))) {
        chunk += kPageEntriesMax - 1 - place.entry;
        continue;
      }
      const auto page = checkpoint_.page(place.page);
      if (!page) continue;
      const std::string wrong = find_wrong(**page, place.entry, box_of(chunk), item_bytes);
      if (!wrong.empty())
        report_(checkpoint_.item_name(item), fmt::format("chunk {}: {}", chunk, wrong));
    }
  }

  std::string find_wrong(const LoadedPage& page, uint32_t number, const Box& box,
                         uint64_t item_bytes) const {
    const ChunkEntry& entry = page.page.entries[number];
    const uint64_t bytes = box.elements() * item_bytes;
    if (const auto* held = std::get_if<Bytes>(&entry)) {
      if (held->size() == bytes) return "";
      return fmt::format("{} bytes are in the page instead of {}", held->size(), bytes);
    }
    if (bytes <= kInlineBytesMax) return fmt::format("its {} bytes are not in the page", bytes);
    const auto* pieces = std::get_if<std::vector<Piece>>(&entry);
    std::vector<Box> boxes = pieces == nullptr ? std::vector{box} : piece_boxes(*pieces);
    if (!make_up(boxes, box)) return "its pieces do not make it up";
    for (size_t i = 0; i < boxes.size(); ++i) {
      const Copy& copy = page.copies(number)[i];
      const uint64_t wanted = boxes[i].elements() * item_bytes;
      if (copy.decoded_bytes != wanted) {
        return fmt::format("its locator says {} bytes instead of {}", copy.decoded_bytes, wanted);
      }
    }
    return "";
  }

  void mark_pages() {
    for (size_t page = 0; page < checkpoint_.table().pages.size(); ++page) {
      seen_.pages.insert(key_of(page));
    }
  }

  std::tuple<Digest, size_t, Digest, Digest> key_of(size_t page) const {
    const PagePlace& place = checkpoint_.table().pages[page];
    return {manifest().schema, page, place.page.digest, place.locator.digest};
  }

  /// The tag's entry in root says what its parts say.
  void check_entry() {
    const TagEntry& tag = checkpoint_.tag();
    const TagFacts& facts = tag.facts;
    if (tag.step != manifest().step) report_("", "its entry has another step than its manifest");
    const bool same = facts.logical_bytes == logical_bytes_ && facts.chunks == chunks_ &&
                      facts.attachment_bytes == attachment_bytes_ &&
                      facts.tensors == schema().tensors.size();
    if (same) return;
    report_("",
            fmt::format("its entry says {} bytes in {} chunks of {} tensors and {} of "
                        "attachments; they are {}, {}, {} and {}",
                        facts.logical_bytes, facts.chunks, facts.tensors, facts.attachment_bytes,
                        logical_bytes_, chunks_, schema().tensors.size(), attachment_bytes_));
  }

  void check_metadata() {
    check_name(checkpoint_.tag().name, "the tag");
    for (const Metadata* metadata : {&manifest().metadata, &manifest().file_metadata}) {
      for (const auto& [key, value] : *metadata) {
        check_name(key, "a metadata key");
        check_name(value, "a metadata value");
      }
    }
  }

  void check_item_name(const std::string& name, const char* whose) {
    if (name.empty()) report_("", fmt::format("the name of {} is empty", whose));
    check_name(name, whose);
  }

  void check_name(const std::string& name, const char* whose) {
    if (!is_utf8(name)) report_("", fmt::format("{}, '{}', is not UTF-8", whose, shown(name)));
  }

  /// The locator table lists every pack that copies lie in, with the stored bytes of the tag's own.
  void check_packs() {
    const LocatorTable& table = checkpoint_.table();
    std::map<FileId, uint64_t> used;
    for (size_t number = 0; number < table.pages.size(); ++number) {
      const auto* uses = uses_of(number);
      if (uses == nullptr) return;
      for (const auto& [pack, bytes] : *uses) used[pack] += bytes;
    }
    if (!table.closure.empty() && !add_bases(used)) return;
    std::map<FileId, uint64_t> listed;
    for (const PackUse& use : table.packs) listed[use.pack] = use.stored_bytes;
    if (used == listed && listed.size() == table.packs.size()) return;
    report_("", "its locator table lists other packs, or other bytes of them, than its locators");
  }

  /// What the tag's copies are made from. False when some of it cannot be read.
  bool add_bases(std::map<FileId, uint64_t>& used) {
    const LocatorTable& table = checkpoint_.table();
    const auto read = [&](size_t number) -> Result<Locator> {
      CAIRN_TRY(const auto page, checkpoint_.page(number));
      return page->locator;
    };
    return for_each_needed(table, read,
                           [&](const CopyRef& ref, const Copy& copy) -> Status {
                             if (ref.page >= table.pages.size())
                               used[copy.pack] += copy.stored_bytes;
                             return {};
                           })
        .has_value();
  }

  /// nullptr when the page cannot be read.
  const std::map<FileId, uint64_t>* uses_of(size_t number) {
    const Digest& locator = checkpoint_.table().place(number).locator.digest;
    const auto found = seen_.uses.find(locator);
    if (found != seen_.uses.end()) return &found->second;
    const auto page = checkpoint_.page(number);
    if (!page) return nullptr;
    std::map<FileId, uint64_t> uses;
    for (const Copy& copy : (*page)->locator.copies) uses[copy.pack] += copy.stored_bytes;
    return &seen_.uses.emplace(locator, std::move(uses)).first->second;
  }

  void check_layout() {
    const auto layout = checkpoint_.layout();
    if (!layout) return;
    for (size_t number = 0; number < schema().tensors.size(); ++number) {
      const TensorInfo& tensor = schema().tensors[number];
      std::vector<Box> boxes;
      for (const LayoutBox& box : layout->tensors[number].boxes) {
        boxes.push_back({box.offsets, box.lengths});
        if (box.writer >= std::max(layout->writers, 1u)) {
          report_(tensor.name,
                  fmt::format("its layout has writer {} of {}", box.writer, layout->writers));
        }
      }
      const bool inside = std::all_of(boxes.begin(), boxes.end(), [&](const Box& box) {
        return check_box(box, tensor.shape).has_value();
      });
      // Replicas overlap: their bytes agreed when they were saved.
      if (!inside || check_cover(tensor.shape, boxes).hole) {
        report_(tensor.name, "the boxes of its layout do not cover it, or leave it");
      }
    }
  }

  Checkpoint& checkpoint_;
  SeenByRules& seen_;
  const std::function<void(std::string, std::string)>& report_;
  uint64_t logical_bytes_ = 0, attachment_bytes_ = 0, chunks_ = 0;
};

}  // namespace

Status check_tag_rules(Checkpoint& checkpoint, SeenByRules& seen,
                       const std::function<void(std::string item, std::string what)>& report) {
  return Rules(checkpoint, seen, report).check();
}

}  // namespace cairn

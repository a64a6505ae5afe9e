#include "lib/tag_usage.h"

#include <algorithm>
#include <set>

#include "lib/describe.h"
#include "store/copy_counter.h"

namespace cairn {
namespace {

/// What two tags have in common at the same places, stored in the same way.
class Shared {
 public:
  /// Of a page, or of no page: nothing.
  struct Marks {
    bool all = false;
    std::vector<bool> entries, slots;

    bool has_entry(size_t entry) const { return all || (entry < entries.size() && entries[entry]); }
    bool has_slot(size_t slot) const { return all || (slot < slots.size() && slots[slot]); }
  };

  Shared(Checkpoint& checkpoint, Checkpoint& other)
      : checkpoint_(checkpoint),
        other_(other),
        has_same_plan_(checkpoint.tag().schema.digest == other.tag().schema.digest &&
                       checkpoint.table().pages.size() == other.table().pages.size()) {
    for (const PagePlace& place : other.table().pages) {
      pages_.emplace(place.page.digest, place.locator.digest);
    }
  }

  /// Of a page of the checkpoint. Errors: those of reading it.
  Result<Marks> of(size_t number) const {
    Marks marks;
    const auto& pages = checkpoint_.table().pages;
    if (number >= pages.size()) return marks;
    marks.all = pages_.contains({pages[number].page.digest, pages[number].locator.digest});
    if (marks.all || !has_same_plan_) return marks;
    CAIRN_TRY(const auto page, checkpoint_.page(number));
    CAIRN_TRY(const auto beside, other_.page(number));
    const std::vector<ChunkEntry>& entries = page->page.entries;
    if (beside->page.entries.size() != entries.size()) return marks;
    for (size_t entry = 0; entry < entries.size(); ++entry) {
      const auto copies = page->copies(entry), others = beside->copies(entry);
      const bool is_same = entries[entry] == beside->page.entries[entry] &&
                           std::equal(copies.begin(), copies.end(), others.begin(), others.end());
      marks.entries.push_back(is_same);
      marks.slots.insert(marks.slots.end(), copies.size(), is_same);
    }
    return marks;
  }

 private:
  Checkpoint& checkpoint_;
  Checkpoint& other_;
  const bool has_same_plan_;
  std::set<std::pair<Digest, Digest>> pages_;  // of the other, by page and locator
};

/// Calls in turn on_copy, on_inline and on_base for all that items are read from.
class ReadWalk {
 public:
  using OnCopy = std::function<void(const std::string& class_name, const Digest&, const Copy&)>;
  using OnInline = std::function<void(const std::string& class_name, const Bytes&)>;
  using OnBase = std::function<void(const Copy&)>;

  /// `shared`: what is passed over; may be null.
  ReadWalk(Checkpoint& checkpoint, const WantsItem& wants, const Shared* shared = nullptr)
      : checkpoint_(checkpoint), wants_(wants), shared_(shared) {}

  Status run(const OnCopy& on_copy, const OnInline& on_inline, const OnBase& on_base) {
    CAIRN_TRY(const Layout layout, checkpoint_.layout());
    met_.resize(checkpoint_.table().pages.size());
    passed_.resize(met_.size());
    for (size_t number = 0; number < met_.size(); ++number) {
      if (shared_ != nullptr) {
        CAIRN_TRY(passed_[number], shared_->of(number));
      }
      if (passed_[number].all) continue;
      for (const PageRun& run : checkpoint_.plan().pages[number]) {
        if (!wants_(run.item)) continue;
        const std::string class_name =
            checkpoint_.is_tensor(run.item) ? tensor_class(layout, run.item) : "attachment";
        CAIRN_CHECK(walk(number, run, class_name, on_copy, on_inline));
      }
    }
    const auto read = [&](size_t number) -> Result<Locator> {
      CAIRN_TRY(const auto page, checkpoint_.page(number));
      Locator locator = page->locator;
      // What shared copies are made from is shared, too.
      for (size_t slot = 0; slot < locator.copies.size() && number < passed_.size(); ++slot) {
        if (passed_[number].has_slot(slot)) locator.copies[slot].bases.clear();
      }
      return locator;
    };
    const auto visit = [&](const CopyRef& ref, const Copy& copy) -> Status {
      const bool is_own = ref.page < met_.size();
      if (is_own && passed_[ref.page].has_slot(ref.slot)) return {};
      const bool is_met = is_own && ref.slot < met_[ref.page].size() && met_[ref.page][ref.slot];
      if (!is_met) on_base(copy);
      return {};
    };
    return follow_bases(std::move(bases_), checkpoint_.page_numbers(), read, visit);
  }

 private:
  Status walk(size_t number, const PageRun& run, const std::string& class_name,
              const OnCopy& on_copy, const OnInline& on_inline) {
    CAIRN_TRY(const auto page, checkpoint_.page(number));
    met_[number].resize(page->locator.copies.size());
    for (size_t entry = run.first_entry; entry < run.first_entry + run.chunk_count; ++entry) {
      if (passed_[number].has_entry(entry)) continue;
      const ChunkEntry& chunk = page->page.entries[entry];
      if (const auto* bytes = std::get_if<Bytes>(&chunk)) on_inline(class_name, *bytes);
      size_t slot = page->first_slots[entry];
      for (const Copy& copy : page->copies(entry)) {
        met_[number][slot++] = true;
        for (const BaseRef& base : copy.bases) {
          CAIRN_TRY(bases_.emplace_back(), checkpoint_.page_numbers().resolve(base));
        }
      }
      for_each_stored(chunk, page->copies(entry), [&](const Digest& digest, const Copy& copy) {
        on_copy(class_name, digest, copy);
      });
    }
    return {};
  }

  Checkpoint& checkpoint_;
  const WantsItem& wants_;
  const Shared* const shared_;
  std::vector<Shared::Marks> passed_;   // by page
  std::vector<std::vector<bool>> met_;  // by page and slot: copies that stand for chunks
  std::vector<CopyRef> bases_;
};

/// Adds to `usage` what the counter has not met before.
Status count_needed(ReadWalk walk, CopyCounter& counter, UsageByClass& usage) {
  const auto add = [&](const std::string& class_name, HeldAs held, const EncodingUsage& fresh) {
    if (fresh != EncodingUsage()) usage[class_name][held] += fresh;
  };
  return walk.run(
      [&](const std::string& class_name, const Digest& digest, const Copy& copy) {
        add(class_name, copy.encoding, counter.add(digest, copy));
      },
      [&](const std::string& class_name, const Bytes& bytes) {
        add(class_name, std::nullopt, counter.add_inline(bytes));
      },
      [&](const Copy& copy) {
        add(std::string(kHistoryClass), copy.encoding, counter.add_base(copy));
      });
}

}  // namespace

Result<UsageByClass> tag_usage(Checkpoint& checkpoint, const WantsItem& wants) {
  UsageByClass usage;
  CAIRN_CHECK(ReadWalk(checkpoint, wants)
                  .run(
                      [&](const std::string& class_name, const Digest&, const Copy& copy) {
                        usage[class_name][copy.encoding] += EncodingUsage::of(copy);
                      },
                      [&](const std::string& class_name, const Bytes& bytes) {
                        usage[class_name][std::nullopt] += EncodingUsage::of_inline(bytes.size());
                      },
                      [&](const Copy& copy) {
                        usage[std::string(kHistoryClass)][copy.encoding] += EncodingUsage::of(copy);
                      }));
  return usage;
}

Result<UsageByClass> usage_beside(Checkpoint& a, Checkpoint& b, const WantsItem& wants) {
  CopyCounter counter;
  UsageByClass of_a, of_b;
  const WantsItem all = [](size_t) { return true; };
  const Shared with_b(a, b), with_a(b, a);
  CAIRN_CHECK(count_needed(ReadWalk(a, all, &with_b), counter, of_a));
  CAIRN_CHECK(count_needed(ReadWalk(b, wants, &with_a), counter, of_b));
  return of_b;
}

}  // namespace cairn
